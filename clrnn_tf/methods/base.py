"""What a method may change about learning a task. The base class itself is plain fine-tuning.

State of a method is created in `__init__`, so that one compiled step serves every task: task ids and step numbers
are tensors, and only their values change from task to task.

Hooks in the order in which a task meets them:

    before_task
        weights_and_penalties, auxiliary_losses       every step, inside the compiled loop
        before_update, (the optimizer), after_update  every step, inside the compiled update
    after_task
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment, HypernetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SharedWeights, WeightSource
from clrnn_tf.networks.weights import Weights, bytes_of, task_size, total_size
from clrnn_tf.optimizers import Optimizer
from clrnn_tf.seeds import StepDraw
from clrnn_tf.streams.tasks import Batch, Task, TaskStream

Options = TypeVar("Options")
"""The `Config` of a method."""


@dataclass(frozen=True)
class MethodSetup(Generic[Options]):
    """What a method is built from."""

    network: RecurrentNetwork
    hypernetwork: HypernetworkConfig
    stream: TaskStream
    """The tasks, for shapes and output kinds. Methods read data only through the hooks, one task at a time."""
    seed: int
    options: Options
    """The method's `Config`."""
    jit: bool = False
    """Whether XLA compiles the main network; for methods that run it themselves."""
    shared_table: tf.Variable | None = None
    """Table of n-grams that all tasks share; methods that hold weights in place hold it, too."""
    num_blocks: int = 1
    """Blocks into which a batch is divided to run the main network; see `clrnn_tf.execution.batch_blocks`."""
    length_buckets: tuple[int, ...] = ()
    """Lengths to which blocks are padded; () for multiples of 8."""

    @property
    def num_tasks(self) -> int:
        """K."""
        return len(self.stream)


