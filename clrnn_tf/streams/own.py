"""Streams of a user's own sequences: splitting, standardisation, missing values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require, shown
from clrnn_tf.ranges import Fraction, NonNegativeInt, Settings
from clrnn_tf.streams.coding import Missing, SequenceCoder, Statistics, measured
from clrnn_tf.streams.inputs import InputModel, every_step
from clrnn_tf.streams.labelled import LabelledSequences, TargetKind, batch_maker
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Task, TaskStream

_ENCODED_AT_ONCE = 1024
_BUCKETS = 6


@dataclass(frozen=True)
class Preparation(Settings):
    """How a user's sequences are prepared.

    Example:
      >>> from clrnn_tf import Preparation
      >>> Preparation(missing="previous").standardize
      'task'
    """

    section = "preparation"
    standardize: Literal["task", "first_task", "none"] = "task"
    """Scale each input (and each target that is a number) to mean 0 and deviation 1 over the task's training data, over
    those of the first task, or not."""
    missing: Missing = "refuse"
    """What becomes of missing values: an error, the `mean` of the training data, or the `previous` value."""
    missing_flags: bool = False
    """Add an input for every input, which is 1 where its value is missing."""
    test_share: Fraction = 0.2
    """Share of sequences to test on, of tasks that come without test data."""
    validation_share: Fraction = 0.0
    """Share of sequences to validate on, of tasks that come without validation data."""
    data_seed: NonNegativeInt = 0
    """Seed of the choice of these sequences."""

    def __post_init__(self) -> None:
        super().__post_init__()
        total = self.test_share + self.validation_share
        require(
            total < 1, f"{self.label('test_share')} and validation_share must be below 1 in sum. Received: {total}."
        )


class TaskData(NamedTuple):
    """One task's sequences."""

    name: str
    train: LabelledSequences
    test: LabelledSequences | None = None
    """None: taken from the training sequences."""
    validation: LabelledSequences | None = None


class SplitData(NamedTuple):
    """One task's sequences, with those to test on."""

    name: str
    train: LabelledSequences
    test: LabelledSequences
    validation: LabelledSequences | None

    @property
    def parts(self) -> list[LabelledSequences]:
        """The splits that there are."""
        return [self.train, self.test] + ([] if self.validation is None else [self.validation])


class Description(NamedTuple):
    """What a stream says about itself."""

    name: str
    data_source: str
    class_names: tuple[str, ...] = ()
    data_facts: dict[str, object] | None = None


def stream_of(
    tasks: Sequence[TaskData], kind: TargetKind, preparation: Preparation, description: Description
) -> TaskStream:
    """The stream of tasks whose labels are of one kind.

    Raises:
      ConfigurationError: Sequences or labels are not as they must be; the message names the place.
    """
    require(len(tasks) > 0, "a task stream needs at least one task. Received: 0.")
    split = [_with_tests(task, number, preparation) for number, task in enumerate(tasks)]
    num_outputs = _num_outputs(split, kind, description.class_names)
    _check(split, kind, preparation, num_outputs)
    if kind.outputs == "softmax" and not kind.per_step:
        for given, task in zip(tasks, split, strict=True):
            if given.test is None:
                _warn_of_untested(task, description.class_names)
    coders = _coders(split, kind, preparation)
    buckets = _length_buckets(split)
    return TaskStream(
        name=description.name,
        tasks=tuple(_task(number, task, kind, coders[number], buckets) for number, task in enumerate(split)),
        num_features=coders[0].num_features,
        num_outputs=num_outputs,
        outputs=kind.outputs,
        data_source=description.data_source,
        class_names=description.class_names,
        input_model=_input_model(split, kind),
        data_facts=description.data_facts or {},
        sequence_coder=coders.__getitem__,
    )


def _with_tests(task: TaskData, number: int, preparation: Preparation) -> SplitData:
    """The task with test (and validation) sequences taken from the training sequences where it has none."""
    test_share = 0.0 if task.test is not None else preparation.test_share
    validation_share = 0.0 if task.validation is not None else preparation.validation_share
    require(
        task.test is not None or test_share > 0,
        f"task '{task.name}' has no test data. Give some, or set {preparation.label('test_share')} above 0.",
    )
    total = len(task.train)
    sizes = [max(1, round(share * total)) if share else 0 for share in (test_share, validation_share)]
    require(
        total > sum(sizes),
        f"{task.train.source} must hold more than {sum(sizes)} sequences, since test and validation sequences are "
        f"taken from them. Received: {total}.",
    )
    order = np.random.default_rng([preparation.data_seed, number]).permutation(total)
    test, validation, train = (task.train.chosen(np.sort(part)) for part in np.split(order, np.cumsum(sizes)))
    return SplitData(
        task.name,
        train if sum(sizes) else task.train,
        test if task.test is None else task.test,
        validation if sizes[1] else task.validation,
    )


def _warn_of_untested(task: SplitData, class_names: tuple[str, ...]) -> None:
    """Say so where the test sequences that were drawn have none of a class: it is learned, and never scored."""
    untested = sorted(set(task.train.targets.tolist()) - set(task.test.targets.tolist()))
    if untested:
        names = [class_names[number] if class_names else str(number) for number in untested]
        warnings.warn(
            f"task '{task.name}': none of the {len(task.test)} test sequences that were drawn is of class "
            f"{shown(names)}. Give test data, or more sequences of it.",
            stacklevel=3,
        )


