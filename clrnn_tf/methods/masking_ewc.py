"""Masking and online EWC: units are switched off by task, and what is left is held in place by its Fisher information.

See `clrnn_tf.methods.masking` and `clrnn_tf.methods.online_ewc`.
"""

from __future__ import annotations

from dataclasses import dataclass

from clrnn_tf.methods import masking, online_ewc
from clrnn_tf.ranges import Fraction


@dataclass(frozen=True)
class Config(online_ewc.Config):
    """Options of online EWC, and of masking."""

    fraction: Fraction = 0.8
    """Part of each hidden layer's units that a task switches off."""


class MaskingEWC(online_ewc.OnlineEWC):
    """See the module's docstring."""

    options: Config

    def make_source(self) -> masking.MaskedWeights:
        """Shared weights under masks."""
        return masking.masked_weights(self.setup, self.options.fraction)


METHOD = MaskingEWC
