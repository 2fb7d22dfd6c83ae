"""Online EWC: weights are held in place, the more so the higher their Fisher information on old tasks.

    loss = task loss + strength * 1/2 sum_i F_i (theta_i - theta*_i)^2
    F <- F_t + gamma F,   theta* <- theta       once after each task t

with the exact empirical Fisher diagonal F_t (`clrnn_tf.methods.parts.fisher`). Sources: Kirkpatrick et al. (PNAS
2017); Schwarz et al., "Progress & Compress" (ICML 2018). The published code of Ehret et al. multiplies the stored F
by gamma at every step, which is the same only for gamma = 1. The weights of the main network are protected, heads
included, and a table of n-grams that all tasks share. Tables of single tasks need no protection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tensorflow as tf

from clrnn_tf.config import Experiment
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.methods.parts.fisher import FisherDiagonal, Labels
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weights import Weights, bytes_of
from clrnn_tf.outputs import OUTPUT_KINDS
from clrnn_tf.ranges import NonNegative, NonNegativeInt, Range, Settings, Share
from clrnn_tf.streams.tasks import Task


@dataclass(frozen=True)
class Config(Settings):
    """Options of online EWC."""

    strength: NonNegative = 100.0
    """Strength of the pull towards the weights after the last task (the paper's lambda)."""
    gamma: Share = 1.0
    """How much of the Fisher information of earlier tasks is kept at each task."""
    num_sequences: Annotated[int, Range(least=1)] | None = None
    """Random training sequences per task that the Fisher information is measured on; `None` takes all."""
    labels: Labels = "data"
    """`data` gives the empirical Fisher information (published), `sampled` draws targets from the predictions."""
    truncate: NonNegativeInt | None = None
    """Measure it with backpropagation through the last steps only, this many; `None` takes all."""


class OnlineEWC(Method[Config]):
    """See the module's docstring."""

    loss_names = ("ewc_penalty",)

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        if self.options.labels == "sampled":
            OUTPUT_KINDS[setup.stream.outputs].require_probabilities("online_ewc.labels = sampled")
        table = [] if setup.shared_table is None else [setup.shared_table]
        self._protected = [*self.variables_to_train(), *table]
        self.fisher = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._protected]  # F
        self.anchors = [tf.Variable(v, trainable=False) for v in self._protected]  # theta*
        self._diagonal: FisherDiagonal | None = None

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Nothing to refuse: only heads have rows for tasks, and those of a new one have no information yet."""

    def state_variables(self) -> list[tf.Variable]:
        """Fisher information and anchors."""
        return [*self.fisher, *self.anchors]

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The shared weights, and half their weighted squared distance to the anchors."""
        weights, _ = super().weights_and_penalties(task_id, step)
        distances = [
            tf.reduce_sum(fisher * tf.square(variable - anchor))
            for variable, fisher, anchor in zip(self._protected, self.fisher, self.anchors, strict=True)
        ]
        return weights, {"ewc_penalty": 0.5 * self.options.strength * tf.add_n(distances)}

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Measure the Fisher information of the task, and make its weights the anchors."""
        if self._diagonal is None:
            options = self.options
            self._diagonal = FisherDiagonal(
                model, options.labels, options.truncate, self.setup.seed, self.setup.jit, options.num_sequences
            )
        measured = self._diagonal.measure(task).values()
        for variable, fisher, anchor, new in zip(self._protected, self.fisher, self.anchors, measured, strict=True):
            fisher.assign(new + self.options.gamma * fisher)
            anchor.assign(variable)

    def kept_bytes(self) -> dict[str, int]:
        """Two numbers for each weight, for any number of tasks."""
        size = bytes_of(sum(int(tf.size(variable)) for variable in self._protected))
        return {"fisher": size, "anchors": size}


METHOD = OnlineEWC
