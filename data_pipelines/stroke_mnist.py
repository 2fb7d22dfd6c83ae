"""Split Stroke-MNIST: tell two digits apart by their pen strokes, one pair of digits after another (Ehret et al. 2021).

A step of a sequence is (dx, dy, end of stroke, end of digit), and the class is asked for at the last step. Inputs are
whole numbers and are not normalised. Tasks are the digits (0, 1), (2, 3), ..., (8, 9), as published. The 15 tasks of
Kao et al. (NeurIPS 2021) are these, then the same with x and y swapped, then the same flipped (left and right). Without
a data directory, the digits of scikit-learn are used, traced as strokes.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.ranges import Settings
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import InputModel, Task, TaskStream
from data_pipelines.describe import main
from data_pipelines.storage import warn
from data_pipelines.stroke_batches import end_of_last_digit, stroke_split
from data_pipelines.stroke_digits import NUM_FEATURES, StrokeData, StrokeDigits
from data_pipelines.stroke_pictures import draw_strokes as draw_example  # noqa: F401 - for the description
from data_pipelines.stroke_sources import SourceName, read_strokes
from data_pipelines.stroke_sources import download as download  # for the flag --download

_SIDE = 29  # x and 29 - x are mirror images in coordinates 1 to 28
Variant = Literal["plain", "swapped", "flipped"]


@dataclass(frozen=True)
class Config(Settings):
    """Which digits make a task, and where strokes come from; by default 5 tasks of two digits each."""

    section = "data"
    num_tasks: int | None = None
    """Only this many tasks, the first ones."""
    classes_per_task: int = 2
    """Digits of a task; 10 gives one task, without any split."""
    variants: tuple[Variant, ...] = ("plain",)
    """The tasks once for each of these: `plain`, `swapped` (x and y), `flipped` (left and right). Kao et al. 2021:
    `plain swapped flipped`."""
    num_train: int | None = None
    """At most this many training digits of a task; `None` takes all."""
    num_validation: int = 100
    """Training digits of a task that are set aside for validation: the first ones; 0 for no such split."""
    num_test: int | None = None
    """At most this many test digits of a task; `None` takes all."""
    source: SourceName = "auto"
    """`npz`, `text`, `images`, `tfds`, `starter`; `auto` takes what is found in the data directory in this order, and
    the embedded starter digits without one."""
    cache: Path | None = None
    """A `.npz` file in which strokes from text or images are kept for the next run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_tasks", "num_train", "num_test"):
            value = getattr(self, name)
            require(value is None or value > 0, f"data.{name} must be above 0, or None. Received: {value}.")
        require(self.num_validation >= 0, f"data.num_validation must not be negative. Received: {self.num_validation}.")
        require(
            2 <= self.classes_per_task <= 10,
            f"data.classes_per_task must be in [2, 10], the digits. Received: {self.classes_per_task}.",
        )
        require(
            len(set(self.variants)) == len(self.variants) > 0,
            f"data.variants must be one or more, and differ. Received: {' '.join(self.variants) or 'none'}.",
        )
        known = len(self.variants) * (10 // self.classes_per_task)
        require(
            self.num_tasks is None or self.num_tasks <= known,
            f"data.num_tasks must be at most {known} ({10 // self.classes_per_task} groups of digits, "
            f"{len(self.variants)} variants). Received: {self.num_tasks}.",
        )

    @property
    def tasks(self) -> list[tuple[Variant, range]]:
        """Variant and digits of each task."""
        size = self.classes_per_task
        groups = [range(first, first + size) for first in range(0, 10 - size + 1, size)]
        return [(variant, group) for variant in self.variants for group in groups][: self.num_tasks]


def quick(config: Config) -> Config:
    """At most 2 tasks of 200 digits."""
    return dataclasses.replace(
        config,
        num_tasks=min(len(config.tasks), 2),
        num_train=min(config.num_train or 200, 200),
        num_validation=min(config.num_validation, 20),
        num_test=min(config.num_test or 100, 100),
    )


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """One task for each group of digits.

    Args:
      config: The settings.
      data_dir: See `read_strokes`.

    Raises:
      ConfigurationError: Data are missing or damaged, or a task has too few digits.
    """
    strokes = read_strokes(data_dir, config.source, config.cache)
    left = 10 % config.classes_per_task
    if left and config.num_tasks is None:
        digits = ", ".join(map(str, range(10 - left, 10)))
        warn(f"data.classes_per_task {config.classes_per_task} leaves these digits out: {digits}.")
    time = max(int(digits.lengths.max()) for digits in strokes.data)  # generated sequences are as long
    tasks = tuple(_task(number, config, strokes.data, time) for number in range(len(config.tasks)))
    named = zip(tasks, (group for _, group in config.tasks), strict=True)
    return TaskStream(
        name="stroke_mnist",
        tasks=tasks,
        num_features=NUM_FEATURES,
        num_outputs=config.classes_per_task,
        outputs="softmax",
        data_source=strokes.source,
        input_model=InputModel("gaussian", partial(end_of_last_digit, num_digits=1)),
        data_facts={**strokes.facts, "classes": {task.name: list(map(str, group)) for task, group in named}},
    )


def varied(digits: StrokeDigits, variant: Variant) -> StrokeDigits:
    """The digits with x and y swapped, or flipped; the first step of a digit is a place, the others are offsets."""
    if variant == "plain":
        return digits
    if variant == "swapped":
        return digits._replace(steps=digits.steps[:, [1, 0, 2, 3]])
    steps = digits.steps.copy()
    steps[:, 0] *= -1
    steps[np.cumsum(digits.lengths) - digits.lengths, 0] += _SIDE
    return digits._replace(steps=steps)


def _task(task_id: int, config: Config, data: StrokeData, time: int) -> Task:
    variant, group = config.tasks[task_id]
    name = f"digits_{''.join(map(str, group))}" + ("" if variant == "plain" else f"_{variant}")
    of_train, of_test = (
        _of_group(digits, group, part) for digits, part in zip(data, ("training", "test"), strict=True)
    )
    require(
        config.num_validation < len(of_train),
        f"data.num_validation must be below {len(of_train)}, the training digits of {name}. "
        f"Received: {config.num_validation}.",
    )
    validation, train = of_train[: config.num_validation], of_train[config.num_validation :]

    def split(digits: StrokeDigits, indices: np.ndarray) -> ArraySplit:
        chosen = varied(digits.chosen(indices), variant)
        every = np.arange(len(indices))[:, np.newaxis]
        return stroke_split(chosen, every, chosen.labels - group[0], time)

    return Task(
        task_id,
        name,
        split(data.train, train[: config.num_train]),
        split(data.test, of_test[: config.num_test]),
        split(data.train, validation) if len(validation) else None,
    )


def _of_group(digits: StrokeDigits, group: range, part: str) -> np.ndarray:
    """Indices of the digits of a task, in the order of the data."""
    for label in group:
        require(
            bool(np.any(digits.labels == label)), f"there is no {label} among the {part} digits. Get the whole data."
        )
    return np.flatnonzero(np.isin(digits.labels, group))


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
