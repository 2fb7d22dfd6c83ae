"""Multitask: one set of weights, trained on all tasks at once. What learning in turn may hope to reach.

K times the steps of one task, with batches that mix the tasks at random. Nothing is measured while tasks come one
after another, for they do not: only final accuracy is defined. A penalty on the weights counts once a step; the
published code adds it once for each task in the batch, about K times as strongly.
"""

from __future__ import annotations

from dataclasses import dataclass

from clrnn_tf.methods.base import Method


@dataclass(frozen=True)
class Config:
    """Multitask learning has no options."""


class Multitask(Method):
    """See the module's docstring."""

    learns_jointly = True


METHOD = Multitask
