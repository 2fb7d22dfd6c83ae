"""Multitask: one set of weights, trained on all tasks at once. An upper bound for learning the tasks in turn.

Training takes K times the steps of one task, with batches that mix the tasks at random. There is no "right after a
task", so only final accuracy is defined. A penalty on the weights is added once per step; the published code adds it
once for each task in the batch, about K times as strongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clrnn_tf.methods.base import Method
from clrnn_tf.streams.joint import joint_task
from clrnn_tf.streams.tasks import Task, TaskStream


@dataclass(frozen=True)
class Config:
    """Multitask learning has no options."""


class Multitask(Method[Config]):
    """See the module's docstring."""

    why_not_extended = "it learns all tasks at once, so it has to be trained anew with the new one"

    def tasks(self, stream: TaskStream) -> Sequence[Task]:
        """One task, which mixes those of the stream."""
        return [joint_task(stream)]


METHOD = Multitask
