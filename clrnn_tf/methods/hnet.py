"""HNET: a hypernetwork generates the weights of every task, and must keep generating those of old tasks.

With h(e_t, theta) the generated weights and (e*, theta*) the hypernetwork as it was before task t, training task t
(counted from 0) adds to the task's loss

    strength / |S| * sum_{j in S} || h_j(e_j, theta) - h_j(e_j*, theta*) ||^2,     S within {0, ..., t-1}

where h_j are the weights that task j uses: all except the heads of other tasks. Embeddings of old tasks are trained,
too. Sources: von Oswald et al., "Continual learning with hypernetworks" (ICLR 2020); Ehret et al. (ICLR 2021).
There is no look-ahead of theta.

With `heads = separate` the hypernetwork generates everything except the output heads. These are ordinary variables, one
head for each task, which is trained with that task only and needs no regulariser. The published code does this for
single-head networks; here it is the same for multi-head ones, since a task's network has one head in either case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment, HypernetworkConfig
from clrnn_tf.errors import require
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.networks.weight_sources import SharedWeights, WeightSource
from clrnn_tf.networks.weights import Weights, WeightSpec, task_size
from clrnn_tf.seeds import SeedOffset, StepDraw
from clrnn_tf.streams.tasks import Task


@dataclass(frozen=True)
class Config(RegularizerConfig):
    """Options of HNET."""

    heads: Literal["generated", "separate"] = "generated"
    """`separate`: the output head of each task is an ordinary variable, not generated."""


def generate_and_regularize(
    method: Method, regularizer: OutputRegularizer, task_id: tf.Tensor, step: tf.Tensor
) -> tuple[Weights, tf.Tensor]:
    """The weights that a hypernetwork generates for a task's step, and the regulariser's loss for old tasks."""
    dropout_key = method.step_key(task_id, step, StepDraw.DROPOUT) if regularizer.source.config.dropout else None
    penalty = regularizer(task_id, method.step_key(task_id, step, StepDraw.REGULARIZED_TASKS), dropout_key)
    return regularizer.weights_of(task_id, dropout_key), penalty


class SeparateHeads(WeightSource):
    """A generated body, and a separate output head for each task.

    Args:
      specs: Tensors of the main network, whose heads may be one or many.
      config: Size and kind of the hypernetwork.
      num_tasks: K.
      seed: Seed of the initial values; heads start as those of shared weights do.
    """

    def __init__(self, specs: Sequence[WeightSpec], config: HypernetworkConfig, num_tasks: int, seed: int) -> None:
        super().__init__(specs)
        self.num_tasks = num_tasks
        self.body = Hypernetwork([spec for spec in self.specs if not spec.per_head], config, num_tasks, seed)
        heads = [spec._replace(shape=(num_tasks, *spec.shape[1:])) for spec in self.specs if spec.per_head]
        self.heads = SharedWeights(heads, seed + SeedOffset.SEPARATE_HEADS)

    def call(self, task_id: tf.Tensor) -> Weights:
        """The generated body and the task's head, [1, ...]."""
        return {**self.body(task_id), **self.head(task_id)}

    def head(self, task_id: tf.Tensor) -> Weights:
        """The head of a task, [1, ...]."""
        return {name: tf.gather(heads, task_id[tf.newaxis]) for name, heads in self.heads(task_id).items()}

    @property
    def compression_ratio(self) -> float:
        """Parameters, all heads included, per weight of one task's network."""
        return sum(int(tf.size(variable.value)) for variable in self.variables) / task_size(self.specs)


class HNET(Method[Config]):
    """See the module's docstring."""

    takes_shared_table = False
    uses_hypernetwork = True
    loss_names = ("output_regularizer",)
    source: Hypernetwork | SeparateHeads

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        hypernetwork = self.source.body if isinstance(self.source, SeparateHeads) else self.source
        self.regularizer = OutputRegularizer(hypernetwork, self.options, jit=setup.jit)

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Refuse orthogonal initial values: generated matrices have none."""
        initializer = experiment.network.recurrent_initializer
        require(
            initializer == "uniform",
            "network.recurrent_initializer is for shared weights; those of hnet are generated, see "
            f"hypernetwork.initializer. Received: {initializer}.",
        )

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Refuse heads of all tasks in one generated vector, whose length depends on their number."""
        options = experiment.method_options
        require(
            experiment.network.heads == "single" or (isinstance(options, Config) and options.heads == "separate"),
            "hnet cannot learn one more task with network.heads multi: the hypernetwork generates a head for each of "
            "the tasks that it began with. Train with network.heads single, which generates one for any task, or with "
            "hnet.heads separate.",
        )

    def make_source(self) -> Hypernetwork | SeparateHeads:
        """A hypernetwork with an embedding for every task, alone or beside heads."""
        setup = self.setup
        source_type = Hypernetwork if self.options.heads == "generated" else SeparateHeads
        return source_type(setup.network.weight_specs, setup.hypernetwork, setup.num_tasks, setup.seed)

    def task_variables(self) -> list[tf.Variable]:
        """The targets."""
        return self.regularizer.targets.all_variables()

    def before_task(self, task: Task) -> None:
        """Remember what the hypernetwork generates for the old tasks."""
        self.regularizer.remember(task.task_id)

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """Generate the weights of the current task, and compare those of old ones with their targets."""
        weights, penalty = generate_and_regularize(self, self.regularizer, task_id, step)
        if isinstance(self.source, SeparateHeads):
            weights = {**weights, **self.source.head(task_id)}
        return weights, {"output_regularizer": penalty}

    def kept_bytes(self) -> dict[str, int]:
        """What the regulariser compares with."""
        return self.regularizer.kept_bytes()

    def task_embeddings(self) -> np.ndarray:
        """The embeddings of the tasks, and of chunks where every task has its own."""
        generated = self.source.body if isinstance(self.source, SeparateHeads) else self.source
        return generated.embeddings().by_task()

    def facts(self) -> dict[str, float]:
        """Adds the compression ratio: parameters per weight of the main network."""
        return {**super().facts(), "compression_ratio": self.source.compression_ratio}


METHOD = HNET
