"""Context modulation: all tasks share one network, whose units have other gains and shifts for every task.

Every layer's sums a become g_t a + s_t with the gain g_t [H] and shift s_t [H] of task t: dense layers and Elman cells
before their activation, LSTM cells in h = o phi(g c + s), and the logits where `outputs` is set (see
`RecurrentNetwork.modulation_specs`). From the raw values r (gain) and q (shift) of a task,

    direct     g = 1 + r                              s = q
    softplus   g = log(1 + exp(r + log(e - 1)))       s = q

so that r = q = 0 changes nothing. The raw values are

    stored          variables of the task, trained with it only
    hypernetwork    h(e_t, theta), kept for old tasks by the output regulariser of `clrnn_tf.methods.hnet`,
                    strength / |S| * sum_{j in S} || h(e_j, theta) - h(e_j*, theta*) ||^2

The shared weights are trained either with every task, and nothing holds them in place, or with the first task only.
In the second case later tasks train their gains and shifts and, in a multi-head network, their head. With stored gains
nothing is forgotten then.

Source: Ehret et al. (ICLR 2021) and the options of its code. There, stored gains cannot be constructed and generated
ones end with an error at the second task; softplus is applied to a raw value of 1, so that gains start at 1.31.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment
from clrnn_tf.errors import require
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.methods.hnet import generate_and_regularize
from clrnn_tf.networks.weight_sources import SharedWeights, WeightSource
from clrnn_tf.networks.weights import Weights, WeightSpec, bytes_of, total_size, unpack
from clrnn_tf.ranges import NonNegative, Settings
from clrnn_tf.seeds import InitialKey, SeedOffset
from clrnn_tf.streams.tasks import Task

_RAW_OF_ONE = math.log(math.e - 1.0)  # softplus of it is 1


@dataclass(frozen=True)
class Config(Settings):
    """Options of context modulation."""

    context: Literal["stored", "hypernetwork"] = "stored"
    """Where a task's gains and shifts come from: variables of the task, or a hypernetwork."""
    train_network: Literal["always", "first_task"] = "always"
    """When the shared weights are trained. `first_task` freezes them after the first task, except the heads of a
    multi-head network."""
    gains: Literal["direct", "softplus"] = "direct"
    """`softplus` keeps gains positive."""
    outputs: bool = True
    """Whether logits have a gain and a shift too."""
    initial_std: NonNegative = 0.0
    """Standard deviation of the normal draws that stored raw values start from; 0 starts at gain 1 and shift 0."""
    strength: NonNegative = 0.01
    """Strength of the output regulariser (hypernetwork only)."""
    tasks_per_step: int | None = None
    """Old tasks regularised per step (hypernetwork only), drawn at random; `None` takes all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.initial_std == 0 or self.context == "stored",
            "context_mod.initial_std is for context = stored; a hypernetwork has other initial values. "
            f"Received: {self.initial_std}.",
        )
        require(
            self.tasks_per_step is None or (self.tasks_per_step > 0 and self.context == "hypernetwork"),
            "context_mod.tasks_per_step must be above 0, or None, and is for context = hypernetwork. "
            f"Received: {self.tasks_per_step}, context = {self.context}.",
        )


class StoredContext(WeightSource):
    """Raw gains and shifts of each task in one variable [K, N].

    The row of a task is trained with that task only. All rows have their initial values from the beginning, so nothing
    is stored or initialised between tasks.

    Args:
      specs: The gains and shifts.
      num_tasks: K.
      std: Standard deviation of the initial values, draws keyed by (seed, task).
      seed: Seed of the initial values.
    """

    def __init__(self, specs: Sequence[WeightSpec], num_tasks: int, std: float, seed: int) -> None:
        super().__init__(specs)
        self.num_tasks, size = num_tasks, total_size(self.specs)
        generators = [np.random.default_rng([seed, InitialKey.GAINS_AND_SHIFTS, k]) for k in range(num_tasks)]
        draws = [generator.standard_normal(size) for generator in generators]
        initial = (std * np.stack(draws)).astype(np.float32)
        self.stored = self.add_weight(
            name="stored", shape=initial.shape, initializer=lambda shape, dtype=None: tf.constant(initial, dtype, shape)
        )

    def call(self, task_id: tf.Tensor) -> Weights:
        """The task's raw values."""
        return unpack(tf.gather(tf.convert_to_tensor(self.stored.value), task_id), self.specs)


