"""What the signatures of the model of all tasks compute; `export.all_tasks` says what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import tensorflow as tf

from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weights import Weights
from clrnn_tf.outputs import OutputName
from clrnn_tf.task_inference import TaskInference
from export import row_errors
from export.measured_rows import MeasuredRows
from export.mixed_network import Answers, MixedNetwork
from export.parts import Parts
from export.row_blocks import RowBlocks
from export.task_graphs import Outputs, tags_of
from export.task_weights import weights_by_task
from export.worded import WordedModel

_WEIGHTS_PER_ROW = 20_000
"""Fetching so many weights takes about as long as computing a row, measured by `benchmarks.serving`."""


class Answering:
    """Answers requests about the tasks of a trained model.

    It is no `tf.Module`, so that of the model only what signatures read is stored.

    Args:
      parts: Those of the trained model.
      num_tasks: K, those that are answered: the first ones.
      most_kept_bytes: See `weights_by_task`.
    """

    def __init__(self, parts: Parts, num_tasks: int, most_kept_bytes: int) -> None:
        stream, model = parts.stream, _served(parts)
        self.model, self.stream = model, stream
        self.names = tuple(task.name for task in stream[:num_tasks])
        self.network = MixedNetwork(model.network)
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(self.names), tf.range(num_tasks))
        self.ids = tf.lookup.StaticHashTable(initializer, default_value=-1)
        """Of tasks by their names."""
        self.encoders: list[tf.Module] = []
        """What turns words into inputs, by task; none where inputs are no words."""
        if stream.word_encoder is not None and stream.class_names:
            self.encoders = [parts.encoder(task_id) for task_id in range(num_tasks)]
        self._worded = WordedModel(model, self.encoders)
        self.measured: MeasuredRows | None = None
        """Where sequences are standardised before the network reads them."""
        if stream.sequence_coder is not None:
            coders = [stream.sequence_coder(task_id) for task_id in range(num_tasks)]
            self.measured = MeasuredRows(coders, stream.class_names)
        num_weights = sum(spec.head_size for spec in model.network.weight_specs)
        self._block_cost = max(1, round(num_weights / _WEIGHTS_PER_ROW))
        self.weights = weights_by_task(model.source, self.network, num_tasks, most_kept_bytes)
        self._numeric = tf.function(self._numeric_of, autograph=False)
        self._weights_of_all = tf.function(self.weights.of_all, input_signature=[], autograph=False)
        self._answer = tf.function(  # traced once for all signatures
            self._answer_all,
            input_signature=[
                tf.TensorSpec([None, None, model.network.num_features]),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None, self.network.state_size]),
            ],
            autograph=False,
        )

    @property
    def can_infer(self) -> bool:
        """Whether tasks can be told apart by entropy."""
        return len(self.names) > 1 and self.model.outputs.has_probabilities and self.model.depends_on_task

    def found(self, names: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids [B] of tasks by their names [B], and the errors of rows whose task is unknown."""
        task_ids = self.ids.lookup(names)
        return task_ids, row_errors.unknown_names(task_ids, names, self.names)

    def numeric(self, inputs: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor, errors: tf.Tensor) -> Outputs:
        """Logits and predictions of inputs [B, T, F] of tasks [B]; traced once for all signatures."""
        return self._numeric(inputs, lengths, task_ids, errors)

    def _numeric_of(self, inputs: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor, errors: tf.Tensor) -> Outputs:
        given, errors = tf.shape(inputs), self._checked(inputs, lengths, errors)
        inputs, lengths, task_ids = _answerable(errors, inputs, lengths, task_ids)
        embedded = self.model.embed(inputs, lengths, task_ids)
        logits = self._answer(embedded, lengths, task_ids, self._zero_state(lengths)).logits
        return self._outputs(logits[: given[0], : given[1]], errors)

    def raw(
        self, measured: MeasuredRows, inputs: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor, errors: tf.Tensor
    ) -> Outputs:
        """Answers to inputs [B, T, R] of tasks [B] as they were measured; NaN is a missing value."""
        given = tf.shape(inputs)
        numbers = tf.where(tf.math.is_nan(inputs), 0.0, inputs)
        errors = self._checked(numbers, lengths, errors)
        inputs, lengths, task_ids = _answerable(errors, inputs, lengths, task_ids)
        embedded = self.model.embed(measured.encode(inputs, lengths, task_ids), lengths, task_ids)
        logits = self._answer(embedded, lengths, task_ids, self._zero_state(lengths)).logits
        outputs = {"logits": logits, **self.model.outputs.predictions(logits)}
        outputs = _rows(measured.decode(outputs, lengths, task_ids), given[0])
        if measured.per_step:
            outputs = {name: value[:, : given[1]] for name, value in outputs.items()}
        return row_errors.without_bad_rows(outputs, errors)

    def unknown(self, inputs: tf.Tensor, lengths: tf.Tensor) -> Outputs:
        """Logits and predictions of inputs [B, T, F], whose tasks are inferred."""
        given = tf.shape(inputs)
        errors = self._checked(inputs, lengths, row_errors.none(given[0]))
        logits, task = self._inferred(self.model, *_answerable(errors, inputs, lengths))
        return self._outputs(logits[: given[0], : given[1]], errors, _rows(task, given[0]))

    def step(self, inputs: tf.Tensor, state: tf.Tensor, task_ids: tf.Tensor, errors: tf.Tensor) -> Outputs:
        """One step of each row, inputs [B, F]. A row that has an error keeps its state."""
        num_rows = tf.shape(inputs)[0]
        lengths = tf.ones([num_rows], tf.int32)
        errors = row_errors.first_of(errors, row_errors.not_finite("state", state))
        errors = self._checked(inputs[:, tf.newaxis], lengths, errors)
        inputs, lengths, task_ids, before = _answerable(errors, inputs[:, tf.newaxis], lengths, task_ids, state)
        answers = self._answer(self.model.embed(inputs, lengths, task_ids), lengths, task_ids, before)
        is_bad = (errors != row_errors.FINE)[:, tf.newaxis]
        after = tf.where(is_bad, state, answers.state[:num_rows])
        return {**self._outputs(answers.logits[:num_rows, 0], errors), "state": after}

    def tag(self, words: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor, errors: tf.Tensor) -> Outputs:
        """Tags of words [B, T] of tasks [B]."""
        given, errors = tf.shape(words), self._checked_words(words, lengths, errors)
        words, lengths, task_ids = _answerable(errors, words, lengths, task_ids)
        embedded = self._worded.embed_mixed(words, lengths, task_ids)
        logits = self._answer(embedded, lengths, task_ids, self._zero_state(lengths)).logits
        return self._tags(logits, lengths, given, errors)

    def tag_unknown(self, words: tf.Tensor, lengths: tf.Tensor) -> Outputs:
        """Tags of words [B, T], whose tasks are inferred."""
        given = tf.shape(words)
        errors = self._checked_words(words, lengths, row_errors.none(given[0]))
        words, lengths = _answerable(errors, words, lengths)
        logits, task = self._inferred(self._worded, words, lengths)
        return self._tags(logits, lengths, given, errors, _rows(task, given[0]))

    def _answer_all(self, embedded: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor, state: tf.Tensor) -> Answers:
        """The network's answers to [B, T, F] as it reads them; neither B nor T is 0."""
        blocks = RowBlocks.cut(task_ids, self._block_cost)
        return self.network(self.weights.of_blocks(blocks), blocks, embedded, lengths, state)

    def _zero_state(self, lengths: tf.Tensor) -> tf.Tensor:
        return tf.zeros([tf.shape(lengths)[0], self.network.state_size])

    def _inferred(self, model: TaskModel, inputs: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, Outputs]:
        """Logits [B, T, C] as each row's inferred task, and what is said of the task."""
        inferred = SharedInference(model, len(self.names), self._weights_of_all)(inputs, lengths)
        task = {
            "task": tf.gather(tf.constant(self.names), inferred.task_ids),
            "task_id": inferred.task_ids,
            "task_probability": tf.reduce_max(tf.nn.softmax(-inferred.entropies, axis=0), axis=0),
        }
        return inferred.logits, task

    def _checked(self, inputs: tf.Tensor, lengths: tf.Tensor, errors: tf.Tensor) -> tf.Tensor:
        return row_errors.first_of(
            errors,
            row_errors.wrong_lengths(lengths, tf.shape(inputs)[1]),
            row_errors.wrong_inputs(inputs, lengths, self.stream.ngrams),
        )

    def _checked_words(self, words: tf.Tensor, lengths: tf.Tensor, errors: tf.Tensor) -> tf.Tensor:
        wrong_lengths = row_errors.wrong_lengths(lengths, tf.shape(words)[1])
        return row_errors.first_of(errors, wrong_lengths, row_errors.wrong_words(words, lengths))

    def _outputs(self, logits: tf.Tensor, errors: tf.Tensor, task: Mapping[str, tf.Tensor] | None = None) -> Outputs:
        outputs = {"logits": logits, **self.model.outputs.predictions(logits), **(task or {})}
        return row_errors.without_bad_rows(outputs, errors)

    def _tags(
        self,
        logits: tf.Tensor,
        lengths: tf.Tensor,
        given: tf.Tensor,
        errors: tf.Tensor,
        task: Mapping[str, tf.Tensor] | None = None,
    ) -> Outputs:
        outputs = tags_of(self.model.outputs.predictions(logits), lengths, self.stream.class_names)
        outputs = {name: value[: given[0], : given[1]] for name, value in outputs.items()}
        return row_errors.without_bad_rows({**outputs, **(task or {})}, errors)


