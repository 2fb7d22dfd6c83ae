"""Trials of cognitive tasks: from directions, strengths and times to batches.

A trial is stored as the strengths of up to four stimuli (two in each modality) at every step; inputs and targets are
made from them when a batch is formed, which takes a tenth of the memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.tasks import Batch

_SLOTS = 2  # stimuli in each of the two modalities
_WIDTH = math.pi / 8  # standard deviation of a bump of activity on a ring, in radians
_HEIGHT = 0.8  # of the bumps of inputs and targets, and the target of the fixation unit
_REST = 0.05  # target of a unit that should not be active
_AFTER_COST = 5.0  # cost weight of the response, beside 1 before it
_NOISE_ROWS = 8192
_FULL_TURN = 2**16  # directions are stored as fractions of it


@dataclass(frozen=True)
class Stimuli:
    """Stimuli of N trials in S = 4 slots: two of modality 1, then two of modality 2."""

    directions: np.ndarray
    """[N, S], radians."""
    strengths: np.ndarray
    """[N, S]; 0 where there is none."""
    on: np.ndarray
    """[N, S] first step."""
    off: np.ndarray
    """[N, S] step at which it is gone."""

    @classmethod
    def of_modalities(cls, directions: np.ndarray, strengths: np.ndarray, on: np.ndarray, off: np.ndarray) -> Stimuli:
        """The same one or two directions in both modalities, each with its strength.

        Args:
          directions: [N, n], n = 1 or 2.
          strengths: [N, 2, n] by modality.
          on: [N] or [N, n] first step.
          off: [N] or [N, n] step at which it is gone.
        """
        number = directions.shape[1]
        missing = [(0, 0), (0, 0), (0, _SLOTS - number)]

        def slots(values: np.ndarray) -> np.ndarray:
            values = values[:, np.newaxis] if values.ndim == 1 else values
            both = np.broadcast_to(values[:, np.newaxis], (len(directions), 2, values.shape[1]))
            if values.shape[1] == 1:
                both = np.broadcast_to(both, (len(directions), 2, number))
            return np.pad(both, missing).reshape(len(directions), 2 * _SLOTS)

        return cls(slots(directions), np.pad(strengths, missing).reshape(len(directions), -1), slots(on), slots(off))


@dataclass(frozen=True)
class Trials:
    """N trials of a task."""

    stimuli: Stimuli
    go: np.ndarray
    """[N] first step without the fixation signal."""
    end: np.ndarray
    """[N] steps of the trial."""
    response: np.ndarray
    """[N] direction in which to respond, radians."""

    def arrays(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What an `ArraySplit` holds, [N, T, ...] for the longest trial's T."""
        steps = np.arange(self.end.max())[np.newaxis, :, np.newaxis]  # [1, T, 1]
        stimuli = self.stimuli
        is_on = (steps >= stimuli.on[:, np.newaxis]) & (steps < stimuli.off[:, np.newaxis])  # [N, T, S]
        shape = is_on.shape[:2]
        return {
            "strengths": (is_on * stimuli.strengths[:, np.newaxis]).astype(np.float32),
            "directions": np.broadcast_to(_as_fractions(stimuli.directions)[:, np.newaxis], is_on.shape),
            "response": np.broadcast_to(_as_fractions(self.response)[:, np.newaxis], shape),
            "fixation": steps[..., 0] < self.go[:, np.newaxis],
            "noise": rng.integers(0, _NOISE_ROWS, shape, dtype=np.uint16),
            "lengths": self.end.astype(np.int32),
        }