class ModulatedWeights(WeightSource):
    """Shared weights with the gains and shifts of the task.

    Args:
      shared: The weights of all tasks.
      context: Raw gains and shifts of a task, by the names of the network's modulation.
      gain_names: Which of them are gains.
      softplus: Whether gains pass through softplus.
    """

    def __init__(
        self, shared: SharedWeights, context: StoredContext | Hypernetwork, gain_names: Sequence[str], softplus: bool
    ) -> None:
        super().__init__(shared.specs)
        self.num_tasks = context.num_tasks
        self.shared = shared
        self.context = context
        self._gain_names = tuple(gain_names)
        self._softplus = softplus

    def call(self, task_id: tf.Tensor) -> Weights:
        """The shared variables, and gains and shifts of the task."""
        return {**self.shared(task_id), **self.modulation(self.context(task_id))}

    def modulation(self, raw: Weights) -> Weights:
        """Gains and shifts from raw values; see the module's docstring."""
        return {name: self._gain(value) if name in self._gain_names else value for name, value in raw.items()}

    def _gain(self, raw: tf.Tensor) -> tf.Tensor:
        return tf.math.softplus(raw + _RAW_OF_ONE) if self._softplus else 1.0 + raw


class ContextMod(Method[Config]):
    """See the module's docstring."""

    takes_shared_table = False
    uses_hypernetwork = True
    source: ModulatedWeights

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self._regularizer = None
        if isinstance(self.source.context, Hypernetwork):
            self.loss_names = ("output_regularizer",)
            config = RegularizerConfig(self.options.strength, tasks_per_step=self.options.tasks_per_step)
            self._regularizer = OutputRegularizer(self.source.context, config, jit=setup.jit)

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Refuse hyperfan, which is made for kernels and biases."""
        initializer, options = experiment.hypernetwork.initializer, experiment.method_options
        require(
            not (isinstance(options, Config) and options.context == "hypernetwork") or initializer == "uniform",
            "hypernetwork.initializer must be uniform for context_mod, whose hypernetwork generates gains and shifts "
            f"and no kernels. Received: {initializer}.",
        )

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Nothing to refuse: gains and shifts of a task are a row, or come from its embedding."""

    def make_source(self) -> ModulatedWeights:
        """Shared weights, and gains and shifts that are stored or generated."""
        setup, options = self.setup, self.options
        modulation = [*setup.network.modulation_specs, *(setup.network.head_modulation_specs * options.outputs)]
        specs = [WeightSpec(spec.name, spec.shape, "bias", spec.size, 0.0) for spec in modulation]
        gain_names = [spec.name for spec in modulation if spec.kind == "gain"]
        if options.context == "stored":
            context = StoredContext(specs, setup.num_tasks, options.initial_std, setup.seed)
        else:
            seed = setup.seed + SeedOffset.CONTEXT_HYPERNETWORK
            context = Hypernetwork(specs, setup.hypernetwork, setup.num_tasks, seed)
        return ModulatedWeights(super().make_source(), context, gain_names, options.gains == "softplus")

    def task_variables(self) -> list[tf.Variable]:
        """The targets, where there are some."""
        return [] if self._regularizer is None else self._regularizer.targets.all_variables()

    def before_task(self, task: Task) -> None:
        """Remember what the hypernetwork generates for the old tasks."""
        if self._regularizer is not None:
            self._regularizer.remember(task.task_id)

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The shared weights, frozen where they are, under the task's gains and shifts."""
        shared = self.source.shared(task_id)
        if self.options.train_network == "first_task":
            for name in self._frozen_names():
                shared[name] = tf.where(task_id == 0, shared[name], tf.stop_gradient(shared[name]))
        if self._regularizer is None:
            return {**shared, **self.source.modulation(self.source.context(task_id))}, {}
        raw, penalty = generate_and_regularize(self, self._regularizer, task_id, step)
        return {**shared, **self.source.modulation(raw)}, {"output_regularizer": penalty}

    def _frozen_names(self) -> list[str]:
        """Weights that later tasks would share with the first."""
        return [spec.name for spec in self.source.specs if not spec.per_head or spec.shape[0] == 1]

    def kept_bytes(self) -> dict[str, int]:
        """Gains and shifts of all tasks, or what the regulariser compares with."""
        if self._regularizer is not None:
            return self._regularizer.kept_bytes()
        return {"gains_and_shifts": bytes_of(int(tf.size(self.source.context.stored.value)))}


METHOD = ContextMod
