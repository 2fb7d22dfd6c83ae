"""Cognitive tasks (Yang et al. 2019): look at a dot, away from it, or at the stronger of two, from memory or at once.

A trial has F = 1 + 2 N inputs at every step: a fixation signal, and two rings (modalities) of N units that prefer
directions, on which stimuli are bumps of activity. While the fixation signal is on, the network must fixate. When it
goes off, the network must respond with a direction on its output ring, an output of kind `ring`.

    fdgo, fdanti           the stimulus stays on; respond in its direction, or in the opposite one
    delaygo, delayanti     the stimulus is gone before the response
    dm1, dm2               two stimuli in modality 1 (2); respond in the direction of the stronger one
    contextdm1, contextdm2 two stimuli in both modalities; only modality 1 (2) counts
    multidm                two stimuli in both modalities; the sums of their strengths count
    delaydm1, delaydm2     two stimuli in modality 1 (2), one after the other

Durations, strengths, noise and cost weights are those of the published code. Differences: durations and the modality
of a single stimulus are drawn for each trial instead of each batch; there is a given number of trials, instead of new
ones at every step; and the network has no input for the rule, as each task has a head (`network.task_id_input` adds
one). The published code squares the cost weights, and the paper does not; they are those of the paper here.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.ranges import NonNegative, NonNegativeInt, Positive, PositiveInt, Settings
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, InputModel, Task, TaskStream
from data_pipelines.cognitive_trials import BatchMaker, Stimuli, Trials, respond_after_fixation
from data_pipelines.describe import main
from data_pipelines.sample_texts import name_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TaskName = Literal[
    "fdgo",
    "fdanti",
    "delaygo",
    "delayanti",
    "dm1",
    "dm2",
    "contextdm1",
    "contextdm2",
    "multidm",
    "delaydm1",
    "delaydm2",
]
BUCKET = 16  # batches are padded to multiples of this
_RESPONSE = 500  # milliseconds
_COHERENCES = (0.01, 0.02, 0.04, 0.08)  # half the difference in strength of two stimuli that are on at once
_DELAYED_COHERENCES = (0.08, 0.16, 0.32)  # ... that follow one another


@dataclass(frozen=True)
class Config(Settings):
    """Which tasks are learned, and what their trials are like."""

    section = "data"
    tasks: tuple[TaskName, ...] = (
        "fdgo",
        "fdanti",
        "delaygo",
        "delayanti",
        "dm1",
        "dm2",
        "contextdm1",
        "contextdm2",
        "multidm",
    )
    """Tasks in the order in which they are learned."""
    ring_size: PositiveInt = 32
    """N: units of each ring."""
    step_duration: PositiveInt = 20
    """Milliseconds of a step, at most 100."""
    coherence_scale: Positive = 1.0
    """Scales the difference in strength of two stimuli; 10 gives the easy decisions of the published code."""
    noise: NonNegative = 0.01
    """Standard deviation of the noise of inputs, for steps of twice the time constant of 100 ms."""
    num_train: PositiveInt = 5000
    """Training trials of each task."""
    num_validation: NonNegativeInt = 200
    """Validation trials of each task; 0 for no such split."""
    num_test: PositiveInt = 1000
    """Test trials of each task."""
    data_seed: int = 0
    """Seed of trials and noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.tasks) > 0, "data.tasks needs at least one task. Received: ().")
        require(len(set(self.tasks)) == len(self.tasks), f"data.tasks must differ. Received: {' '.join(self.tasks)}.")
        require(self.ring_size >= 3, f"data.ring_size must be at least 3. Received: {self.ring_size}.")
        require(self.step_duration <= 100, f"data.step_duration must be at most 100. Received: {self.step_duration}.")
        require(0 <= self.data_seed < 2**32, f"data.data_seed must be in [0, 2^32). Received: {self.data_seed}.")

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise of each input: `noise` sqrt(2 tau / step), with tau = 100 ms."""
        return self.noise * math.sqrt(2 * 100 / self.step_duration)


def quick(config: Config) -> Config:
    """At most 3 tasks and 500 training trials."""
    return dataclasses.replace(
        config,
        tasks=config.tasks[:3],
        num_train=min(config.num_train, 500),
        num_validation=min(config.num_validation, 100),
        num_test=min(config.num_test, 100),
    )


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """Generated trials of the tasks that the settings name.

    Args:
      config: Tasks, and what their trials are like.
      data_dir: Not used, all data are generated.
    """
    del data_dir
    make_batch = BatchMaker(config.ring_size, 100 // config.step_duration, config.noise_std, config.data_seed)
    return TaskStream(
        name="cognitive_tasks",
        tasks=tuple(_task(task_id, name, config, make_batch) for task_id, name in enumerate(config.tasks)),
        num_features=1 + 2 * config.ring_size,
        num_outputs=1 + config.ring_size,
        outputs="ring",
        data_source=f"generated, data seed {config.data_seed}",
        input_model=InputModel("gaussian", respond_after_fixation),
    )


def _task(task_id: int, name: str, config: Config, make_batch: BatchMaker) -> Task:
    """A task. Its trials depend on its name and the seed, not on its place among the others."""

    def split(number: int, num_trials: int) -> ArraySplit:
        rng = np.random.default_rng([config.data_seed, zlib.crc32(name.encode()), number])
        arrays = draw_trials(name, config, rng, num_trials).arrays(rng)
        return ArraySplit(arrays, make_batch, range(BUCKET, arrays["strengths"].shape[1], BUCKET))

    return Task(
        task_id,
        name,
        split(0, config.num_train),
        split(1, config.num_test),
        split(2, config.num_validation) if config.num_validation else None,
    )


def draw_trials(name: str, config: Config, rng: np.random.Generator, num_trials: int) -> Trials:
    """Trials of a task, by its name."""
    draw = _Draw(config, rng, num_trials)
    modality = 2 if name.endswith("2") else 1
    if name in ("fdgo", "fdanti", "delaygo", "delayanti"):
        return _single_stimulus(draw, stays=name.startswith("fd"), opposite=name.endswith("anti"))
    if name.startswith("delaydm"):
        return _delayed_decision(draw, modality)
    if name.startswith("dm"):
        return _decision(draw, modality)
    return _decision_of_two_modalities(draw, None if name == "multidm" else modality)


@dataclass(frozen=True)
class _Draw:
    """Draws for N trials; durations are in milliseconds and become whole steps."""

    config: Config
    rng: np.random.Generator
    num_trials: int

    def steps(self, milliseconds: np.ndarray) -> np.ndarray:
        return (milliseconds // self.config.step_duration).astype(np.int32)

    def one_of(self, *durations: int) -> np.ndarray:
        """[N] steps of one of some durations."""
        return self.steps(self.rng.choice(durations, self.num_trials))

    def between(self, shortest: int, longest: int) -> np.ndarray:
        """[N] steps of a duration between two."""
        return self.steps(self.rng.uniform(shortest, longest, self.num_trials))

    def response(self) -> np.ndarray:
        return self.steps(np.full(self.num_trials, _RESPONSE))

    def directions(self) -> np.ndarray:
        return self.rng.uniform(0, math.tau, self.num_trials)

    def two_directions(self) -> np.ndarray:
        """[N, 2] at least 90 degrees apart."""
        first = self.directions()
        apart = self.rng.uniform(0.5 * math.pi, 1.5 * math.pi, self.num_trials)
        return np.stack([first, (first + apart) % math.tau], axis=1)

    def two_strengths(self, coherences: tuple[float, ...] = _COHERENCES) -> np.ndarray:
        """[N, 2]: a mean plus and minus a coherence of random sign."""
        mean = self.rng.uniform(0.8, 1.2, self.num_trials)
        coherence = self.config.coherence_scale * self.rng.choice(coherences, self.num_trials)
        signed = coherence * self.rng.choice([-1, 1], self.num_trials)
        return np.stack([mean + signed, mean - signed], axis=1)


def _single_stimulus(draw: _Draw, stays: bool, opposite: bool) -> Trials:
    """One stimulus in a random modality; it stays on, or is followed by a delay."""
    directions = draw.directions()
    if stays:
        on = draw.between(300, 700)
        go = on + draw.between(500, 1500)
        end = go + draw.response()
        off = end
    else:
        on = draw.one_of(300, 500, 700)
        off = on + draw.one_of(200, 400, 600)
        go = off + draw.one_of(200, 400, 800, 1600)
        end = go + draw.response()
    modalities = np.eye(2)[draw.rng.integers(0, 2, draw.num_trials)]  # [N, 2]
    stimuli = Stimuli.of_modalities(directions[:, np.newaxis], modalities[:, :, np.newaxis], on, off)
    return Trials(stimuli, go, end, (directions + math.pi * opposite) % math.tau)


def _decision(draw: _Draw, modality: int) -> Trials:
    """Two stimuli at once in one modality."""
    strengths = np.zeros([draw.num_trials, 2, 2])
    strengths[:, modality - 1] = draw.two_strengths()
    return _choice(draw, strengths, strengths.sum(axis=1))


def _decision_of_two_modalities(draw: _Draw, modality: int | None) -> Trials:
    """Two stimuli at once in both modalities, of which one counts, or the sum (None)."""
    if modality is not None:
        strengths = np.stack([draw.two_strengths(), draw.two_strengths()], axis=1)
        return _choice(draw, strengths, strengths[:, modality - 1])
    total = draw.two_strengths()  # of each stimulus, the mean over modalities; its parts differ by 20 to 80 percent
    share = draw.rng.uniform(0.2, 0.8, total.shape) * draw.rng.choice([-1, 1], total.shape)
    strengths = np.stack([total * (1 + share / 2), total * (1 - share / 2)], axis=1)
    return _choice(draw, strengths, total)


def _choice(draw: _Draw, strengths: np.ndarray, counted: np.ndarray) -> Trials:
    """Two stimuli at once, in the two modalities with strengths [N, 2, 2]; those [N, 2] that count decide."""
    directions = draw.two_directions()
    on = draw.between(100, 400)
    go = on + draw.one_of(400, 800, 1600)
    stimuli = Stimuli.of_modalities(directions, strengths, on, go)
    return Trials(stimuli, go, go + draw.response(), _of_the_stronger(directions, counted))


def _delayed_decision(draw: _Draw, modality: int) -> Trials:
    """Two stimuli in one modality, one after the other."""
    directions, strengths = draw.two_directions(), draw.two_strengths(_DELAYED_COHERENCES)
    first_on = draw.one_of(200, 400, 600)
    first_off = first_on + draw.one_of(200, 400, 600)
    second_on = first_off + draw.one_of(200, 400, 800, 1600)
    second_off = second_on + draw.one_of(200, 400, 600)
    go = second_off + draw.between(100, 300)
    in_modality = np.zeros([draw.num_trials, 2, 2])
    in_modality[:, modality - 1] = strengths
    on, off = np.stack([first_on, second_on], axis=1), np.stack([first_off, second_off], axis=1)
    stimuli = Stimuli.of_modalities(directions, in_modality, on, off)
    return Trials(stimuli, go, go + draw.response(), _of_the_stronger(directions, strengths))


def _of_the_stronger(directions: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Of two directions [N, 2], the one whose strength is larger, [N]."""
    return np.take_along_axis(directions, strengths.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]


def draw_example(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw a trial, time to the right: fixation signal and two rings, and below a line what shall come out."""
    steps, inputs, size = int(example.lengths), example.inputs.shape[1], example.targets.shape[1] - 1
    image = np.concatenate([example.inputs[:steps], example.targets[:steps]], axis=1).T
    axes.imshow(image, aspect="auto", interpolation="nearest", cmap="viridis", vmin=0.0, vmax=1.0)
    axes.axhline(inputs - 0.5, color="white", linewidth=0.5)
    axes.set_xlabel("time")
    parts = {"fixation in": 1, "ring 1 in": size, "ring 2 in": size, "fixation out": 1, "ring out": size}
    starts = itertools.accumulate(parts.values(), initial=0)
    name_rows(axes, {name: (first, first + parts[name]) for name, first in zip(parts, starts, strict=False)})


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
