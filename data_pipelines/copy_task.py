"""The Copy Task and its variants (Ehret et al. 2021): read bit patterns, then write them down from memory.

A sequence holds the bits, a stop flag in a separate channel, and empty steps in which the pattern is recalled. All
tasks have the same inputs, unless their lengths differ. They differ in how the pattern is rearranged. For the same
seed, the data are bit for bit those of the published generator.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.ranges import Settings
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import InputModel, Task, TaskStream
from data_pipelines import copy_patterns
from data_pipelines.copy_batches import MakeBatch, fixed_length_batches, recall_after_stop_flag, varying_length_batches
from data_pipelines.copy_patterns import Layout, Sequences
from data_pipelines.describe import main

BUCKET = 8  # batches of sequences of varying lengths are padded to multiples of this


@dataclass(frozen=True)
class Config(Settings):
    """The Copy Task family; by default the permuted Copy Task with 5 tasks and patterns of 5 steps."""

    section = "data"
    num_tasks: int = 5
    """Number of tasks."""
    input_length: int = 5
    """Input steps before the stop flag (in the first task, on average)."""
    pattern_length: int | None = None
    """Input steps that carry the pattern, the others being empty (`pat_len`); `None` takes all of them."""
    length_step: int = 0
    """Steps by which the input grows from task to task (7 in the published 'basic, growing length' variant)."""
    length_variability: int = 0
    """Input lengths of a task are drawn within +- this (2 in the published 'basic, growing length' variant)."""
    seq_width: int = 7
    """Bits per step."""
    output_width: int | None = None
    """Recall only this many channels, the first ones; `None` recalls all."""
    permute_time: bool = True
    """Recall the steps in another order, drawn for each task."""
    permute_width: bool = False
    """Recall the channels in another order, drawn for each task; with `permute_time`, all bits are mixed."""
    permute_xor: bool = False
    """Recall XOR of the pattern and its permutation (pattern manipulation)."""
    xor_iterations: int = 1
    """How often `permute_xor` is applied (r)."""
    xor_separate: bool = False
    """Draw r permutations for `permute_xor`: each recalled bit is the parity of r + 1 input bits."""
    scatter: bool = False
    """All input steps are random; `pattern_length` of them, drawn for each task, are recalled in order."""
    pairwise: bool = False
    """`permute_time` swaps neighbouring steps, alike in all tasks, instead of a random order."""
    revert: bool = False
    """Recall the steps backwards, alike in all tasks."""
    random_pad: bool = False
    """Fill the input steps after the pattern with random bits, to be ignored, instead of zeros."""
    pad_after_stop: bool = False
    """Move the empty steps behind the stop flag: the network is to output zeros there, then the pattern."""
    num_train: int = 100_000
    """Training sequences of each task."""
    num_validation: int = 1000
    """Validation sequences of each task; 0 for no such split."""
    num_test: int = 1000
    """Test sequences of each task."""
    data_seed: int = 42
    """Seed of patterns, permutations and scatter steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_ranges()
        self._check_combinations()

    def _check_ranges(self) -> None:
        for name in ("num_tasks", "input_length", "seq_width", "xor_iterations", "num_train", "num_test"):
            require(getattr(self, name) >= 1, f"data.{name} must be at least 1. Received: {getattr(self, name)}.")
        for name in ("length_step", "length_variability", "num_validation"):
            require(getattr(self, name) >= 0, f"data.{name} must not be negative. Received: {getattr(self, name)}.")
        require(0 <= self.data_seed < 2**32, f"data.data_seed must be in [0, 2^32). Received: {self.data_seed}.")
        shortest = self.input_length - self.length_variability
        require(
            shortest >= 1,
            f"data.length_variability must be below data.input_length. "
            f"Received: {self.length_variability} and {self.input_length}.",
        )
        require(
            self.pattern_length is None or 1 <= self.pattern_length <= shortest,
            f"data.pattern_length must be in [1, {shortest}], the shortest input, or None. "
            f"Received: {self.pattern_length}.",
        )
        require(
            1 <= self.recalled_width <= self.seq_width,
            f"data.output_width must be in [1, {self.seq_width}], the data.seq_width, or None. "
            f"Received: {self.output_width}.",
        )

    def _check_combinations(self) -> None:
        require(
            not (self.permute or self.scatter) or self.length_step == self.length_variability == 0,
            "data.length_step and data.length_variability must be 0 where data.permute_time, data.permute_width or "
            f"data.scatter is set. Received: {self.length_step} and {self.length_variability}.",
        )
        for name in ("scatter", "random_pad", "pad_after_stop"):
            require(
                not getattr(self, name) or self.pattern_length is not None,
                f"data.{name} needs data.pattern_length. Received: pattern_length=None.",
            )
        for name in ("scatter", "random_pad"):
            require(
                not (self.pad_after_stop and getattr(self, name)),
                f"data.pad_after_stop leaves no input steps for data.{name}. Received: both.",
            )
        require(
            not self.permute_xor or self.permute,
            "data.permute_xor needs data.permute_time or data.permute_width. Received: neither.",
        )
        require(
            self.permute_xor or not (self.xor_separate or self.xor_iterations > 1),
            "data.xor_iterations and data.xor_separate need data.permute_xor. "
            f"Received: {self.xor_iterations} and {self.xor_separate}.",
        )
        require(
            not self.pairwise or (self.permute_time and not self.permute_width),
            "data.pairwise needs data.permute_time and excludes data.permute_width. "
            f"Received: permute_time={self.permute_time}, permute_width={self.permute_width}.",
        )
        require(
            not (self.revert and self.permute),
            "data.revert excludes data.permute_time and data.permute_width. "
            f"Received: permute_time={self.permute_time}, permute_width={self.permute_width}.",
        )
        require(
            not self.permute_width or self.recalled_width == self.seq_width,
            f"data.permute_width mixes all channels, so data.output_width must be None. Received: {self.output_width}.",
        )

    @property
    def permute(self) -> bool:
        """Whether each task recalls its pattern permuted."""
        return self.permute_time or self.permute_width

    @property
    def recalled_width(self) -> int:
        """Outputs of the network."""
        return self.seq_width if self.output_width is None else self.output_width

    def layout(self, task_id: int) -> Layout:
        """Where input, stop flag and recall stand in the sequences of a task."""
        mean = self.input_length + task_id * self.length_step
        return Layout(
            mean - self.length_variability, mean + self.length_variability, self.pattern_length, self.pad_after_stop
        )