class BatchMaker:
    """Makes batches from stored trials.

    Args:
      ring_size: N, units of a ring.
      grace_steps: Steps without cost at the start of a trial and at the start of the response.
      noise_std: Standard deviation of the noise of inputs.
      seed: Of a table of noise; each step of each trial has a random row of it.
    """

    def __init__(self, ring_size: int, grace_steps: int, noise_std: float, seed: int) -> None:
        self._preferred = (math.tau / ring_size * np.arange(ring_size)).astype(np.float32)
        self._grace_steps = grace_steps
        rows = np.random.default_rng([seed, 99]).standard_normal([_NOISE_ROWS, 1 + 2 * ring_size], np.float32)
        with tf.device("CPU:0"):
            self._noise = tf.constant(np.float32(noise_std) * rows)

    def __call__(self, fields: dict[str, tf.Tensor]) -> Batch:
        """A batch. Targets are activities; all steps count by the cost weights; the last step is scored."""
        lengths, fixation = fields["lengths"], tf.cast(fields["fixation"], tf.float32)
        steps = tf.range(tf.shape(fixation)[1])
        return Batch(
            inputs=without_padding(self._inputs(fields, fixation), lengths),
            targets=self._targets(fixation, _as_radians(fields["response"][:, 0])),
            loss_weights=self._cost(fixation, lengths),
            eval_weights=tf.cast(steps == lengths[:, tf.newaxis] - 1, tf.float32),
            lengths=lengths,
            task_id=tf.zeros_like(lengths),
        )

    def _inputs(self, fields: dict[str, tf.Tensor], fixation: tf.Tensor) -> tf.Tensor:
        """[B, T, 1 + 2 N]: fixation signal, and two rings with the sum of their stimuli."""
        bumps = self._bump(_as_radians(fields["directions"][:, 0]))  # [B, S, N]; the same at all steps
        strengths = tf.split(fields["strengths"], 2, axis=2)  # of each modality, [B, T, S / 2]
        of_modalities = zip(strengths, tf.split(bumps, 2, axis=1), strict=True)
        rings = [tf.matmul(strength, bump) for strength, bump in of_modalities]  # [B, T, N]
        inputs = tf.concat([fixation[..., tf.newaxis], *rings], axis=-1)
        return inputs + tf.gather(self._noise, tf.cast(fields["noise"], tf.int32))

    def _targets(self, fixation: tf.Tensor, response: tf.Tensor) -> tf.Tensor:
        """[B, T, 1 + N]: a fixation unit that is active until the response, then a bump in its direction [B]."""
        responds = 1.0 - fixation
        ring = _REST + responds[..., tf.newaxis] * self._bump(response)[:, tf.newaxis]
        unit = fixation * _HEIGHT + responds * _REST
        return tf.concat([unit[..., tf.newaxis], ring], axis=-1)

    def _bump(self, directions: tf.Tensor) -> tf.Tensor:
        """Activity [..., N] of a ring's units that a stimulus of strength 1 in some directions [...] causes."""
        apart = tf.abs(directions[..., tf.newaxis] - self._preferred)
        apart = tf.minimum(apart, math.tau - apart)
        return _HEIGHT * tf.exp(-0.5 * tf.square(apart / _WIDTH))

    def _cost(self, fixation: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Cost weights [B, T], divided by the trial's length: the sum over time is a mean.

        0 in the first 100 ms, 1 until the fixation signal goes off, 0 in the 100 ms in which the network may react,
        5 from then on.
        """
        steps = tf.range(tf.shape(fixation)[1])
        go = tf.reduce_sum(tf.cast(fixation, tf.int32), axis=1, keepdims=True)  # [B, 1]
        ends = lengths[:, tf.newaxis]
        before = (steps >= self._grace_steps) & (steps < go)
        after = (steps >= go + self._grace_steps) & (steps < ends)
        cost = tf.cast(before, tf.float32) + _AFTER_COST * tf.cast(after, tf.float32)
        return cost / tf.cast(ends, tf.float32)


def respond_after_fixation(inputs: tf.Tensor) -> tf.Tensor:
    """Loss weights [B, T] of generated trials: as the cost, from where the fixation signal is first below one half."""
    fixates = tf.math.cumprod(tf.cast(inputs[..., 0] > 0.5, tf.float32), axis=1)
    return (fixates + _AFTER_COST * (1.0 - fixates)) / tf.cast(tf.shape(inputs)[1], tf.float32)


def _as_fractions(radians: np.ndarray) -> np.ndarray:
    return (np.rint(radians * (_FULL_TURN / math.tau)) % _FULL_TURN).astype(np.uint16)


def _as_radians(fractions: tf.Tensor) -> tf.Tensor:
    return tf.cast(fractions, tf.float32) * (math.tau / _FULL_TURN)
