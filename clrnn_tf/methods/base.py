"""What a method may change about learning a task. The base class itself is plain fine-tuning.

State of a method is created in `__init__`, so that one compiled step serves every task: task ids and step numbers
are tensors, and only their values change from task to task.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.network import RecurrentNetwork
from clrnn_tf.weights import SharedWeights, Weights, WeightSource


@dataclass(frozen=True)
class MethodSetup:
    """What a method is built from."""

    network: RecurrentNetwork
    hypernetwork: HypernetworkConfig
    num_tasks: int
    seed: int
    options: object
    """The method's own `Config`."""


class Method(tf.Module):
    """Learns tasks one after another with shared weights and nothing against forgetting.

    Subclasses override only the hooks that they change. `tf.Module` does not look into Keras layers, so variables
    are listed by `variables_to_train`.
    """

    uses_hypernetwork = False
    """Whether `MethodSetup.hypernetwork` means anything to the method."""

    def __init__(self, setup: MethodSetup) -> None:
        super().__init__()
        self.setup = setup
        self.source = self.make_source()

    def make_source(self) -> WeightSource:
        """Where the main network's weights come from."""
        orthogonal = self.setup.network.config.recurrent_initializer == "orthogonal"
        return SharedWeights(self.setup.network.weight_specs, self.setup.seed, orthogonal)

    def variables_to_train(self) -> list[tf.Variable]:
        """What the optimizer changes, in a fixed order."""
        return [variable.value for variable in self.source.trainable_variables]

    def state_variables(self) -> list[tf.Variable]:
        """What else a checkpoint after a task must hold so that learning can go on (importances, masks, ...)."""
        return []

    def before_task(self, task_id: int) -> None:
        """Called once before the first step of a task."""

    def weights_and_penalties(
        self, task_id: tf.Tensor, step: tf.Tensor
    ) -> tuple[Weights, dict[str, tf.Tensor]]:
        """Weights to train task `task_id` with at `step`, and losses that depend on variables alone.

        Runs inside the compiled step. Penalties are scalars by name, already multiplied by their strength; the
        names must not depend on the task. Draws are stateless, keyed by (seed, task, step).
        """
        del step
        return self.source(task_id), {}

    def after_task(self, task_id: int) -> None:
        """Called once after the last step of a task, with the weights it keeps."""

    def report(self) -> dict[str, float]:
        """Facts for the results file: parameters and, where they are compressed, the ratio."""
        parameters = sum(int(tf.size(variable)) for variable in self.variables_to_train())
        return {
            "num_parameters": parameters,
            "num_main_network_weights": sum(spec.size for spec in self.setup.network.weight_specs),
        }