class SharedInference(TaskInference):
    """Infers tasks with weights of all of them that are made by one graph for all signatures."""

    def __init__(self, model: TaskModel, num_tasks: int, weights_of_all: Callable[[], Weights]) -> None:
        super().__init__(model, num_tasks)
        self._weights_of_all = weights_of_all

    def all_weights(self) -> Weights:
        """See `TaskInference`."""
        return self._weights_of_all()


def _served(parts: Parts) -> TaskModel:
    """The trained model with the network that is served."""
    model = parts.model
    outputs = cast(OutputName, model.outputs.name)
    return TaskModel(parts.network, model.source, outputs, model.embedding, model.num_task_ids)


def _answerable(errors: tf.Tensor, *values: tf.Tensor) -> list[tf.Tensor]:
    """Values [B, ...] that the network can read: 0 or "" in rows that have an error, and no axis of size 0.

    The first value is [B, T, ...]. Where B or T is 0, a row or a step is added.
    """
    is_good = errors == row_errors.FINE
    missing = tf.cast(tf.shape(values[0])[:2] == 0, tf.int32)
    answerable = []
    for value in values:
        of_row = tf.reshape(is_good, [-1] + [1] * (value.shape.rank - 1))
        sizes = [missing[0], *([missing[1]] if value is values[0] else [])]
        more = [[0, size] for size in sizes] + [[0, 0]] * (value.shape.rank - len(sizes))
        answerable.append(tf.pad(tf.where(of_row, value, tf.zeros_like(value)), more))
    return answerable


def _rows(outputs: Outputs, num_rows: tf.Tensor) -> Outputs:
    return {name: value[:num_rows] for name, value in outputs.items()}
