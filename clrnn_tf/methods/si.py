"""SI: synaptic intelligence. Weights that brought the loss down on old tasks are held in place.

During the training of a task, the contribution omega_i of every weight theta_i to the decrease of the loss is added
up. After the task it becomes an importance Omega_i (Zenke, Poole & Ganguli, ICML 2017):

    omega_i <- omega_i - g_i * delta_i                                                 at every step
    Omega_i <- Omega_i + max(0, omega_i / ((theta_i - theta*_i)^2 + 1e-3)),  theta* <- theta,  omega <- 0     after it

    loss = task loss + strength * sum_i Omega_i (theta_i - theta*_i)^2

`importance` says what g and delta are:

    task_loss    g: unclipped gradient of the task's loss alone; delta: the step that Adam would take along g with its
                 present moments (Ehret et al. 2021, all published runs)
    total_loss   g: clipped gradient of all losses; delta: the step really taken

Weight decay is part of delta in both; the published look-ahead drops it by mistake. The weights of the main network
are protected, and a table of n-grams that all tasks share. Tables of single tasks need no protection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from clrnn_tf.config import Experiment
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weights import Weights, bytes_of
from clrnn_tf.optimizers import Optimizer
from clrnn_tf.ranges import NonNegative, Settings
from clrnn_tf.streams.tasks import Task

_DAMPING = 1e-3  # added to the squared change of a weight during a task


@dataclass(frozen=True)
class Config(Settings):
    """Options of SI."""

    strength: NonNegative = 0.01
    """Strength of the pull towards the weights after the last task (the paper's lambda or c)."""
    importance: Literal["task_loss", "total_loss"] = "task_loss"
    """Whose gradient and step make the importances: `task_loss`, as published (a second backward pass), or
    `total_loss`, the clipped gradient of all losses and the step really taken."""


class SI(Method[Config]):
    """See the module's docstring."""

    loss_names = ("si_penalty",)

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self.needs_task_gradients = self.options.importance == "task_loss"
        table = [] if setup.shared_table is None else [setup.shared_table]
        self._protected = [*self.variables_to_train(), *table]
        self.importances = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._protected]  # Omega
        self.anchors = [tf.Variable(v, trainable=False) for v in self._protected]  # theta*
        self.contributions = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._protected]  # omega

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Nothing to refuse: only heads have rows for tasks, and those of a new one have no importance yet."""

    def state_variables(self) -> list[tf.Variable]:
        """Importances, anchors and the contributions of the present task."""
        return [*self.importances, *self.anchors, *self.contributions]

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The shared weights, and the weighted squared distance to the anchors."""
        weights, _ = super().weights_and_penalties(task_id, step)
        distances = [
            tf.reduce_sum(importance * tf.square(variable - anchor))
            for variable, importance, anchor in zip(self._protected, self.importances, self.anchors, strict=True)
        ]
        return weights, {"si_penalty": self.options.strength * tf.add_n(distances)}

    def before_update(
        self, task_gradients: Sequence[tf.Tensor], optimizer: Optimizer, learning_rate: tf.Tensor, accept: tf.Tensor
    ) -> None:
        """Count the look-ahead step along the task's gradient."""
        gradients = task_gradients[: len(self._protected)]
        self._count(gradients, optimizer.look_ahead(gradients, learning_rate), accept)

    def after_update(
        self, before: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor], optimizer: Optimizer, accept: tf.Tensor
    ) -> None:
        """Count the step taken, in the mode that does."""
        if self.options.importance == "total_loss":
            changes = [variable - old for variable, old in zip(self._protected, before, strict=False)]
            self._count(gradients[: len(self._protected)], changes, accept)

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Turn the task's contributions into importances, and make its weights the anchors."""
        for variable, importance, anchor, contribution in zip(
            self._protected, self.importances, self.anchors, self.contributions, strict=True
        ):
            gained = contribution / (tf.square(variable - anchor) + _DAMPING)
            importance.assign_add(tf.maximum(gained, 0.0))
            anchor.assign(variable)
            contribution.assign(tf.zeros_like(contribution))

    def kept_bytes(self) -> dict[str, int]:
        """Three numbers for each weight, for any number of tasks."""
        size = bytes_of(sum(int(tf.size(variable)) for variable in self._protected))
        return {"importances": size, "anchors": size, "contributions": size}

    def _count(self, gradients: Sequence[tf.Tensor], changes: Sequence[tf.Tensor], accept: tf.Tensor) -> None:
        for contribution, gradient, change in zip(self.contributions, gradients, changes, strict=True):
            contribution.assign(tf.where(accept, contribution - gradient * change, contribution))


METHOD = SI
