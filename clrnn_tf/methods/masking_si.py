"""Masking and SI: every task switches off some units, and SI holds the shared weights in place.

See `clrnn_tf.methods.masking` and `clrnn_tf.methods.si`. Source: Masse, Grant & Freedman (PNAS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

from clrnn_tf.methods import masking, si
from clrnn_tf.ranges import Fraction


@dataclass(frozen=True)
class Config(si.Config):
    """Options of SI, and of masking."""

    fraction: Fraction = 0.8
    """Part of each hidden layer's units that a task switches off."""


class MaskingSI(si.SI):
    """See the module's docstring."""

    options: Config

    def make_source(self) -> masking.MaskedWeights:
        """Shared weights under masks."""
        return masking.masked_weights(self.setup, self.options.fraction)


METHOD = MaskingSI
