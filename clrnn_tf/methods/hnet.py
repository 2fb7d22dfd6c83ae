"""HNET: a hypernetwork generates the weights of every task, and must keep generating those of old tasks.

With h(e_t, theta) the generated weights and (e*, theta*) the hypernetwork as it was before task t, training task t
(counted from 0) adds to the task's loss

    strength / |S| * sum_{j in S} || h_j(e_j, theta) - h_j(e_j*, theta*) ||^2,     S within {0, ..., t-1}

where h_j are the weights that task j uses: all but the heads of other tasks. Embeddings of old tasks are trained
along. Sources: von Oswald et al., "Continual learning with hypernetworks" (ICLR 2020); Ehret et al. (ICLR 2021).
There is no look-ahead of theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from clrnn_tf.config import require
from clrnn_tf.hypernetwork import Hypernetwork
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.tasks import Task
from clrnn_tf.weights import Weights, unpack_own

_DROPOUT, _SUBSET = 0, 1  # which draw of a step a random key is for
_BLOCK_SIZE = 2_000_000  # weights generated at once for the regulariser: 8 MB, and half a dozen arrays of that size


@dataclass(frozen=True)
class Config:
    """Options of HNET."""

    strength: float = 0.01
    """Strength of the output regulariser (the paper's beta)."""
    targets: Literal["fixed", "online"] = "fixed"
    """`fixed` stores the old tasks' weights before each task; `online` keeps the old hypernetwork and generates
    them again at every step: the same values for less memory and more time."""
    tasks_per_step: int | None = None
    """Old tasks regularised per step, drawn at random without replacement; `None` takes all."""

    def __post_init__(self) -> None:
        require(self.strength >= 0, f"hnet.strength must not be negative. Received: {self.strength}.")
        require(
            self.tasks_per_step is None or self.tasks_per_step > 0,
            f"hnet.tasks_per_step must be above 0, or None for all old tasks. Received: {self.tasks_per_step}.",
        )


class HNET(Method):
    """See the module's docstring."""

    uses_hypernetwork = True
    loss_names = ("output_regularizer",)
    source: Hypernetwork

    def __init__(self, setup: MethodSetup) -> None:
        super().__init__(setup)
        self.options: Config = setup.options
        self._tasks_per_block = max(1, _BLOCK_SIZE // self.source.num_own_weights)
        if self.options.targets == "online":
            self._old_source = Hypernetwork.from_config(self.source.get_config())
        else:
            self._targets = tf.Variable(tf.zeros([setup.num_tasks, self.source.num_own_weights]), trainable=False)

    def make_source(self) -> Hypernetwork:
        """A hypernetwork with an embedding for every task."""
        setup = self.setup
        return Hypernetwork(setup.network.weight_specs, setup.hypernetwork, setup.num_tasks, setup.seed)

    def before_task(self, task: Task) -> None:
        """Remember what the hypernetwork generates for the old tasks."""
        if self.options.targets == "online":
            for old, new in zip(self._old_source.variables, self.source.variables, strict=True):
                old.assign(new.value)
        else:
            for old_id in range(task.task_id):  # one at a time: memory does not grow with the number of tasks
                self._targets[old_id].assign(self.source.generate_own(tf.constant([old_id]))[0])

    def weights_and_penalties(
        self, task_id: tf.Tensor, step: tf.Tensor
    ) -> tuple[Weights, dict[str, tf.Tensor]]:
        """Generate the weights of the current task, and compare those of old ones with their targets."""
        key = tf.stack([self.setup.seed, task_id, step])
        dropout_key = self._key(key, _DROPOUT) if self.setup.hypernetwork.dropout else None
        generated = self.source.generate_own(task_id[tf.newaxis], dropout_key)
        old_ids = self.regularized_tasks(task_id, self._key(key, _SUBSET))
        penalty = self.options.strength * self.output_regularizer(old_ids, dropout_key)
        return unpack_own(generated[0], self.source.specs), {"output_regularizer": penalty}

    def output_regularizer(self, old_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Mean over old tasks [n] of the squared distance of their own weights to their targets; 0 without any.

        Tasks are generated in blocks, each in one batched call, and a block's gradient is taken at once, so that no
        more memory is needed for 100 tasks than for one block.
        """
        variables = [variable.value for variable in self.source.trainable_variables]
        none = [tf.zeros_like(variable) for variable in variables]

        def add_block(start: tf.Tensor, total: tf.Tensor, sums: list[tf.Tensor]) -> tuple:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                distance = self._distance(old_ids[start : start + self._tasks_per_block], dropout_key)
            gradients = tape.gradient(distance, variables, unconnected_gradients="zero")
            return start + self._tasks_per_block, total + distance, [
                each + tf.convert_to_tensor(gradient) for each, gradient in zip(sums, gradients, strict=True)
            ]

        start = (tf.constant(0), tf.constant(0.0), none)
        _, total, gradients = tf.while_loop(lambda first, *_: first < tf.size(old_ids), add_block, start)
        scale = 1.0 / tf.cast(tf.maximum(tf.size(old_ids), 1), tf.float32)
        return _with_gradients(total * scale, [gradient * scale for gradient in gradients], variables)

    def _distance(self, old_ids: tf.Tensor, dropout_key: tf.Tensor | None) -> tf.Tensor:
        if self.options.targets == "online":
            targets = tf.stop_gradient(self._old_source.generate_own(old_ids))
        else:
            targets = tf.gather(self._targets, old_ids)
        return tf.reduce_sum(tf.square(self.source.generate_own(old_ids, dropout_key) - targets))

    def regularized_tasks(self, task_id: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Ids [n] of the old tasks that this step regularises."""
        if self.options.strength == 0.0:
            return tf.zeros([0], tf.int32)
        if self.options.tasks_per_step is None:
            return tf.range(task_id)
        draws = tf.random.stateless_uniform([self.setup.num_tasks], key)
        draws = tf.where(tf.range(self.setup.num_tasks) < task_id, draws, 2.0)
        return tf.argsort(draws)[: tf.minimum(self.options.tasks_per_step, task_id)]

    def kept_bytes(self) -> dict[str, int]:
        """The targets of all tasks, or the copy of the hypernetwork that makes them again."""
        if self.options.targets == "online":
            return {"old_hypernetwork": 4 * self._old_source.count_params()}
        return {"targets": 4 * int(tf.size(self._targets))}

    def report(self) -> dict[str, float]:
        """Adds the compression ratio: parameters of the hypernetwork per generated weight."""
        return {**super().report(), "compression_ratio": self.source.compression_ratio}

    @staticmethod
    def _key(key: tf.Tensor, purpose: int) -> tf.Tensor:
        """[2] seed from (seed, task, step) and the purpose of the draw."""
        folded = tf.random.experimental.stateless_fold_in(key[:2], key[2])
        return tf.random.experimental.stateless_fold_in(folded, purpose)


def _with_gradients(
    value: tf.Tensor, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable]
) -> tf.Tensor:
    """`value` as a function of `variables` whose gradients are known."""

    @tf.custom_gradient
    def run(*values: tf.Tensor):  # noqa: ANN202
        del values
        return tf.stop_gradient(value), lambda upstream: [upstream * gradient for gradient in gradients]

    return run(*[tf.convert_to_tensor(variable) for variable in variables])


METHOD = HNET
