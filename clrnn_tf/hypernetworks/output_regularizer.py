"""The output regulariser: a penalty on changes of what is generated for old tasks (von Oswald et al. 2020).

With h(e_j, theta) the weights that task j uses, and (e*, theta*) the hypernetwork when `remember` was last called,

    R(S) = 1 / |S| * sum_{j in S} || h(e_j, theta) - h(e_j*, theta*) ||^2

over a set S of old tasks. The last layer of the hypernetwork is a product z A + b of hidden units z [H] and a kernel A
[H, C]. For a chunk that a task uses as a whole,

    || z A + b - z* A* - b* ||^2 = u M M^T u^T,     u = [z - z*, z*, 1],  M = [A; A - A*; b - b*]

and the Gram matrix M M^T [2H + 1, 2H + 1] is the same for all chunks of all tasks. With chunks much wider than the
hidden layer, no weight of an old task has to be generated. u and M hold differences, so that no large numbers cancel.
The form that needs fewer operations is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from clrnn_tf.execution.loss_program import with_gradients
from clrnn_tf.execution.task_blocks import TaskBlocks
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.targets import FixedTargets, OnlineTargets, split_outputs
from clrnn_tf.networks.weights import Weights, unpack_task
from clrnn_tf.ranges import NonNegative, PositiveInt, Settings


@dataclass(frozen=True)
class RegularizerConfig(Settings):
    """Options of the output regulariser."""

    strength: NonNegative = 0.01
    """Strength of the output regulariser (the paper's beta)."""
    targets: Literal["fixed", "online"] = "fixed"
    """`fixed` stores the targets of the old tasks before each task; `online` keeps the old hypernetwork and generates
    them again at every step: the same values for less memory and more time."""
    tasks_per_step: PositiveInt | None = None
    """Old tasks regularised per step, drawn at random without replacement; `None` takes all."""


class OutputRegularizer(tf.Module):
    """R(S) of the module's docstring.

    Args:
      source: The hypernetwork. Tasks that are added to it later need a new regulariser.
      config: Strength of R, and how it is computed.
      gram: Whether to use Gram matrices; None lets the number of operations decide.
      jit: Whether XLA compiles it, once for all tasks.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Hypernetwork, HypernetworkConfig, WeightSpec
      >>> from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
      >>> specs = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5)]
      >>> hypernetwork = Hypernetwork(specs, HypernetworkConfig(chunk_size=2), num_tasks=3)
      >>> regularizer = OutputRegularizer(hypernetwork, RegularizerConfig(strength=0.1))
      >>> regularizer.remember(2)
      >>> float(regularizer.distance(tf.constant([0, 1])))
      0.0
      >>> _ = hypernetwork.biases[-1].assign_add([1.0, 0.0])  # moves one weight of each of the three chunks by 1
      >>> round(float(regularizer.distance(tf.constant([0, 1]))), 4)
      3.0
      >>> round(float(regularizer(tf.constant(2), key=tf.constant([0, 0]))), 4)
      0.3
    """

    def __init__(
        self, source: Hypernetwork, config: RegularizerConfig, gram: bool | None = None, jit: bool = False
    ) -> None:
        super().__init__()
        self.source, self.config = source, config
        max_old = max(1, min(source.num_tasks - 1, config.tasks_per_step or source.num_tasks))
        if gram is None:
            gram = _gram_takes_fewer_operations(source, max_old)
        has_hidden_layer = len(source.kernels) > 1
        self.num_gram_chunks = source.num_whole_chunks if gram and has_hidden_layer else 0
        hidden, weights = split_outputs(source, self.num_gram_chunks, tf.constant([0]))
        self.blocks = TaskBlocks(max_old, numbers_per_task=2 * int(tf.size(hidden)) + int(tf.size(weights)))
        self.targets = (
            OnlineTargets(source, self.num_gram_chunks)
            if config.targets == "online"
            else FixedTargets(source, self.num_gram_chunks, self.blocks, jit)
        )
        self.weights_of = tf.function(self._weights_of_task, jit_compile=jit, autograph=False)
        """Weights that the hypernetwork generates for a task (scalar id), compiled as the regulariser is."""
        self._gram = tf.function(self._gram_of_last_layers, jit_compile=jit, autograph=False)
        self._add_block = tf.function(self._with_block_added, jit_compile=jit, autograph=False)
        self._last_layer_gradients = tf.function(self._last_layer_gradients_of, jit_compile=jit, autograph=False)

    def remember(self, num_old: int) -> None:
        """Make what is generated now for tasks 0 .. num_old - 1 their targets."""
        self.targets.remember(num_old)

    @tf.autograph.experimental.do_not_convert
    def __call__(self, task_id: tf.Tensor, key: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """The loss strength * R(S) that training task `task_id` adds; scalar.

        Args:
          task_id: t, scalar.
          key: [2] seed of the choice of old tasks.
          dropout_key: See `Hypernetwork.generate`.
        """
        return self.config.strength * self.distance(self.regularized_tasks(task_id, key), dropout_key)

    def regularized_tasks(self, task_id: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """S as ids [n] of old tasks; empty at strength 0. See `__call__` for the arguments."""
        if self.config.strength == 0.0:
            return tf.zeros([0], tf.int32)
        if self.config.tasks_per_step is None:
            return tf.range(task_id)
        draws = tf.random.stateless_uniform([self.source.num_tasks], key)
        draws = tf.where(tf.range(self.source.num_tasks) < task_id, draws, 2.0)
        return tf.argsort(draws)[: tf.minimum(self.config.tasks_per_step, task_id)]

    def distance(self, old_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """R of the old tasks `old_ids` [n]; 0 if there is none.

        Tasks are compared in blocks of two sizes, and the gradient of a block is computed along with its distance. Two
        programs serve any number of tasks, and 100 tasks need no more memory than one block. The Gram matrix is
        computed once for all blocks, and its gradient is propagated to the last layer once.
        """
        variables, number = self._variables(), tf.size(old_ids)
        side = 2 * self.source.kernels[-1].shape[0] + 1 if self.num_gram_chunks else 0
        gram = tf.cond(number > 0, self._gram, lambda: tf.zeros([side, side]))
        scale = 1.0 / tf.cast(tf.maximum(number, 1), tf.float32)

        def add_block(positions: tf.Tensor, counts: tf.Tensor, total: tf.Tensor, sums: list[tf.Tensor]) -> tuple:
            ids = tf.gather(old_ids, positions)
            total, *sums = _not_accumulated([total, *sums])
            return self._add_block(ids, scale * counts, dropout_key, gram, total, sums)

        sums = [tf.zeros_like(tensor) for tensor in (*variables, gram)]
        total, (*gradients, gram_gradient) = self.blocks.loop(number, add_block, (tf.constant(0.0), sums))
        if self.num_gram_chunks:
            gradients = tf.cond(
                number > 0, lambda: self._last_layer_gradients(gradients, gram_gradient), lambda: gradients
            )
        return with_gradients(total, gradients, variables)

    def kept_bytes(self) -> dict[str, int]:
        """Memory of the targets in bytes, by the name of what is kept."""
        return self.targets.kept_bytes()

    def _weights_of_task(self, task_id: tf.Tensor, dropout_key: tf.Tensor | None = None) -> Weights:
        return unpack_task(self.source.generate_for(task_id[tf.newaxis], dropout_key)[0], self.source.specs)

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
        """Add the distances of one block, weighted by `shares` [n], to `total`, and their gradients to `sums`.

        The gradients are partial ones, with respect to the hypernetwork's variables and to the Gram matrix.
        """
        inputs = [*self._variables(), gram]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            distance = self._sum_of_distances(ids, shares, gram, dropout_key)
        gradients = tape.gradient(distance, inputs, unconnected_gradients="zero")
        return total + distance, [
            partial_sum + tf.convert_to_tensor(gradient) for partial_sum, gradient in zip(sums, gradients, strict=True)
        ]

    def _sum_of_distances(
        self, old_ids: tf.Tensor, shares: tf.Tensor, gram: tf.Tensor, dropout_key: tf.Tensor | None
    ) -> tf.Tensor:
        old, new = self.targets.outputs(old_ids), split_outputs(self.source, self.num_gram_chunks, old_ids, dropout_key)
        # sum_j share_j || w_j - w_j* ||^2 over the weights that are generated
        distance = tf.reduce_sum(shares[:, tf.newaxis] * tf.square(new.weights - old.weights))
        if self.num_gram_chunks == 0:
            return distance
        # sqrt(share_j) u = sqrt(share_j) [z - z*, z*, 1] for all other chunks
        rows = tf.concat([new.hidden - old.hidden, old.hidden, tf.ones_like(new.hidden[..., :1])], axis=-1)
        rows = rows * tf.sqrt(shares)[:, tf.newaxis, tf.newaxis]
        return distance + quadratic_forms(tf.reshape(rows, [-1, gram.shape[0]]), gram)

    def _last_layers(self) -> tf.Tensor:
        """M = [A; A - A*; b - b*], [2H + 1, C]."""
        (kernel, bias), (old_kernel, old_bias) = self.source.last_layer, self.targets.last_layer()
        return tf.concat([kernel, kernel - old_kernel, (bias - old_bias)[tf.newaxis]], axis=0)

    def _gram_of_last_layers(self) -> tf.Tensor:
        """M M^T [2H + 1, 2H + 1]; [0, 0] where it is not used."""
        if self.num_gram_chunks == 0:
            return tf.zeros([0, 0])
        matrix = self._last_layers()
        return tf.matmul(matrix, matrix, transpose_b=True)

    def _last_layer_gradients_of(self, gradients: list[tf.Tensor], gram_gradient: tf.Tensor) -> list[tf.Tensor]:
        """Add to the gradients of the variables what reaches the last layer through the Gram matrix G = M M^T."""
        matrix_gradient = 2.0 * tf.matmul(gram_gradient, self._last_layers())  # dM = 2 (dG) M, of [A; A - A*; b - b*]
        units = self.source.kernels[-1].shape[0]
        added = {self.source.kernels[-1].value.ref(): matrix_gradient[:units] + matrix_gradient[units:-1]}
        if self.source.config.use_bias:
            added[self.source.biases[-1].value.ref()] = matrix_gradient[-1]
        return [
            gradient + added.get(variable.ref(), 0.0)
            for gradient, variable in zip(gradients, self._variables(), strict=True)
        ]


@tf.custom_gradient
def quadratic_forms(rows: tf.Tensor, gram: tf.Tensor):  # noqa: ANN201
    """Sum of u G u^T over the rows u of `rows` [n, h], for a symmetric `gram` G [h, h].

    Gradients: 2 u G for a row, and sum u^T u over the rows for G.
    """
    products = tf.matmul(rows, gram)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return 2.0 * upstream * products, upstream * tf.matmul(rows, rows, transpose_a=True)

    return tf.reduce_sum(products * rows), gradient


def _gram_takes_fewer_operations(source: Hypernetwork, num_old: int) -> bool:
    """Whether Gram matrices need fewer multiplications and additions than generating the weights of `num_old` tasks.

    With n chunks to compare, forward and backward: 4 (2H + 1)^2 (n + C) for the products with and of the Gram matrix,
    and 6 n H C for z A and its two gradients.
    """
    units, width = source.kernels[-1].shape
    chunks = num_old * source.num_whole_chunks
    return 4 * (2 * units + 1) ** 2 * (chunks + width) < 6 * chunks * units * width


def _not_accumulated(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """The variables of a loop, behind an operation that costs nothing, for use as addends in the loop's body.

    Without XLA and with much memory in use, TensorFlow's memory optimiser turns a sum of three or more into
    accumulations in a temporary variable, made as soon as the node of the first addend has run. For a loop variable
    this is a Switch node, which runs in the last, dead iteration too: there the temporary variable is made and never
    deleted, and the next loop fails with AlreadyExistsError. (An identity does not help; it is optimised away.)
    """
    return [tf.ensure_shape(tensor, tensor.shape) for tensor in tensors]
