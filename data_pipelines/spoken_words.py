"""Ten words of a simple speech synthesiser, for those who have no recordings.

A voiced sound is a train of pulses, each of which excites three damped resonances (formants), as in Rodet, "Time-domain
formant-wave-function synthesis" (1984); a hiss is a band of noise. Frequencies of vowels are the averages of Peterson
and Barney, "Control methods used in a study of the vowels" (1952). Speakers differ in pitch, vocal tract and speed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RATE = 16_000
"""Samples a second."""


class Waves(NamedTuple):
    """Recordings of one second at most."""

    samples: np.ndarray
    """[N, RATE] float32 within [-1, 1], 0 after the end."""
    lengths: np.ndarray
    """[N] int32: samples of each."""


class Sound(NamedTuple):
    """A sound of speech."""

    seconds: float
    voice: float
    """Loudness of its pulses."""
    formants: tuple[float, float, float]
    """Hz."""
    hiss: float = 0.0
    """Loudness of its noise."""
    hiss_at: float = 4000.0
    """Middle of the band of noise, Hz."""


_NEUTRAL = (500.0, 1500.0, 2500.0)
_SOUNDS = {
    "AA": Sound(0.15, 1.0, (730, 1090, 2440)),
    "AH": Sound(0.12, 1.0, (640, 1190, 2390)),
    "AO": Sound(0.15, 1.0, (570, 840, 2410)),
    "EH": Sound(0.13, 1.0, (530, 1840, 2480)),
    "IY": Sound(0.12, 0.9, (270, 2290, 3010)),
    "UH": Sound(0.10, 0.9, (440, 1020, 2240)),
    "UW": Sound(0.11, 0.9, (300, 870, 2240)),
    "L": Sound(0.08, 0.6, (360, 1300, 2700)),
    "R": Sound(0.08, 0.6, (310, 1060, 1380)),
    "Y": Sound(0.07, 0.6, (270, 2200, 3000)),
    "N": Sound(0.10, 0.4, (250, 1700, 2600)),
    "D": Sound(0.05, 0.2, (300, 1700, 2600), 0.2, 3500),
    "G": Sound(0.06, 0.2, (300, 2000, 2400), 0.2, 2000),
    "F": Sound(0.11, 0.0, _NEUTRAL, 0.12, 5000),
    "S": Sound(0.13, 0.0, _NEUTRAL, 0.35, 5800),
    "P": Sound(0.04, 0.0, _NEUTRAL, 0.25, 1200),
    "T": Sound(0.04, 0.0, _NEUTRAL, 0.4, 4200),
    "-": Sound(0.05, 0.0, _NEUTRAL),
}
PRONUNCIATIONS = {
    "down": "D AA UH N",
    "go": "G AO UW",
    "left": "L EH F - T",
    "no": "N AO UW",
    "off": "AO F",
    "on": "AA N",
    "right": "R AA IY - T",
    "stop": "S - T AA - P",
    "up": "AH - P",
    "yes": "Y EH S",
}
"""The words, and the sounds that they are made of."""
_BANDWIDTHS = np.array([70.0, 100.0, 150.0])  # of formants, Hz
_LOUDNESS = np.array([1.0, 0.6, 0.3])  # of formants
_PULSE = 200  # samples that are computed of a pulse
_RAMP = 0.015  # seconds in which one sound passes into the next, before and after its end


def speak(word: str, num_clips: int, seed: int) -> Waves:
    """Recordings of a word by as many speakers.

    Args:
      word: One of `PRONUNCIATIONS`.
      num_clips: N.
      seed: Of the speakers. The first clips are the same whatever N is.
    """
    samples, lengths = np.zeros((num_clips, RATE), np.float32), np.full(num_clips, RATE, np.int32)
    for number in range(num_clips):
        rng = np.random.default_rng([seed, number, *word.encode()])
        spoken = _spoken([_SOUNDS[name] for name in PRONUNCIATIONS[word].split()], rng)[:RATE]
        start = rng.integers(0, RATE - len(spoken) + 1)
        if rng.uniform() < 0.2:  # as in collections of recordings, some are cut short
            lengths[number] = start + len(spoken)
        samples[number, start : start + len(spoken)] = rng.uniform(0.2, 0.9) * spoken / np.abs(spoken).max()
        noise = rng.uniform(0.001, 0.02) * rng.standard_normal(lengths[number], dtype=np.float32)
        samples[number, : lengths[number]] += noise
    return Waves(np.clip(samples, -1, 1), lengths)


def _spoken(sounds: list[Sound], rng: np.random.Generator) -> np.ndarray:
    """The wave of some sounds by one speaker."""
    pitch = rng.uniform(95, 230)
    tract = 1 + (pitch - 150) / 600 + 0.04 * rng.standard_normal()  # who speaks higher has a shorter vocal tract
    speed = rng.uniform(0.8, 1.25)
    ends = np.cumsum([sound.seconds / speed * rng.uniform(0.85, 1.15) for sound in sounds])
    starts = np.concatenate([[0.0], ends[:-1]])
    knots = np.stack([starts + _RAMP, np.maximum(ends - _RAMP, starts + _RAMP)], axis=1).ravel()

    def track(values: list[float], times: np.ndarray) -> np.ndarray:
        return np.interp(times, knots, np.repeat(values, 2))

    times = np.arange(int(RATE * ends[-1])) / RATE
    rate = pitch * (1.1 - 0.25 * times / ends[-1])  # the pitch falls
    cycles = np.cumsum(rate) / RATE
    pulses = np.flatnonzero(np.diff(np.floor(cycles), prepend=0.0))
    wave = np.zeros(len(times) + _PULSE)
    decay = np.arange(_PULSE) / RATE
    places = pulses[:, np.newaxis] + np.arange(_PULSE)
    for number, (bandwidth, loudness) in enumerate(zip(_BANDWIDTHS, _LOUDNESS, strict=True)):
        formant = tract * track([sound.formants[number] for sound in sounds], times[pulses])[:, np.newaxis]
        strength = loudness * track([sound.voice for sound in sounds], times[pulses])[:, np.newaxis]
        # exp(-pi B t) sin(2 pi F t)
        rings = strength * np.exp(-np.pi * bandwidth * decay) * np.sin(2 * np.pi * formant * decay)
        wave += np.bincount(places.ravel(), rings.ravel(), minlength=len(wave))
    band = np.convolve(rng.standard_normal(len(times)), np.full(5, 0.2), mode="same")
    middle = tract * track([sound.hiss_at for sound in sounds], times)
    hiss = track([sound.hiss for sound in sounds], times) * band * np.cos(2 * np.pi * np.cumsum(middle) / RATE)
    return wave[: len(times)] + 2 * hiss + 1e-6
