"""Masking (context-dependent gating): every task switches off a different random part of the hidden units.

For each task and each hidden layer (each direction of a recurrent one), floor(fraction * units) units drawn at random
are 0: gains of 0 before a dense layer's or an Elman cell's activation and inside an LSTM's h = o tanh(g c), see
`RecurrentNetwork.modulation_specs`. Inputs and heads are never masked. Source: Masse, Grant & Freedman (PNAS 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.networks.weight_sources import SharedWeights
from clrnn_tf.networks.weights import Weights, WeightSpec
from clrnn_tf.ranges import Fraction, Settings
from clrnn_tf.seeds import InitialKey


@dataclass(frozen=True)
class Config(Settings):
    """Options of masking."""

    fraction: Fraction = 0.8
    """Part of each hidden layer's units that a task switches off."""


class MaskedWeights(SharedWeights):
    """Shared weights with gains of 0 and 1 that depend on the task.

    Args:
      specs: Tensors of the main network.
      masks: [K, H] of 0 and 1 by the names of gains.
      seed: See `SharedWeights`.
      orthogonal: See `SharedWeights`.
    """

    depends_on_task = True

    def __init__(
        self, specs: Sequence[WeightSpec], masks: dict[str, np.ndarray], seed: int = 0, orthogonal: bool = False
    ) -> None:
        super().__init__(specs, seed, orthogonal)
        self.num_tasks = min((len(mask) for mask in masks.values()), default=None)
        self._masks = {name: tf.constant(mask, tf.float32) for name, mask in masks.items()}

    def call(self, task_id: tf.Tensor) -> Weights:
        """The shared variables and the gains of the task."""
        return {**super().call(task_id), **{name: tf.gather(mask, task_id) for name, mask in self._masks.items()}}


def masked_weights(setup: MethodSetup, fraction: float) -> MaskedWeights:
    """Shared weights with random masks, a function of (seed, task, layer)."""
    masks = {}
    gains = [spec for spec in setup.network.modulation_specs if spec.kind == "gain"]
    for layer, spec in enumerate(gains):
        masks[spec.name] = np.ones((setup.num_tasks, spec.size), np.float32)
        for task_id, mask in enumerate(masks[spec.name]):
            order = np.random.default_rng([setup.seed, InitialKey.MASKS, task_id, layer]).permutation(spec.size)
            mask[order[: int(fraction * spec.size)]] = 0.0
    return MaskedWeights(setup.network.weight_specs, masks, setup.seed, setup.network.config.starts_orthogonal)


class Masking(Method[Config]):
    """See the module's docstring."""

    @classmethod
    def check_extension(cls, experiment: Experiment) -> None:
        """Nothing to refuse: the mask of a task is a function of (seed, task)."""

    def make_source(self) -> MaskedWeights:
        """Shared weights under masks."""
        return masked_weights(self.setup, self.options.fraction)


METHOD = Masking
