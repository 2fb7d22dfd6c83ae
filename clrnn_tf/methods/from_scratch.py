"""From scratch: a separate network for every task, so that nothing is transferred and nothing forgotten.

Every task starts from newly drawn weights and keeps the trained ones, so final and during accuracy are equal. The
published code throws the networks away and measures during accuracy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weight_sources import SeparateWeights
from clrnn_tf.networks.weights import Weights, bytes_of
from clrnn_tf.streams.tasks import Task


@dataclass(frozen=True)
class Config:
    """Training from scratch has no options."""


class FromScratch(Method[Config]):
    """See the module's docstring."""

    takes_shared_table = False
    source: SeparateWeights

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self._num_kept = tf.Variable(0, trainable=False)

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Nothing to refuse: a task has a network of its own."""

    def make_source(self) -> SeparateWeights:
        """A set of weights for every task."""
        setup = self.setup
        network = setup.network
        return SeparateWeights(network.weight_specs, setup.num_tasks, setup.seed, network.config.starts_orthogonal)

    def state_variables(self) -> list[tf.Variable]:
        """The weights of all tasks."""
        return [self.source.stored.value, self._num_kept]

    def variables_of_one_task(self) -> list[tf.Variable]:
        """The network in training."""
        return self.variables_to_train()

    def values_of_more_tasks(self, group: str, values: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Networks of fewer tasks, which have fewer heads where every task has one."""
        if group != "method" or len(values) != 2:
            return values
        stored, num_kept = values
        return [self.source.of_fewer_heads(stored), num_kept]

    def before_task(self, task: Task) -> None:
        """Begin with the initial weights of the task."""
        self.source.begin(task.task_id)

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The weights in training, whatever the task id."""
        return self.source.working(), {}

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Keep the task's weights."""
        self.source.end()
        self._num_kept.assign(task.task_id + 1)

    def kept_bytes(self) -> dict[str, int]:
        """One network for each task learned."""
        return {"networks": bytes_of(self.source.num_weights) * int(self._num_kept)}

    def facts(self) -> dict[str, float]:
        """Counts the parameters of all networks."""
        facts = super().facts()
        return {**facts, "num_parameters": facts["num_parameters"] * self.setup.num_tasks}


METHOD = FromScratch
