"""Synthesised sound events of 100 classes, as log-mel frames in the form of AudioSet's features.

A class is a kind of sound: a tone with overtones or a band of noise, whose pitch may waver, repeated in some rhythm.
Clips of a class differ in pitch, rhythm, loudness, place and background noise. Their spectrograms have 64 mel bands;
the features of each second are the mean and the standard deviation of each band, [10, 128], as numbers 0 to 255.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from data_pipelines.audio_clips import NUM_FRAMES, AudioClips, divided

NUM_CLASSES = 100
_RATE = 4000  # samples a second
_SAMPLES = NUM_FRAMES * _RATE
_HOP, _WINDOW, _BANDS = 200, 256, 64
_TABLE = 1024  # samples of one period of a tone
_MEAN_RANGE, _SPREAD_RANGE = (-3.0, 5.0), (0.0, 3.0)  # of log energies, mapped to 0 and 255


def synthesise(classes: Iterable[int], clips_per_class: int, seed: int) -> AudioClips:
    """Clips of some classes, a fifth of each for tests.

    Args:
      classes: Numbers below 100. Clips of a class do not depend on what else is asked for.
      clips_per_class: At least 2.
      seed: Of the clips; classes are the same for every seed.
    """
    numbers = list(classes)
    features = np.concatenate([log_mel_frames(sounds(number, clips_per_class, seed)) for number in numbers])
    labels = np.repeat(np.arange(len(numbers), dtype=np.int32), clips_per_class)
    train, test = divided(labels, len(numbers), seed, clips_per_class)
    return AudioClips(features, labels, train, test, tuple(f"sound {number}" for number in numbers))


def sounds(number: int, num_clips: int, seed: int) -> np.ndarray:
    """Waves [n, samples] float32 of a class, 10 s at 4 kHz."""
    kind = np.random.default_rng([NUM_CLASSES, number])
    pitch = np.exp(kind.uniform(np.log(90), np.log(900)))  # Hz
    overtones = kind.dirichlet(np.full(5, 0.7))
    wave = sum(
        share * np.sin(2 * np.pi * (order + 1) * np.arange(_TABLE) / _TABLE) for order, share in enumerate(overtones)
    )
    noise_share = kind.choice([0.0, 0.3, 1.0], p=[0.5, 0.2, 0.3])
    waver, waver_rate = kind.choice([0.0, 0.05, 0.3]), kind.uniform(0.5, 8)
    rhythm, duty = np.exp(kind.uniform(np.log(0.15), np.log(6))), kind.uniform(0.2, 0.9)  # Hz, share of a period
    decay = kind.uniform(0, 4)

    rng = np.random.default_rng([seed, number])
    time = np.arange(_SAMPLES, dtype=np.float32) / _RATE
    noise = rng.standard_normal(_SAMPLES + 2 * _RATE, dtype=np.float32)
    clips = np.empty((num_clips, _SAMPLES), np.float32)
    for clip in clips:
        bend = waver / waver_rate * np.sin(2 * np.pi * (waver_rate * time + rng.uniform()))
        cycles = pitch * np.exp(0.08 * rng.standard_normal()) * (time + bend / (2 * np.pi)) + rng.uniform()
        tone = wave[(_TABLE * cycles).astype(np.int64) % _TABLE]
        start = rng.integers(0, 2 * _RATE)
        rough = np.repeat(noise[start : start + _SAMPLES // 8], 8)[:_SAMPLES] * tone  # a band of noise at the pitch
        beat = (rhythm * np.exp(0.1 * rng.standard_normal()) * time + rng.uniform()) % 1
        loud = (beat < duty) * np.exp(-decay * beat)
        begin, end = np.sort(rng.uniform(0, NUM_FRAMES, 2))
        present = (time >= min(begin, NUM_FRAMES - 4)) & (time <= max(end, begin + 3))
        clip[:] = rng.uniform(0.3, 1.0) * present * loud * ((1 - noise_share) * tone + noise_share * rough)
        clip += rng.uniform(0.01, 0.08) * noise[start : start + _SAMPLES]
    return clips


def log_mel_frames(waves: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of 64 log-mel bands in each second: [N, 10, 128] uint8 of waves [N, samples]."""
    spectra = tf.abs(tf.signal.stft(waves, _WINDOW, _HOP, pad_end=True))  # [N, frames, bins]
    bands = tf.signal.linear_to_mel_weight_matrix(_BANDS, spectra.shape[-1], _RATE, 40.0, _RATE / 2)
    energies = tf.math.log(spectra @ bands + 1e-3)
    seconds = tf.reshape(energies, [len(waves), NUM_FRAMES, -1, _BANDS])
    parts = [
        (tf.reduce_mean(seconds, axis=2), _MEAN_RANGE),
        (tf.math.reduce_std(seconds, axis=2), _SPREAD_RANGE),
    ]
    scaled = [255 * (values - low) / (high - low) for values, (low, high) in parts]
    return tf.cast(tf.round(tf.clip_by_value(tf.concat(scaled, axis=-1), 0, 255)), tf.uint8).numpy()
