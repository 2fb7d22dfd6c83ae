"""Sequential Stroke-MNIST: remember m digits and sort their sequence into a class (Ehret et al. 2021).

A task has two digits, a and b. A sequence is m of them, each a random example of its digit drawn by pen strokes, so
there are 2^m strings of digits. Either each string is a class, or a random half of them is class 1 and the others
class 0. The class is asked for at the last step. Without a data directory, the digits of scikit-learn are used, traced
as strokes.

For the same seed and the same strokes, digit pairs, partitions and the digits of every sequence are those of the
published code, in its order. Batches are not: their order is drawn as on every benchmark of this project.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.ranges import Settings
from clrnn_tf.streams.tasks import InputModel, Task, TaskStream
from data_pipelines.describe import main
from data_pipelines.stroke_batches import end_of_last_digit, stroke_split
from data_pipelines.stroke_digits import NUM_FEATURES, StrokeDigits
from data_pipelines.stroke_pictures import draw_strokes as draw_example  # noqa: F401 - for the description
from data_pipelines.stroke_sources import SourceName, read_strokes
from data_pipelines.stroke_sources import download as download  # for the flag --download

_NEIGHBOURS = tuple((digit, digit + 1) for digit in range(0, 10, 2))
_PAIRS = tuple(itertools.combinations(range(10), 2))
_LONGEST = 8  # digits of a sequence: 256 strings


@dataclass(frozen=True)
class Config(Settings):
    """Length of the sequences, classes and number of tasks; by default two digits, two classes and 5 tasks."""

    section = "data"
    num_digits: int = 2
    """Digits of a sequence (m)."""
    two_classes: bool = True
    """A random half of the 2^m strings of digits is class 1, the others are class 0. Without, 2^m classes."""
    num_tasks: int = 5
    """Up to 5: the digits (0, 1), (2, 3), ...; from 6 to 45: all pairs of digits in a random order."""
    num_train: int = 12_000
    """Training sequences of each task."""
    num_validation: int = 1000
    """Validation sequences of each task, of the last sixth of the training digits; 0 for no such split."""
    num_test: int = 2000
    """Test sequences of each task."""
    data_seed: int = 42
    """Seed of pairs, partitions and the digits of sequences."""
    source: SourceName = "auto"
    """`npz`, `text`, `images`, `tfds`, `starter`; `auto` takes what is found in the data directory in this order, and
    the embedded starter digits without one."""
    cache: Path | None = None
    """A `.npz` file in which strokes from text or images are kept for the next run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            1 <= self.num_digits <= _LONGEST,
            f"data.num_digits must be in [1, {_LONGEST}]. Received: {self.num_digits}.",
        )
        require(
            1 <= self.num_tasks <= len(_PAIRS),
            f"data.num_tasks must be in [1, {len(_PAIRS)}], the pairs of digits. Received: {self.num_tasks}.",
        )
        least = self.num_strings
        for name in ("num_train", "num_test"):
            value = getattr(self, name)
            require(
                value >= least,
                f"data.{name} must be at least {least}, one for each string of digits. Received: {value}.",
            )
        require(self.num_validation >= 0, f"data.num_validation must not be negative. Received: {self.num_validation}.")
        require(0 <= self.data_seed < 2**32, f"data.data_seed must be in [0, 2^32). Received: {self.data_seed}.")

    @property
    def num_strings(self) -> int:
        """2^m."""
        return 2**self.num_digits

    @property
    def num_classes(self) -> int:
        """Outputs of the network."""
        return 2 if self.two_classes else self.num_strings


class Draws(NamedTuple):
    """What is drawn for a task."""

    pair: tuple[int, int]
    """The digits a and b."""
    of_string: np.ndarray
    """[2^m] the class of each string of digits, in lexicographic order with a before b."""
    rng: np.random.RandomState
    """Draws the digits of its sequences: training, then test, then validation."""


class Sequences(NamedTuple):
    """Sequences of one split."""

    digits: np.ndarray
    """[N, m] indices of digits."""
    strings: np.ndarray
    """[N] string of each sequence."""