class Method(tf.Module, Generic[Options]):
    """Learns tasks one after another with shared weights and nothing against forgetting.

    Subclasses override only the hooks that they change. `tf.Module` does not look into Keras layers, so variables
    are listed by `variables_to_train`.

    Args:
      setup: The network, the tasks and the options.

    Example: a method that pulls the weights towards 0, in a file of `clrnn_tf.methods`.
      >>> from dataclasses import dataclass
      >>> import tensorflow as tf
      >>> from clrnn_tf import Method
      >>> @dataclass(frozen=True)
      ... class Config:
      ...     strength: float = 0.1
      >>> class Shrinkage(Method[Config]):
      ...     loss_names = ("shrinkage",)
      ...
      ...     def weights_and_penalties(self, task_id, step):
      ...         weights = self.source(task_id)
      ...         squares = [tf.reduce_sum(tf.square(weight)) for weight in weights.values()]
      ...         return weights, {"shrinkage": self.options.strength * tf.add_n(squares)}
    """

    uses_hypernetwork = False
    """Whether the method reads `MethodSetup.hypernetwork`."""
    needs_task_gradients = False
    """Whether `before_update` wants the gradient of the task's loss alone, which costs a second backward pass."""
    why_not_extended = "nothing in it keeps the old ones"
    """Why a trained model cannot learn one more task; see `check_extension`."""
    takes_shared_table = True
    """Whether the tasks may share a table of n-grams (`NgramInputs.tables`)."""
    loss_names: tuple[str, ...] = ()
    """Names of all losses that `weights_and_penalties` and `auxiliary_losses` return; the same for every task."""

    def __init__(self, setup: MethodSetup[Options]) -> None:
        super().__init__()
        self.setup = setup
        self.options = setup.options
        self.source = self.make_source()

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Refuse settings that do not go together. Called when they have been read, before any data.

        Raises:
          ConfigurationError: They do not.
        """
        del experiment

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Refuse to teach a trained model one more task (`clrnn_tf.extension`). Called before any data.

        A method that can overrides this. Its variables for tasks have the tasks as their first axis, and the initial
        values of a task do not depend on how many there are.

        Raises:
          ConfigurationError: The method cannot; the message says why.
        """
        raise ConfigurationError(f"{experiment.method} cannot learn one more task: {cls.why_not_extended}.")

    def tasks(self, stream: TaskStream) -> Sequence[Task]:
        """What is learned of a stream, in this order: its tasks, one after another.

        A method may return others, such as one task whose batches mix those of the stream (`Task.parts`); hooks are
        then called with the id of that task.
        """
        return stream.tasks

    def make_source(self) -> WeightSource:
        """Where the main network's weights come from. `setup` and `options` are set already."""
        network = self.setup.network
        return SharedWeights(network.weight_specs, self.setup.seed, network.config.starts_orthogonal)

    def variables_to_train(self) -> list[tf.Variable]:
        """What the optimizer changes, in a fixed order."""
        return [variable.value for variable in self.source.trainable_variables]

    def state_variables(self) -> list[tf.Variable]:
        """What else a checkpoint must hold so that learning can continue after a task (importances, masks, ...)."""
        return []

    def variables_of_one_task(self) -> list[tf.Variable]:
        """Of the variables to train, those that hold nothing but the task in training."""
        return []

    def values_of_more_tasks(self, group: str, values: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Stored values of a model with fewer tasks, whose first axes may be shorter than those of this one.

        Args:
          group: `trained`, `method` or `model`, as in `clrnn_tf.training.checkpoints.variables_of`.
          values: In the order of its variables.

        Returns:
          The values; a method overrides this where another axis than the first grows.
        """
        del group
        return values

    def task_variables(self) -> list[tf.Variable]:
        """What a checkpoint inside a task must hold besides: what `before_task` has set (teachers, targets).

        A run that is continued inside a task calls `before_task`, and then all variables get their values from the
        checkpoint.
        """
        return []

    def step_key(self, task_id: tf.Tensor, step: tf.Tensor, draw: StepDraw) -> tf.Tensor:
        """[2] seed of a stateless draw: a function of (seed, task, step) and of what is drawn."""
        key = tf.random.experimental.stateless_fold_in(tf.stack([self.setup.seed, task_id]), step)
        return tf.random.experimental.stateless_fold_in(key, int(draw))

    def before_task(self, task: Task) -> None:
        """Called once before the first step of a task."""

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """Weights to train task `task_id` with at `step`, and losses that depend on variables alone.

        Runs inside the compiled step. Penalties are scalars by name, already multiplied by their strength. Draws
        are stateless, keyed by (seed, task, step).
        """
        del step
        return self.source(task_id), {}

    def auxiliary_losses(
        self, model: TaskModel, weights: Weights, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Losses that need the network run on data: replay, distillation, reconstruction. Scalars by name.

        Args:
          model: Runs the network (`model.embed`, `model.network`, `model.logits`).
          weights: Those of the step, from `weights_and_penalties`.
          batch: The current task's batch.
          task_id: Scalar, the current task.
          step: Scalar, the step within the task.
        """
        return {}

    def before_update(
        self, task_gradients: Sequence[tf.Tensor], optimizer: Optimizer, learning_rate: tf.Tensor, accept: tf.Tensor
    ) -> None:
        """Called before the optimizer's step with the unclipped gradients of the task's loss alone.

        Only where `needs_task_gradients`. Gradients are in the order of the optimizer's variables; nothing may be
        changed where `accept` (scalar bool) is false.
        """
        del task_gradients, optimizer, learning_rate, accept

    def after_update(
        self, before: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor], optimizer: Optimizer, accept: tf.Tensor
    ) -> None:
        """Called after the optimizer's step with the values before it and the clipped gradients that it took."""
        del before, gradients, optimizer, accept  # AutoGraph cannot convert a function without a body

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Called once after the last step of a task; the variables have the values that the task ends with."""

    def kept_bytes(self) -> dict[str, int]:
        """Memory that the method now keeps for old tasks, in bytes by purpose."""
        return {}

    def task_embeddings(self) -> np.ndarray | None:
        """[K, D], what tells the tasks apart, for observers; None where it is nothing that is learned."""
        return None

    def facts(self) -> dict[str, float]:
        """Facts for the results file: parameters and, where they are compressed, the ratio."""
        specs = self.setup.network.weight_specs
        return {
            "num_parameters": sum(int(tf.size(variable)) for variable in self.variables_to_train()),
            "num_main_network_weights": total_size(specs),
            "separate_networks_bytes": bytes_of(task_size(specs)) * self.setup.num_tasks,
        }
