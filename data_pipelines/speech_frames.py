"""From recordings to log-mel frames."""

from __future__ import annotations

import tensorflow as tf

RATE = 16_000
"""Samples a second."""
NUM_BANDS = 40
NUM_FRAMES = 49
"""Frames of a second: 40 ms each, every 20 ms."""
_WINDOW, _HOP = 640, 320
_LOWEST, _HIGHEST = 60.0, 7600.0  # Hz
_RANGE = (-7.0, 6.0)  # of log energies, mapped to 0 and 255


def log_mel_frames(waves: tf.Tensor) -> tf.Tensor:
    """Log energies of mel bands, [B, 49, 40] uint8, of waves [B, 16000] float32 within [-1, 1].

    With the magnitudes |S| [B, 49, 513] of a short-time Fourier transform and the triangles M of 40 mel bands,

        x = round(255 (log(|S| M + 10^-3) + 7) / 13), cut to [0, 255]
    """
    magnitudes = tf.abs(tf.signal.stft(waves, _WINDOW, _HOP))
    triangles = tf.signal.linear_to_mel_weight_matrix(NUM_BANDS, magnitudes.shape[-1], RATE, _LOWEST, _HIGHEST)
    energies = tf.math.log(magnitudes @ triangles + 1e-3)
    low, high = _RANGE
    return tf.cast(tf.round(tf.clip_by_value(255 * (energies - low) / (high - low), 0, 255)), tf.uint8)


def frames_of(num_samples: tf.Tensor) -> tf.Tensor:
    """Frames of recordings with these numbers of samples: those that lie within it, but at least one."""
    return tf.clip_by_value((num_samples - _WINDOW) // _HOP + 1, 1, NUM_FRAMES)
