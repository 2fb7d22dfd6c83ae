"""Random recurrent teachers (Ehret et al. 2021): a student network learns one teacher network after another.

Teacher k turns inputs x_t into targets y_t, with r_0 = 0 and random matrices A, B and C:

    r_t = s(A r_{t-1} + x_t)        z_t = s(B r_t)        y_t = C z_t

The loss is the squared error, averaged over outputs, steps and sequences; there is no accuracy. A student whose hidden
units are those of all teachers side by side has loss 0. For the same seed, the data are those of the published
generator.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.ranges import NonNegativeInt, Positive, PositiveInt, Settings
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, Task, TaskStream
from data_pipelines.copy_patterns import task_states
from data_pipelines.describe import draw_curves, main

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NONLINEARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "linear": lambda x: x,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
}


@dataclass(frozen=True)
class Config(Settings):
    """Random recurrent teachers; by default those of the paper: 7 units, 10 steps, 5 tasks."""

    section = "data"
    num_tasks: PositiveInt = 5
    """Number of tasks, each with a teacher of its own."""
    input_width: PositiveInt = 7
    """Inputs of a step, which is also the number of a teacher's units (n_in)."""
    output_width: PositiveInt = 7
    """Targets of a step (n_out)."""
    num_steps: PositiveInt = 10
    """Steps with inputs."""
    output_steps: int | None = None
    """Steps with targets, at least `num_steps`: inputs are 0 in those that are added. `None` adds none."""
    nonlinearity: Literal["tanh", "linear", "sigmoid"] = "tanh"
    """s: nonlinearity of the teachers' units."""
    hidden_layer: bool = True
    """Whether teachers have the second layer z_t; without, y_t = C r_t."""
    orthogonal: bool = False
    """Draw each A uniformly among the orthogonal matrices."""
    rank: int | None = None
    """Rank of each A; `None` for full rank."""
    largest_singular_value: float | None = None
    """Scale each A to this largest singular value; `None` leaves it as drawn."""
    input_limit: Positive = 1.0
    """Inputs are uniform within +- this."""
    num_train: PositiveInt = 10_000
    """Training sequences of each task."""
    num_validation: NonNegativeInt = 100
    """Validation sequences of each task; 0 for no such split."""
    num_test: PositiveInt = 1000
    """Test sequences of each task."""
    data_seed: int = 42
    """Seed of teachers and inputs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.data_seed < 2**32, f"data.data_seed must be in [0, 2^32). Received: {self.data_seed}.")
        require(
            self.output_steps is None or self.output_steps >= self.num_steps,
            f"data.output_steps must be at least {self.num_steps}, the data.num_steps, or None. "
            f"Received: {self.output_steps}.",
        )
        require(
            self.rank is None or 1 <= self.rank <= self.input_width,
            f"data.rank must be in [1, {self.input_width}], the data.input_width, or None. Received: {self.rank}.",
        )
        largest = self.largest_singular_value
        require(
            largest is None or largest > 0,
            f"data.largest_singular_value must be above 0, or None. Received: {largest}.",
        )
        require(
            not self.orthogonal or (self.rank is None and largest is None),
            "data.orthogonal excludes data.rank and data.largest_singular_value: all singular values of an orthogonal "
            f"matrix are 1. Received: rank={self.rank}, largest_singular_value={largest}.",
        )


class Teacher(NamedTuple):
    """Matrices of a teacher."""

    a: np.ndarray
    """[F, F] from the last state."""
    b: np.ndarray | None
    """[F, F] to the second layer; None without one."""
    c: np.ndarray
    """[C, F] to the targets."""
    nonlinearity: str

    def answers(self, inputs: np.ndarray) -> np.ndarray:
        """Targets [T, N, C] for inputs [T, N, F]."""
        activation = NONLINEARITIES[self.nonlinearity]
        states = np.zeros(inputs.shape[1:])
        targets = []
        for x in inputs:
            states = activation(states @ self.a.T + x)
            hidden = states if self.b is None else activation(states @ self.b.T)
            targets.append(hidden @ self.c.T)
        return np.stack(targets)


def quick(config: Config) -> Config:
    """At most 3 tasks and 2000 training sequences."""
    return dataclasses.replace(config, num_tasks=min(config.num_tasks, 3), num_train=min(config.num_train, 2000))


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """The tasks of random teachers.

    Args:
      config: What teachers and inputs are like.
      data_dir: Not used, all data are generated.
    """
    del data_dir
    states = task_states(config.data_seed, config.num_tasks, 10**6)
    return TaskStream(
        name="student_teacher",
        tasks=tuple(_task(task_id, config, state) for task_id, state in enumerate(states)),
        num_features=config.input_width,
        num_outputs=config.output_width,
        outputs="linear",
        data_source=f"generated, data seed {config.data_seed}",
    )


def teachers(config: Config) -> list[Teacher]:
    """The teacher of each task."""
    return [draw_teacher(config, state) for state in task_states(config.data_seed, config.num_tasks, 10**6)]


def draw_teacher(config: Config, state: np.random.RandomState) -> Teacher:
    """A teacher, drawn in the order of the published code: A, B, C. B is drawn even where it is not used."""
    a = _recurrent_matrix(config, state)
    b = _uniform(state, config.input_width, config.input_width)
    c = _uniform(state, config.output_width, config.input_width)
    return Teacher(a, b if config.hidden_layer else None, c, config.nonlinearity)


def _recurrent_matrix(config: Config, state: np.random.RandomState) -> np.ndarray:
    size = config.input_width
    if config.orthogonal:
        return _orthogonal(state, size)
    matrix = _uniform(state, size, size)
    if config.rank is not None:  # X Y Z with Y the identity, its rows from the rank on 0; of variance 1 / n as X and Z
        matrix = np.sqrt(size) * matrix[:, : config.rank] @ _uniform(state, size, size)[: config.rank]
    if config.largest_singular_value is not None:
        matrix = matrix / np.linalg.norm(matrix, 2) * config.largest_singular_value
    return matrix


def _uniform(state: np.random.RandomState, rows: int, columns: int) -> np.ndarray:
    """A matrix of uniform draws with mean 0 and variance 1 / columns."""
    bound = np.sqrt(3.0) * (1.0 / np.sqrt(columns))
    return state.uniform(-bound, bound, (rows, columns))


def _orthogonal(state: np.random.RandomState, size: int) -> np.ndarray:
    """An orthogonal matrix from the Haar distribution: Q of a normal matrix, with the signs of R's diagonal."""
    q, r = np.linalg.qr(state.normal(size=(size, size)))
    return q * np.sign(np.diagonal(r))


