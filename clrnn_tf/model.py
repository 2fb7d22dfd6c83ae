"""A main network with its weight source: what is trained, evaluated and exported."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.execution.batch_blocks import scored_end
from clrnn_tf.networks.network import Outputs, RecurrentNetwork
from clrnn_tf.networks.weight_sources import WeightSource
from clrnn_tf.networks.weights import Weights
from clrnn_tf.ngram_embedding import NgramEmbedding
from clrnn_tf.outputs import OUTPUT_KINDS, OutputName
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.tasks import Batch


class Dropout(NamedTuple):
    """Rates of what is dropped while training; 0 drops nothing."""

    inputs: float = 0.0
    """Share of steps whose real features are 0, and of steps whose embedding of n-grams is; drawn apart."""
    outputs: float = 0.0
    """Share of the features that the heads read, dropped one by one; the others are scaled up."""


class Prepared(NamedTuple):
    """A batch as the network reads it, and its last S steps, before which nothing counts."""

    inputs: tf.Tensor
    """[B, T, F] float32, embedded, 0 in padding."""
    lengths: tf.Tensor
    """[B] int32."""
    task_id: tf.Tensor
    """Scalar int32, or [B] one for each sequence."""
    loss_weights: tf.Tensor
    """[B, S]."""
    eval_weights: tf.Tensor | None = None
    """[B, S]."""
    targets: tf.Tensor | None = None
    """[B, S] or [B, S, C], valid at every step."""
    dropout_key: tf.Tensor | None = None
    """[2] seed of the dropout before the heads; None without dropout."""


class Scores(NamedTuple):
    """How the network does on a batch."""

    losses: tf.Tensor
    """[B], weighted sums over time; in the unit of the kind of output."""
    statistics: dict[str, tf.Tensor]
    """Sums over the batch that metrics are computed from; see `OutputKind.statistics`."""
    logits: tf.Tensor
    """[B, S, C]."""


class TaskModel(tf.Module):
    """A main network, the source of its weights, and the embedding of its inputs where they are n-grams.

    Args:
      network: The main network.
      source: Where its weights come from.
      outputs: Name of the kind of output; see `clrnn_tf.outputs`.
      embedding: Embeds n-gram inputs; None where inputs are real vectors.
      num_task_ids: K, where the network is told the task: its inputs are F features and a one-hot task id of size K.
        0 where it is not.
      dropout: What is dropped while training.

    Raises:
      ConfigurationError: There is no such kind of output.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights, TaskModel
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(8,)), num_features=3, num_outputs=5, num_tasks=2)
      >>> model = TaskModel(network, SharedWeights(network.weight_specs), "softmax")
      >>> model(tf.zeros([4, 7, 3]), tf.constant([7, 5, 2, 7]), tf.constant(1)).logits.shape
      TensorShape([4, 7, 5])
    """

    def __init__(
        self,
        network: RecurrentNetwork,
        source: WeightSource,
        outputs: OutputName,
        embedding: NgramEmbedding | None = None,
        num_task_ids: int = 0,
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        known = ", ".join(OUTPUT_KINDS)
        require(outputs in OUTPUT_KINDS, f"outputs must be one of {known}. Received: {outputs}.")
        self.network = network
        self.source = source
        self.outputs = OUTPUT_KINDS[outputs]
        self.embedding = embedding
        self.num_task_ids = num_task_ids
        self.dropout = dropout or Dropout()

    def begin_task(self, task_id: int) -> None:
        """Put what only one task has into training."""
        if self.embedding is not None:
            self.embedding.begin(task_id)

    def end_task(self) -> None:
        """Store what only the task in training has."""
        if self.embedding is not None:
            self.embedding.end()

    def facts(self) -> dict[str, float]:
        """Facts for the results file: parameters of the tables that n-grams are embedded by, of all tasks."""
        if self.embedding is None:
            return {}
        return {"num_table_parameters": int(tf.size(self.embedding.tables)), "table_bytes": self.embedding.num_bytes}

    def state_variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold besides the trained variables and the method's."""
        return [] if self.embedding is None else self.embedding.state_variables()

    @property
    def depends_on_task(self) -> bool:
        """Whether the answers to one input differ by task."""
        has_tables = self.embedding is not None and not self.embedding.is_shared
        of_model = self.network.num_heads > 1 or has_tables or self.num_task_ids > 0
        return of_model or self.source.depends_on_task

    @property
    def num_tasks(self) -> int | None:
        """K, the tasks that the model knows; None where it answers to any task alike."""
        heads = self.network.num_heads if self.network.num_heads > 1 else None
        known = [number for number in (heads, self.source.num_tasks, self.num_task_ids or None) if number is not None]
        return min(known, default=None)

    def __call__(self, inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor) -> Outputs:
        """Outputs for inputs of one task (scalar id), with the source's present weights."""
        return self.network(self.source(task_id), self.embed(inputs, lengths, task_id), lengths, task_id)

    def embed(
        self, inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor, dropout_key: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What the network reads of a batch, [B, T, F] float32; the task is a scalar, or [B] one for each example.

        Padding is replaced by 0 first, so that it may hold anything. With a key, steps are dropped.
        """
        inputs = without_padding(inputs, lengths)
        embedded = inputs if self.embedding is None else self.embedding(inputs, task_id)
        if dropout_key is not None and self.dropout.inputs:
            num_features = None if self.embedding is None else self.embedding.num_features
            embedded = drop_steps(embedded, self.dropout.inputs, dropout_key, num_features)
        return append_task_id(embedded, task_id, self.num_task_ids)

    @tf.autograph.experimental.do_not_convert
    def prepare(self, batch: Batch, task_id: tf.Tensor, dropout_key: tf.Tensor | None = None) -> Prepared:
        """Embed a batch and cut it to the steps that count.

        This is not part of `score`, which XLA compiles: the gradient of an embedding stays sparse outside of it.

        Args:
          batch: The batch.
          task_id: Its task, scalar; or `batch.task_id` where it mixes tasks.
          dropout_key: [2] seed of what is dropped while training; nothing is without it.
        """
        end = scored_end(batch)
        return Prepared(
            inputs=self.embed(batch.inputs, batch.lengths, task_id, dropout_key),
            lengths=batch.lengths,
            task_id=task_id,
            loss_weights=end.loss_weights,
            eval_weights=end.eval_weights,
            targets=end.targets,
            dropout_key=dropout_key if self.dropout.outputs else None,
        )

    def logits(
        self, weights: Weights, prepared: Prepared, *, truncate: int | None = None, per_sequence_squares: bool = False
    ) -> tf.Tensor:
        """[B, S, C] of the steps that count, for given weights; the options are the network's."""
        last_steps = tf.shape(prepared.loss_weights)[1]
        return self.network(
            weights,
            prepared.inputs,
            prepared.lengths,
            prepared.task_id,
            last_steps=last_steps,
            truncate=truncate,
            per_sequence_squares=per_sequence_squares,
            dropout=None if prepared.dropout_key is None else (self.dropout.outputs, prepared.dropout_key),
        ).logits

    def score(self, weights: Weights, prepared: Prepared, precision: tf.DType = tf.float32) -> Scores:
        """Run the network with given weights and score its answers: training, tests and validations alike.

        Args:
          weights: By name.
          prepared: From `prepare`.
          precision: What the network computes in; losses are float32.
        """
        if precision != tf.float32:
            weights = {name: tf.cast(weight, precision) for name, weight in weights.items()}
            prepared = prepared._replace(inputs=tf.cast(prepared.inputs, precision))
        logits = tf.cast(self.logits(weights, prepared), tf.float32)
        return Scores(
            losses=self.outputs.sequence_losses(logits, prepared.targets, prepared.loss_weights),
            statistics=self.outputs.statistics(logits, prepared.targets, prepared.eval_weights),
            logits=logits,
        )


def drop_steps(embedded: tf.Tensor, rate: float, key: tf.Tensor, num_features: int | None) -> tf.Tensor:
    """Inputs [B, T, F + D] with 0 in the first F features of some steps, and in the last D of others.

    So the network learns from the letters of words whose vectors it does not see, as those of unknown words, and from
    vectors alone.

    Args:
      embedded: The inputs.
      rate: Share of the steps.
      key: [2] seed.
      num_features: F; None for all.
    """
    if num_features in (None, 0, embedded.shape[-1]):
        kept = tf.random.stateless_uniform(tf.shape(embedded)[:2], key) >= rate
        return tf.where(kept[..., tf.newaxis], embedded, 0.0)
    kept = tf.random.stateless_uniform([*tf.unstack(tf.shape(embedded)[:2]), 2], key) >= rate  # [B, T, 2]
    features, vectors = embedded[..., :num_features], embedded[..., num_features:]
    features = tf.where(kept[..., :1], features, 0.0)
    return tf.concat([features, tf.where(kept[..., 1:], vectors, 0.0)], axis=-1)


def append_task_id(embedded: tf.Tensor, task_id: tf.Tensor, num_tasks: int) -> tf.Tensor:
    """[B, T, F] with the one-hot task id [num_tasks] after the features of every step; as it is for 0 tasks."""
    if num_tasks == 0:
        return embedded
    one_hot = tf.reshape(tf.one_hot(task_id, num_tasks), [-1, 1, num_tasks])
    shape = tf.concat([tf.shape(embedded)[:2], [num_tasks]], axis=0)
    return tf.concat([embedded, tf.broadcast_to(one_hot, shape)], axis=-1)