def quick(config: Config) -> Config:
    """At most 3 tasks and 2000 training sequences."""
    return dataclasses.replace(
        config,
        num_tasks=min(config.num_tasks, 3),
        num_train=min(config.num_train, 2000),
        num_validation=min(config.num_validation, 200),
        num_test=min(config.num_test, 200),
    )


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """The tasks of a Copy Task variant.

    Args:
      config: The variant.
      data_dir: Not used, all data are generated.
    """
    layouts = [config.layout(task_id) for task_id in range(config.num_tasks)]
    splits = {layout: _draw_splits(config, layout) for layout in dict.fromkeys(layouts)}
    if config.length_variability > 0:
        makers = [varying_length_batches(layout, config.recalled_width, config.revert) for layout in layouts]
    else:
        sources = target_sources(config)
        makers = [fixed_length_batches(*pair, config.recalled_width) for pair in zip(layouts, sources, strict=True)]
    return TaskStream(
        name="copy_task",
        tasks=tuple(
            _task(task_id, splits[layout], make_batch, layout)
            for task_id, (layout, make_batch) in enumerate(zip(layouts, makers, strict=True))
        ),
        num_features=config.seq_width + 1,
        num_outputs=config.recalled_width,
        outputs="sigmoid",
        data_source=f"generated, data seed {config.data_seed}",
        input_model=InputModel("bernoulli", partial(recall_after_stop_flag, layouts[0])),
    )


def target_sources(config: Config) -> list[np.ndarray]:
    """Which input bits decide each recalled bit, for every task: [n, p * C] indices into the flattened inputs.

    Recalled bit j of a sequence, whose inputs [T, w + 1] are flattened, is the parity of the n bits in column j.

    Args:
      config: A variant whose lengths do not vary within a task.
    """
    permutation_states = copy_patterns.task_states(config.data_seed, config.num_tasks, 1000)
    scatter_states = copy_patterns.task_states(config.data_seed, config.num_tasks, 10**6)
    sources = []
    for task_id, (state, scatter_state) in enumerate(zip(permutation_states, scatter_states, strict=True)):
        layout = config.layout(task_id)
        num_steps = layout.pattern_steps(layout.longest)
        steps = np.arange(num_steps)
        if config.scatter:
            steps = np.sort(scatter_state.choice(np.arange(layout.longest), num_steps, replace=False))
        cells = (steps[:, np.newaxis] * (config.seq_width + 1) + np.arange(config.recalled_width)).ravel()
        sources.append(cells[_rearrangement(config, num_steps, state)])
    return sources


def _rearrangement(config: Config, num_steps: int, state: np.random.RandomState) -> np.ndarray:
    """Indices [n, p * C] of the pattern's bits whose parities are a task's targets."""
    width = config.recalled_width
    unchanged = np.arange(num_steps * width)
    if not config.permute:
        return (copy_patterns.reversal(num_steps, width) if config.revert else unchanged)[np.newaxis]

    def permutation() -> np.ndarray:
        if config.pairwise:
            return copy_patterns.pairwise_permutation(num_steps, width)
        return copy_patterns.random_permutation(state, num_steps, width, config.permute_time, config.permute_width)

    if config.xor_separate:
        return np.stack([unchanged, *(permutation() for _ in range(config.xor_iterations))])
    if config.permute_xor:
        return copy_patterns.iterated_xor(permutation(), config.xor_iterations)
    return permutation()[np.newaxis]


def _draw_splits(config: Config, layout: Layout) -> tuple[Sequences, Sequences, Sequences]:
    """The training, test and validation sequences, in the order in which the published code draws them."""
    rng = np.random.RandomState(config.data_seed)
    train, test, validation = (
        copy_patterns.draw_sequences(rng, layout, number, config.seq_width, config.scatter or config.random_pad)
        for number in (config.num_train, config.num_test, config.num_validation)
    )
    return train, test, validation


def _task(task_id: int, splits: tuple[Sequences, Sequences, Sequences], make_batch: MakeBatch, layout: Layout) -> Task:
    buckets = range(BUCKET, layout.total_steps, BUCKET) if layout.shortest != layout.longest else ()
    train, test, validation = splits
    return Task(
        task_id,
        f"task{task_id}",
        ArraySplit(train._asdict(), make_batch, buckets),
        ArraySplit(test._asdict(), make_batch, buckets),
        ArraySplit(validation._asdict(), make_batch, buckets) if len(validation.lengths) else None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
