"""Keeps what a hypernetwork generates for old tasks where it was (von Oswald et al. 2020).

With h(e_j, theta) the weights that task j uses and (e*, theta*) the hypernetwork as it was remembered,

    R(S) = 1 / |S| * sum_{j in S} || h(e_j, theta) - h(e_j*, theta*) ||^2

over a set S of old tasks. The last layer of the hypernetwork is a product z A + b of hidden units z [H] and a kernel A
[H, C], so that for a chunk which a task uses as a whole

    || z A + b - z* A* - b* ||^2 = u M M^T u^T,     u = [z - z*, z*, 1],  M = [A; A - A*; b - b*]

and the Gram matrix M M^T [2H + 1, 2H + 1] is the same for all chunks of all tasks: with chunks much wider than the
hidden layer no weight of an old task has to be generated. Differences stand in u and M, so nothing cancels. The form
that needs fewer operations is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.hypernetwork import Hypernetwork
from clrnn_tf.loss_program import with_gradients
from clrnn_tf.task_blocks import TaskBlocks
from clrnn_tf.weights import Weights, unpack_own


@dataclass(frozen=True)
class RegularizerConfig:
    """Options of the output regulariser."""

    strength: float = 0.01
    """Strength of the output regulariser (the paper's beta)."""
    targets: Literal["fixed", "online"] = "fixed"
    """`fixed` stores what the old tasks' targets are made of before each task; `online` keeps the old hypernetwork
    and generates them again at every step: the same values for less memory and more time."""
    tasks_per_step: int | None = None
    """Old tasks regularised per step, drawn at random without replacement; `None` takes all."""

    def check(self, method: str) -> None:
        """Refuse values that mean nothing, under the name of the method that has them."""
        require(self.strength >= 0, f"{method}.strength must not be negative. Received: {self.strength}.")
        require(
            self.tasks_per_step is None or self.tasks_per_step > 0,
            f"{method}.tasks_per_step must be above 0, or None for all old tasks. Received: {self.tasks_per_step}.",
        )


class OutputRegularizer(tf.Module):
    """R(S) of the module's docstring.

    Args:
      source: The hypernetwork.
      config: Strength of R, and how it is computed.
      gram: Whether to use Gram matrices; None lets the number of operations decide.
      jit: Whether XLA compiles it, once for all tasks.
    """

    def __init__(
        self, source: Hypernetwork, config: RegularizerConfig, gram: bool | None = None, jit: bool = False
    ) -> None:
        super().__init__()
        self.source, self.config = source, config
        num_tasks = source.num_tasks
        most_old = max(1, min(num_tasks - 1, config.tasks_per_step or num_tasks))
        if gram is None:
            gram = _pays(source, most_old)
        has_hidden_layer = len(source.kernels) > 1
        self.num_gram_chunks = source.num_whole_chunks if gram and has_hidden_layer else 0
        hidden, rest = self._taken_apart(source, tf.constant([0]))
        if config.targets == "online":
            self._old_source = Hypernetwork.from_config(source.get_config())
        else:
            self._old_source = None
            self._old_hidden = tf.Variable(tf.zeros([num_tasks, *hidden.shape[1:]]), trainable=False)
            self._old_rest = tf.Variable(tf.zeros([num_tasks, *rest.shape[1:]]), trainable=False)
            self._old_layer = [
                tf.Variable(tf.zeros(values.shape if self.num_gram_chunks else [0]), trainable=False)
                for values in source.last_layer
            ]
        self.blocks = TaskBlocks(most_old, numbers_per_task=2 * int(tf.size(hidden)) + int(tf.size(rest)))
        self.weights_of = tf.function(self._weights_of_task, jit_compile=jit)
        """Weights that the hypernetwork generates for a task (scalar id), compiled as the regulariser is."""
        self._present = tf.function(self._taken_apart, jit_compile=jit)
        self._gram = tf.function(self._gram_of_last_layers, jit_compile=jit)
        self._add_block = tf.function(self._with_block_added, jit_compile=jit)
        self._last_layer_gradients = tf.function(self._last_layer_gradients_of, jit_compile=jit)

    def remember(self, num_old: int) -> None:
        """What is generated now for tasks 0 .. num_old - 1 becomes their target."""
        if self._old_source:
            self._old_source.copy_from(self.source)
            return
        self._remember_tasks(tf.constant(num_old))
        if self.num_gram_chunks:
            for old, new in zip(self._old_layer, self.source.last_layer, strict=True):
                old.assign(new)

    def __call__(self, task_id: tf.Tensor, key: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """The loss strength * R(S) that training task `task_id` adds; scalar.

        Args:
          task_id: t, scalar.
          key: [2] seed that decides which old tasks take part.
          dropout_key: See `Hypernetwork.generate`.
        """
        return self.config.strength * self.distance(self.regularized_tasks(task_id, key), dropout_key)

    def regularized_tasks(self, task_id: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """S as ids [n] of old tasks; none at strength 0."""
        if self.config.strength == 0.0:
            return tf.zeros([0], tf.int32)
        if self.config.tasks_per_step is None:
            return tf.range(task_id)
        draws = tf.random.stateless_uniform([self.source.num_tasks], key)
        draws = tf.where(tf.range(self.source.num_tasks) < task_id, draws, 2.0)
        return tf.argsort(draws)[: tf.minimum(self.config.tasks_per_step, task_id)]

    def targets(self, old_ids: tf.Tensor) -> tf.Tensor:
        """[n, V] weights of old tasks `old_ids` [n] as remembered (`clrnn_tf.weights.unpack_own`)."""
        hidden, rest = self._remembered(old_ids)
        if self.num_gram_chunks == 0:
            return rest
        kernel, bias = self._old_last_layer()
        whole = tf.matmul(tf.reshape(hidden, [-1, kernel.shape[0]]), kernel) + bias
        return tf.concat([tf.reshape(whole, [tf.size(old_ids), -1]), rest], axis=1)

    def distance(self, old_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """R of the old tasks `old_ids` [n]; 0 without any.

        Tasks are compared in blocks of two sizes, each in one batched call, and a block's gradient is taken at once:
        two programs serve any number of tasks, with no more memory for 100 of them than for one block. The Gram matrix
        is made once for all blocks, and its gradient goes back to the last layer once.
        """
        variables, number = self._variables(), tf.size(old_ids)
        side = 2 * self.source.kernels[-1].shape[0] + 1 if self.num_gram_chunks else 0
        gram = tf.cond(number > 0, self._gram, lambda: tf.zeros([side, side]))
        scale = 1.0 / tf.cast(tf.maximum(number, 1), tf.float32)

        def add_block(positions: tf.Tensor, counts: tf.Tensor, total: tf.Tensor, sums: list[tf.Tensor]) -> tuple:
            ids = tf.gather(old_ids, positions)
            return self._add_block(ids, scale * counts, dropout_key, gram, total, sums)

        sums = [tf.zeros_like(each) for each in (*variables, gram)]
        total, (*gradients, gram_gradient) = self.blocks.loop(number, add_block, (tf.constant(0.0), sums))
        if self.num_gram_chunks:
            gradients = tf.cond(
                number > 0, lambda: self._last_layer_gradients(gradients, gram_gradient), lambda: gradients
            )
        return with_gradients(total, gradients, variables)

    def kept_bytes(self) -> dict[str, int]:
        """What the targets are made of, or the copy of the hypernetwork that makes them again."""
        if self._old_source:
            return {"old_hypernetwork": 4 * self._old_source.count_params()}
        return {"targets": 4 * sum(int(tf.size(v)) for v in (self._old_hidden, self._old_rest, *self._old_layer))}

    def _weights_of_task(self, task_id: tf.Tensor, dropout_key: tf.Tensor | None = None) -> Weights:
        return unpack_own(self.source.generate_own(task_id[tf.newaxis], dropout_key)[0], self.source.specs)

    @tf.function
    def _remember_tasks(self, number: tf.Tensor) -> None:
        """Targets of tasks 0 .. number - 1.

        In the blocks in which they are compared: else rounding would tell a network from itself.
        """

        def remember_block(ids: tf.Tensor, _counts: tf.Tensor) -> tuple:  # what fills a block up is remembered twice
            present = self._present(self.source, ids)
            for old, new in zip((self._old_hidden, self._old_rest), present, strict=True):
                old.scatter_update(tf.IndexedSlices(new, ids))
            return ()

        self.blocks.loop(number, remember_block, ())

    def _variables(self) -> list[tf.Variable]:
        return [variable.value for variable in self.source.trainable_variables]

    def _with_block_added(
        self,
        ids: tf.Tensor,
        shares: tf.Tensor,
        dropout_key: tf.Tensor | None,
        gram: tf.Tensor,
        total: tf.Tensor,
        sums: list[tf.Tensor],
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """`total` and `sums` with the distances of one block, weighted by `shares`, and their gradients added.

        Gradients are those of the hypernetwork's variables and of the Gram matrix, each with the others constant.
        """
        of = [*self._variables(), gram]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(of)
            distance = self._sum_of_distances(ids, shares, gram, dropout_key)
        gradients = tape.gradient(distance, of, unconnected_gradients="zero")
        return total + distance, [
            each + tf.convert_to_tensor(gradient) for each, gradient in zip(sums, gradients, strict=True)
        ]

    def _sum_of_distances(
        self, old_ids: tf.Tensor, shares: tf.Tensor, gram: tf.Tensor, dropout_key: tf.Tensor | None
    ) -> tf.Tensor:
        old_hidden, old_rest = self._remembered(old_ids)
        hidden, rest = self._taken_apart(self.source, old_ids, dropout_key)
        distance = tf.reduce_sum(shares[:, tf.newaxis] * tf.square(rest - old_rest))
        if self.num_gram_chunks == 0:
            return distance
        rows = tf.concat([hidden - old_hidden, old_hidden, tf.ones_like(hidden[..., :1])], axis=-1)
        rows = rows * tf.sqrt(shares)[:, tf.newaxis, tf.newaxis]
        return distance + quadratic_forms(tf.reshape(rows, [-1, gram.shape[0]]), gram)

    def _last_layers(self) -> tf.Tensor:
        """M = [A; A - A*; b - b*], [2H + 1, C]."""
        (kernel, bias), (old_kernel, old_bias) = self.source.last_layer, self._old_last_layer()
        return tf.concat([kernel, kernel - old_kernel, (bias - old_bias)[tf.newaxis]], axis=0)

    def _gram_of_last_layers(self) -> tf.Tensor:
        """M M^T [2H + 1, 2H + 1]; empty where it is not used."""
        if self.num_gram_chunks == 0:
            return tf.zeros([0, 0])
        matrix = self._last_layers()
        return tf.matmul(matrix, matrix, transpose_b=True)

    def _last_layer_gradients_of(self, gradients: list[tf.Tensor], gram_gradient: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of the variables with what comes by way of the Gram matrix added: dM = 2 (dG) M."""
        moved, units = 2.0 * tf.matmul(gram_gradient, self._last_layers()), self.source.kernels[-1].shape[0]
        added = {self.source.kernels[-1].value.ref(): moved[:units] + moved[units:-1]}
        if self.source.config.use_bias:
            added[self.source.biases[-1].value.ref()] = moved[-1]
        return [
            gradient + added.get(variable.ref(), 0.0)
            for gradient, variable in zip(gradients, self._variables(), strict=True)
        ]

    def _remembered(self, old_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Hidden units and other weights of old tasks, as `_taken_apart`; constants."""
        if self._old_source is None:
            return tf.gather(self._old_hidden, old_ids), tf.gather(self._old_rest, old_ids)
        hidden, rest = self._taken_apart(self._old_source, old_ids)
        return tf.stop_gradient(hidden), tf.stop_gradient(rest)

    def _old_last_layer(self) -> Sequence[tf.Tensor]:
        """Kernel A* and bias b* of the last layer as remembered."""
        return self._old_layer if self._old_source is None else self._old_source.last_layer

    def _taken_apart(
        self, source: Hypernetwork, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Last hidden units of the chunks that Gram matrices serve [n, chunks, H], and all other weights [n, rest]."""
        hidden = source.own_hidden(task_ids, dropout_key)
        return hidden[:, : self.num_gram_chunks], source.own_weights(hidden, task_ids, self.num_gram_chunks)


@tf.custom_gradient
def quadratic_forms(rows: tf.Tensor, gram: tf.Tensor):  # noqa: ANN201
    """Sum of u G u^T over the rows u of `rows` [n, h], for a symmetric `gram` G [h, h].

    Gradients: 2 u G for a row, and sum u^T u over the rows for G.
    """
    products = tf.matmul(rows, gram)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return 2.0 * upstream * products, upstream * tf.matmul(rows, rows, transpose_a=True)

    return tf.reduce_sum(products * rows), gradient


def _pays(source: Hypernetwork, num_old: int) -> bool:
    """Whether Gram matrices take fewer operations than generating, for this many tasks."""
    units, width = source.kernels[-1].shape
    rows = num_old * source.num_whole_chunks
    return 4 * (2 * units + 1) ** 2 * (rows + width) < 6 * rows * units * width