def quick(config: Config) -> Config:
    """At most 2 tasks of 500 sequences."""
    return dataclasses.replace(
        config,
        num_tasks=min(config.num_tasks, 2),
        num_train=max(min(config.num_train, 500), config.num_strings),
        num_validation=min(config.num_validation, 100),
        num_test=max(min(config.num_test, 200), config.num_strings),
    )


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """One task for each pair of digits.

    Facts about the data: `class_1`, by task the strings of digits that are class 1 (of two classes only).

    Args:
      config: The settings.
      data_dir: See `read_strokes`.

    Raises:
      ConfigurationError: Data are missing or damaged, or a digit is missing.
    """
    strokes = read_strokes(data_dir, config.source, config.cache)
    pools = split_pools(strokes.data.train, strokes.data.test)
    draws = draw_tasks(config)
    sequences = [draw_splits(config, pools, each) for each in draws]
    time = max(
        int(pool.lengths[split.digits].sum(axis=1).max())
        for splits in sequences
        for pool, split in zip(pools, splits, strict=True)
        if len(split.strings)
    )
    facts = dict(strokes.facts)
    if config.two_classes:
        facts["class_1"] = {_name(each.pair): np.flatnonzero(each.of_string).tolist() for each in draws}
    return TaskStream(
        name="sequential_stroke_mnist",
        tasks=tuple(
            _task(task_id, each, pools, splits, time)
            for task_id, (each, splits) in enumerate(zip(draws, sequences, strict=True))
        ),
        num_features=NUM_FEATURES,
        num_outputs=config.num_classes,
        outputs="softmax",
        data_source=f"{strokes.source}, {config.num_digits} a sequence, data seed {config.data_seed}",
        input_model=InputModel("gaussian", partial(end_of_last_digit, num_digits=config.num_digits)),
        data_facts=facts,
    )


def split_pools(train: StrokeDigits, test: StrokeDigits) -> tuple[StrokeDigits, StrokeDigits, StrokeDigits]:
    """Digits of training, test and validation sequences: the last sixth of the training digits is for validation."""
    cut = len(train.labels) * 5 // 6
    every = np.arange(len(train.labels))
    return train.chosen(every[:cut]), test, train.chosen(every[cut:])


def draw_tasks(config: Config) -> list[Draws]:
    """Pairs of digits, partitions and generators, drawn in the published order."""
    rng = np.random.RandomState(config.data_seed)
    pairs = _NEIGHBOURS
    if config.num_tasks > len(_NEIGHBOURS):
        order = np.arange(len(_PAIRS))
        rng.shuffle(order)
        pairs = tuple(_PAIRS[number] for number in order)
    tasks = []
    for pair in pairs[: config.num_tasks]:
        of_task = np.random.RandomState(rng.randint(100_000))
        of_string = np.arange(config.num_strings)
        if config.two_classes and config.num_digits > 1:
            chosen = of_task.choice(config.num_strings, config.num_strings // 2, replace=False)
            of_string = np.isin(of_string, chosen).astype(int)
        tasks.append(Draws(pair, of_string, of_task))
    return tasks


def draw_splits(config: Config, pools: tuple[StrokeDigits, ...], draws: Draws) -> list[Sequences]:
    """The training, test and validation sequences of a task, which are drawn in this order."""
    sizes = (config.num_train, config.num_test, config.num_validation)
    names = ("training", "test", "validation")
    return [
        draw_sequences(draws, pool, size, config.num_digits, name)
        for pool, size, name in zip(pools, sizes, names, strict=True)
    ]


def draw_sequences(draws: Draws, pool: StrokeDigits, size: int, num_digits: int, name: str) -> Sequences:
    """Sequences of a split, string by string: one draw for each digit of each sequence.

    Args:
      draws: Pair of digits and generator.
      pool: Digits to draw from.
      size: N, spread evenly over the strings; the first N mod 2^m have one more.
      num_digits: m.
      name: Of the split, for errors.

    Raises:
      ConfigurationError: A digit of the pair is not in the pool.
    """
    counts = np.full(2**num_digits, size // 2**num_digits)
    counts[: size % 2**num_digits] += 1
    strings = np.repeat(np.arange(2**num_digits), counts)
    bits = strings[:, np.newaxis] >> np.arange(num_digits)[::-1] & 1  # [N, m]: 0 for a, 1 for b
    if size == 0:
        return Sequences(bits, strings)
    of_digit = [np.flatnonzero(pool.labels == digit) for digit in draws.pair]
    for digit, found in zip(draws.pair, of_digit, strict=True):
        require(len(found) > 0, f"there is no {digit} among the {name} digits. Get the whole data.")
    numbers = draws.rng.randint(0, np.array([len(found) for found in of_digit])[bits])
    chosen = [found[np.minimum(numbers, len(found) - 1)] for found in of_digit]  # right where the bit says so
    indices = np.where(bits == 0, *chosen)
    return Sequences(indices, strings)


def _task(task_id: int, draws: Draws, pools: tuple[StrokeDigits, ...], sequences: list[Sequences], time: int) -> Task:
    train, test, validation = (
        stroke_split(pool, each.digits, draws.of_string[each.strings], time) if len(each.strings) else None
        for pool, each in zip(pools, sequences, strict=True)
    )
    assert train is not None and test is not None  # the settings ask for at least one of each string
    return Task(task_id, _name(draws.pair), train, test, validation)


def _name(pair: tuple[int, int]) -> str:
    return f"digits_{pair[0]}{pair[1]}"


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
