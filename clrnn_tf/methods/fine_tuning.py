"""Fine-tuning: one set of weights, trained on each task in turn. The baseline that forgets."""

from __future__ import annotations

from dataclasses import dataclass

from clrnn_tf.methods.base import Method


@dataclass(frozen=True)
class Config:
    """Fine-tuning has no options."""


METHOD = Method