def _num_outputs(tasks: Sequence[SplitData], kind: TargetKind, class_names: tuple[str, ...]) -> int:
    """C: as many as there are names, else what the training data need."""
    if kind.outputs == "softmax":
        return len(class_names) or 1 + max(int(task.train.targets.max()) for task in tasks)
    return tasks[0].train.targets.shape[-1]


def _check(tasks: Sequence[SplitData], kind: TargetKind, preparation: Preparation, num_outputs: int) -> None:
    width = tasks[0].train.inputs.shape[2]
    for task in tasks:
        for part in task.parts:
            require(
                part.inputs.shape[2] == width,
                f"{part.source}: steps must have {width} values, as in {tasks[0].train.source}. "
                f"Received: {part.inputs.shape[2]}.",
            )
            if kind.outputs != "softmax":
                require(
                    part.targets.shape[-1] == num_outputs,
                    f"{part.source}: labels must have {num_outputs} values, as in {tasks[0].train.source}. "
                    f"Received: {part.targets.shape[-1]}.",
                )
            part.require_known_values(preparation.missing != "refuse", preparation.label("missing"))
            part.require_targets(kind, num_outputs)
    if kind.outputs == "softmax":
        require(num_outputs > 1, "labels must be of at least two classes. Received: 1.")


def _coders(tasks: Sequence[SplitData], kind: TargetKind, preparation: Preparation) -> list[SequenceCoder]:
    """The coder of each task.

    Raises:
      ConfigurationError: An input has no value at all in the training data that it is standardised by.
    """

    def coder(train: LabelledSequences) -> SequenceCoder:
        _require_every_input(train)
        statistics = _statistics(train, kind, preparation.standardize != "none")
        return SequenceCoder(statistics, preparation.missing, preparation.missing_flags, kind.per_step)

    if preparation.standardize == "task":
        return [coder(task.train) for task in tasks]
    return [coder(tasks[0].train)] * len(tasks)


def _require_every_input(train: LabelledSequences) -> None:
    """Require at least one value of every input: the mean and the deviation are taken of them."""
    empty = np.flatnonzero(np.isnan(train.inputs[train.real]).all(axis=0))
    require(
        not len(empty),
        f"{train.source}: a feature needs at least one value in the training data. Received: none of feature "
        f"{shown([str(number) for number in empty])} (counted from 0) in {len(train)} sequences. "
        "Leave it out of the data, or read more of them (--quick and data.max_sequences read a part).",
    )


def _statistics(train: LabelledSequences, kind: TargetKind, standardize: bool) -> Statistics:
    """Of the training sequences; without standardisation, such that nothing is scaled."""
    means, stds = measured(train.inputs, train.real)
    statistics = Statistics(means, stds)
    if not standardize:
        statistics = Statistics(np.zeros_like(means), np.ones_like(stds), fills=means)
    if kind.outputs != "linear":
        return statistics
    targets = train.targets if kind.per_step else train.targets[:, np.newaxis]
    counted = train.real if kind.per_step else np.ones([len(train), 1], bool)
    target_means, target_stds = measured(targets, counted)
    if not standardize:
        target_means, target_stds = np.zeros_like(target_means), np.ones_like(target_stds)
    return statistics._replace(target_means=target_means, target_stds=target_stds)


def _task(number: int, data: SplitData, kind: TargetKind, coder: SequenceCoder, buckets: Sequence[int]) -> Task:
    def split(part: LabelledSequences) -> ArraySplit:
        return _split(part, kind, coder, buckets)

    validation = None if data.validation is None else split(data.validation)
    return Task(number, data.name, split(data.train), split(data.test), validation)


def _split(part: LabelledSequences, kind: TargetKind, coder: SequenceCoder, buckets: Sequence[int]) -> ArraySplit:
    starts = range(0, len(part), _ENCODED_AT_ONCE)
    chunks = [slice(start, start + _ENCODED_AT_ONCE) for start in starts]
    inputs = np.concatenate([coder.encode(part.inputs[chunk], part.lengths[chunk]).numpy() for chunk in chunks])
    targets, statistics = part.targets, coder.statistics
    if statistics.target_means is not None:
        targets = ((targets - statistics.target_means) / statistics.target_stds).astype(np.float32)
    if not kind.per_step:
        targets = np.broadcast_to(targets[:, np.newaxis], (len(part), inputs.shape[1], *targets.shape[1:]))
    return ArraySplit({"inputs": inputs, "targets": targets, "lengths": part.lengths}, batch_maker(kind), buckets)


def _length_buckets(tasks: Sequence[SplitData]) -> tuple[int, ...]:
    """Lengths at equal shares of all sequences, so that batches carry little padding; () where lengths are equal."""
    lengths = np.concatenate([part.lengths for task in tasks for part in task.parts])
    if np.ptp(lengths) == 0:
        return ()
    quantiles = np.quantile(lengths, np.arange(1, _BUCKETS) / _BUCKETS, method="higher")
    return tuple(sorted({int(-(-length // 8) * 8) for length in quantiles}))


def _input_model(tasks: Sequence[SplitData], kind: TargetKind) -> InputModel | None:
    """None where sequences differ in length: nothing in a generated one would say where it ends."""
    lengths = {int(length) for task in tasks for part in task.parts for length in np.unique(part.lengths)}
    if len(lengths) > 1:
        return None
    weights: Callable[[tf.Tensor], tf.Tensor] = every_step if kind.per_step else partial(_at, step=lengths.pop() - 1)
    return InputModel("gaussian", weights)


def _at(inputs: tf.Tensor, step: int) -> tf.Tensor:
    """Loss weights [B, T] of one step."""
    return tf.ones_like(inputs[..., 0]) * tf.one_hot(step, tf.shape(inputs)[1])
