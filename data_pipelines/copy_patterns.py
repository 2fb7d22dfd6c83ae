"""Bit patterns, permutations and scatter steps of the Copy Task, drawn as the published generator draws them.

NumPy only. A permutation P of a flattened (row-major, steps x channels) pattern x is an index vector:
`target.flat = x.flat[P]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

Steps = TypeVar("Steps", int, np.ndarray)  # or a TensorFlow tensor, for which there are no types


@dataclass(frozen=True)
class Layout:
    """Where input, stop flag and recall stand in the sequences of one task.

    A sequence of input length L and pattern length p (p = L where `pattern_length` is None) is

        usually            L input steps, stop flag, p steps of recall
        `pad_after_stop`   p input steps, stop flag, L steps of recall

    so it has L + 1 + p steps either way, and the pattern to recall fills the last p of them.
    """

    shortest: int
    """Smallest L."""
    longest: int
    """Largest L."""
    pattern_length: int | None
    pad_after_stop: bool = False

    @property
    def total_steps(self) -> int:
        """T: steps of the longest sequence."""
        return self.longest + 1 + self.pattern_steps(self.longest)

    def input_lengths(self, lengths: Steps) -> Steps:
        """L of sequences that have `lengths` steps in all."""
        return (lengths - 1) // 2 if self.pattern_length is None else lengths - 1 - self.pattern_length

    def pattern_steps(self, input_lengths: Steps) -> Steps:
        """Pattern length p of sequences with the given L, in the shape of `input_lengths`."""
        return input_lengths if self.pattern_length is None else 0 * input_lengths + self.pattern_length

    def input_steps(self, input_lengths: Steps) -> Steps:
        """Steps before the stop flag."""
        return self.pattern_steps(input_lengths) if self.pad_after_stop else input_lengths

    def recall_steps_after(self, stops: Steps, total_steps: int) -> Steps:
        """Steps of recall that follow a stop flag at step `stops`; with `pad_after_stop` all that are left of T."""
        return total_steps - 1 - stops if self.pad_after_stop else self.pattern_steps(stops)

    def recall_steps(self, input_lengths: Steps) -> Steps:
        """Steps after the stop flag: those that are trained on and scored."""
        return input_lengths if self.pad_after_stop else self.pattern_steps(input_lengths)


class Sequences(NamedTuple):
    """The inputs of one split."""

    inputs: np.ndarray
    """[N, T, w + 1] uint8; the last channel is the stop flag."""
    lengths: np.ndarray
    """[N] int32: steps of each sequence, recall included."""


def draw_sequences(
    rng: np.random.RandomState, layout: Layout, num_examples: int, seq_width: int, random_filling: bool
) -> Sequences:
    """Draw a split: first uniform numbers [T, N, w] (bit = above 0.5), then a length per sequence where lengths vary.

    Args:
      rng: Shared by the splits of a task, which are drawn as train, test, validation.
      layout: Place of input and stop flag.
      num_examples: N.
      seq_width: w.
      random_filling: Whether input steps beyond the pattern keep their random bits; else they are zero.
    """
    inputs = np.zeros((num_examples, layout.total_steps, seq_width + 1), np.uint8)
    for step in range(layout.total_steps):  # step by step: the whole array of doubles takes up to 0.5 GB
        inputs[:, step, :seq_width] = rng.rand(num_examples, seq_width) > 0.5
    input_lengths = np.full(num_examples, layout.longest)
    if layout.shortest != layout.longest:
        input_lengths = rng.randint(layout.shortest, layout.longest + 1, size=num_examples)
    stops = layout.input_steps(input_lengths)
    ends = stops if random_filling else layout.pattern_steps(input_lengths)
    inputs[np.arange(layout.total_steps) >= ends[:, np.newaxis]] = 0
    inputs[np.arange(num_examples), stops, seq_width] = 1
    lengths = input_lengths + 1 + layout.pattern_steps(input_lengths)
    return Sequences(inputs, lengths.astype(np.int32))


def task_states(data_seed: int, num_tasks: int, num_seeds: int) -> list[np.random.RandomState]:
    """One generator per task, seeded by an integer below `num_seeds` (published: 1000 permutations, 10^6 scatters)."""
    seeds = np.random.RandomState(data_seed)
    return [np.random.RandomState(seeds.randint(num_seeds)) for _ in range(num_tasks)]


def random_permutation(
    rng: np.random.RandomState, num_steps: int, width: int, time: bool, channels: bool
) -> np.ndarray:
    """A permutation [num_steps * width] of whole steps (`time`), of whole channels, or of single cells (both)."""
    cells = np.arange(num_steps * width)
    if time and channels:
        return rng.permutation(cells)
    grid = cells.reshape(num_steps, width)
    return (rng.permutation(grid) if time else rng.permutation(grid.T).T).ravel()


def pairwise_permutation(num_steps: int, width: int) -> np.ndarray:
    """Swap the steps (0, 1), (2, 3), ...; an odd last step stays."""
    order = np.arange(num_steps)
    paired = num_steps - num_steps % 2
    order[:paired] = order[:paired].reshape(-1, 2)[:, ::-1].ravel()
    return np.arange(num_steps * width).reshape(num_steps, width)[order].ravel()


def reversal(num_steps: int, width: int) -> np.ndarray:
    """The last step first."""
    return np.arange(num_steps * width).reshape(num_steps, width)[::-1].ravel()


def iterated_xor(permutation: np.ndarray, iterations: int) -> np.ndarray:
    """Index vectors [n, cells] whose gathered bits have the parity of y_r, where y_{k+1} = P(y_k) XOR y_k and y_0 = x.

    Over the field of two elements y_r = (P + 1)^r x = sum_k binom(r, k) P^k x, and binom(r, k) is odd exactly where
    the binary digits of k are among those of r (Lucas).
    """
    powers = [np.arange(len(permutation))]
    for _ in range(iterations):
        powers.append(powers[-1][permutation])
    return np.stack([power for k, power in enumerate(powers) if k & iterations == k])
