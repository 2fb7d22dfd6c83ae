"""Rows of different tasks as they were measured: each is standardised by the statistics of its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.coding import SequenceCoder, Statistics

Outputs = dict[str, tf.Tensor]


class MeasuredRows:
    """Encodes inputs and decodes outputs, row by row.

    Args:
      coders: Of the tasks, which differ in nothing but their statistics.
      class_names: Names of the classes, if they have any.
    """

    def __init__(self, coders: Sequence[SequenceCoder], class_names: Sequence[str]) -> None:
        self._coder, self._class_names = coders[0], tuple(class_names)
        all_of_them = [coder.statistics for coder in coders]
        self._stacked = [
            None if first is None else np.stack([np.asarray(of[place], np.float32) for of in all_of_them])
            for place, first in enumerate(all_of_them[0])
        ]

    @property
    def width(self) -> int:
        """R, numbers of a step as measured."""
        return self._coder.num_inputs

    @property
    def per_step(self) -> bool:
        """Whether there is an answer for every step, and not one for a sequence."""
        return self._coder.per_step

    def encode(self, inputs: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor) -> tf.Tensor:
        """[B, T, R] of tasks [B] -> [B, T, F] as the network reads it."""
        return self._coder.encode(inputs, lengths, self._of(task_ids))

    def decode(self, outputs: Mapping[str, tf.Tensor], lengths: tf.Tensor, task_ids: tf.Tensor) -> Outputs:
        """Outputs [B, T, ...] as answers, see `SequenceCoder.decode`; classes that have names also as `labels`."""
        outputs = dict(outputs)
        if self._class_names and "classes" in outputs:
            outputs["labels"] = tf.gather(tf.constant(self._class_names), outputs["classes"])
        return self._coder.decode(outputs, lengths, self._of(task_ids))

    def _of(self, task_ids: tf.Tensor) -> Statistics:
        """Those of each row, [B, 1, ...]."""
        rows = [None if of is None else tf.gather(tf.constant(of), task_ids)[:, tf.newaxis] for of in self._stacked]
        return Statistics(*rows)
