"""Between sequences as a user has them and those that a network reads: standardised, without missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.inputs import without_padding

Missing = Literal["refuse", "mean", "previous"]
Numbers: TypeAlias = "np.ndarray | tf.Tensor"


class Statistics(NamedTuple):
    """Means and standard deviations of training data; a deviation of 0 is given as 1."""

    means: Numbers
    """[F] of the inputs."""
    stds: Numbers
    """[F]."""
    fills: Numbers | None = None
    """[F]: the mean after scaling, which missing values become; None for 0."""
    target_means: Numbers | None = None
    """[C] of targets that are numbers; None for classes and bits."""
    target_stds: Numbers | None = None
    """[C]."""


def measured(values: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [F] of values [N, T, F] at the steps [N, T] that count; NaN does not.

    0 and 1 where no value counts; a deviation of 0 is given as 1.
    """
    rows = values[counted].astype(np.float64)  # [n, F]
    known = np.isfinite(rows)
    numbers = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, rows, 0.0).sum(axis=0) / numbers
    stds = np.sqrt(np.where(known, np.square(rows - means), 0.0).sum(axis=0) / numbers)
    return means, np.where(stds > 1e-12 * np.abs(means), stds, 1.0)


class SequenceCoder(tf.Module):
    """Turns sequences as they are measured into `Batch.inputs`, and outputs into answers, in graph operations.

        x' = (x - mean) / std,    missing values become the mean, or the last value that was there

    An exported model keeps it: its signature `raw` takes sequences as they are in the user's files.

    Args:
      statistics: Of the training data.
      missing: What becomes of NaN: `previous` takes the value of the step before, where there is one; otherwise it
        becomes the mean.
      missing_flags: Whether F inputs are added that say, as 1 and 0, what was missing.
      per_step: Whether there is an answer for every step; else there is one, at the last step.

    Example:
      >>> import numpy as np
      >>> from clrnn_tf.streams.coding import SequenceCoder, Statistics
      >>> coder = SequenceCoder(Statistics(np.array([10.0]), np.array([2.0])), missing="previous")
      >>> coder.encode(np.array([[[12.0], [np.nan], [8.0]]]), np.array([3])).numpy().ravel().tolist()
      [1.0, 1.0, -1.0]
    """

    def __init__(
        self, statistics: Statistics, missing: Missing = "refuse", missing_flags: bool = False, per_step: bool = True
    ) -> None:
        super().__init__()
        self.statistics = statistics
        self._previous, self._missing_flags, self.per_step = missing == "previous", missing_flags, per_step

    @property
    def num_inputs(self) -> int:
        """F: values of a step, as measured."""
        return self.statistics.means.shape[-1]

    @property
    def num_features(self) -> int:
        """Width of `Batch.inputs`: F, or 2 F with flags."""
        return self.num_inputs * (2 if self._missing_flags else 1)

    @tf.autograph.experimental.do_not_convert
    def encode(self, inputs: tf.Tensor, lengths: tf.Tensor, statistics: Statistics | None = None) -> tf.Tensor:
        """[B, T, F] as measured -> [B, T, num_features] as the network reads it, 0 at and after the lengths.

        Args:
          inputs: The sequences.
          lengths: [B] int32.
          statistics: Others than the coder's; each may be [B, 1, F], for sequences of different tasks.
        """
        inputs, statistics = tf.cast(inputs, tf.float32), statistics or self.statistics
        missing = tf.math.is_nan(inputs)
        scaled = (inputs - tf.cast(statistics.means, tf.float32)) / tf.cast(statistics.stds, tf.float32)
        if self._previous:
            scaled = _filled_forward(scaled)
        fills = 0.0 if statistics.fills is None else tf.cast(statistics.fills, tf.float32)
        encoded = tf.where(tf.math.is_nan(scaled), fills, scaled)
        if self._missing_flags:
            encoded = tf.concat([encoded, tf.cast(missing, tf.float32)], axis=-1)
        return without_padding(encoded, lengths)

    @tf.autograph.experimental.do_not_convert
    def decode(
        self, outputs: Mapping[str, tf.Tensor], lengths: tf.Tensor, statistics: Statistics | None = None
    ) -> dict[str, tf.Tensor]:
        """Outputs by name [B, T, ...] as answers: at the last step alone where a sequence has one, [B, ...].

        Numbers are added as `values`, in the units of the training targets. For `statistics` see `encode`.
        """
        answers, statistics = dict(outputs), statistics or self.statistics
        means, stds = statistics.target_means, statistics.target_stds
        if means is not None and stds is not None:
            answers["values"] = outputs["logits"] * tf.cast(stds, tf.float32) + tf.cast(means, tf.float32)
        if self.per_step:
            return answers
        last = tf.maximum(lengths - 1, 0)
        return {name: tf.gather(answer, last, axis=1, batch_dims=1) for name, answer in answers.items()}


def _filled_forward(values: tf.Tensor) -> tf.Tensor:
    """Values [B, T, F] with NaN replaced by the last number before it, if any, in log2 T rounds.

    A round copies from `shift` steps before, and rounds double the shift: what is still missing then has had nothing
    but missing values in all steps between.
    """

    def fill(shift: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        earlier = tf.pad(values[:, :-shift], [[0, 0], [shift, 0], [0, 0]], constant_values=np.nan)
        return 2 * shift, tf.where(tf.math.is_nan(values), earlier, values)

    _, filled = tf.while_loop(
        lambda shift, values: shift < tf.shape(values)[1],
        fill,
        [tf.constant(1), values],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, None, values.shape[-1]])],
    )
    return tf.ensure_shape(filled, values.shape)