def _task(task_id: int, config: Config, state: np.random.RandomState) -> Task:
    teacher = draw_teacher(config, state)
    sizes = (config.num_train, config.num_test, config.num_validation)  # in this order, as published
    limit = config.input_limit
    inputs = state.uniform(-limit, limit, (config.num_steps, sum(sizes), config.input_width))
    added = (config.output_steps or config.num_steps) - config.num_steps
    inputs = np.pad(inputs, [(0, added), (0, 0), (0, 0)])
    arrays = [array.swapaxes(0, 1).astype(np.float32) for array in (inputs, teacher.answers(inputs))]
    starts = itertools.accumulate(sizes, initial=0)
    train, test, validation = ([array[first:end] for array in arrays] for first, end in itertools.pairwise(starts))
    return Task(task_id, f"teacher{task_id}", _split(*train), _split(*test), _split(*validation) if sizes[2] else None)


def _split(inputs: np.ndarray, targets: np.ndarray) -> ArraySplit:
    lengths = np.full(len(inputs), inputs.shape[1], np.int32)
    return ArraySplit({"inputs": inputs, "targets": targets, "lengths": lengths}, _batch)


def _batch(fields: dict[str, tf.Tensor]) -> Batch:
    """Every step counts alike, so that the sum over time is a mean."""
    inputs, lengths = fields["inputs"], fields["lengths"]
    counted = tf.ones_like(inputs[:, :, 0])
    return Batch(inputs, fields["targets"], counted / inputs.shape[1], counted, lengths, tf.zeros_like(lengths))


def draw_example(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw the targets, which are the outputs of the teacher, over time."""
    draw_curves(axes, example.targets[: int(example.lengths)], "target")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
