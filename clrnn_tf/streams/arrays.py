"""What `TaskStream.from_arrays` and `TaskStream.from_datasets` do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, reason_of, require
from clrnn_tf.outputs import OutputName
from clrnn_tf.streams.class_names import are_text, names_in, numbered
from clrnn_tf.streams.labelled import Arrays, LabelledSequences, checked_tuple, kind_of, labelled
from clrnn_tf.streams.own import Description, Preparation, TaskData, stream_of
from clrnn_tf.streams.tasks import TaskStream


class Parts(NamedTuple):
    """Data of the tasks, by split; an entry for each task."""

    train: Sequence
    test: Sequence | None = None
    validation: Sequence | None = None

    def as_lists(self) -> Parts:
        """The same with lists, where iterators were given."""
        test, validation = (None if given is None else list(given) for given in (self.test, self.validation))
        return Parts(list(self.train), test, validation)


class Labels(NamedTuple):
    """What labels are, and what things are called."""

    outputs: OutputName | None = None
    """None finds out from the type of the labels."""
    class_names: tuple[str, ...] = ()
    task_names: tuple[str, ...] = ()


def stream_from_arrays(parts: Parts, labels: Labels, preparation: Preparation) -> TaskStream:
    """See `TaskStream.from_arrays`."""
    parts = parts.as_lists()
    number = len(parts.train)
    require(number > 0, "a task stream needs at least one task. Received: 0.")
    names = _checked_names(labels.task_names, number)
    for split, of_tasks in parts._asdict().items():
        given = number if of_tasks is None else len(of_tasks)
        require(given == number, f"{split} must hold {number} tasks. Received: {given}.")
    known = ("softmax", "sigmoid", "linear")
    require(
        labels.outputs in (None, *known),
        f"outputs must be one of {', '.join(known)} for arrays. Received: {labels.outputs}.",
    )
    parts, class_names = _numbered_classes(parts, names, labels)
    kind = kind_of(parts.train[0], f"task '{names[0]}', train", labels.outputs)
    tasks: list[dict[str, LabelledSequences]] = [{} for _ in names]
    for split, of_tasks in parts._asdict().items():
        if of_tasks is not None:
            for name, arrays, found in zip(names, of_tasks, tasks, strict=True):
                found[split] = labelled(arrays, f"task '{name}', {split}", kind)
    data = [TaskData(name, **found) for name, found in zip(names, tasks, strict=True)]
    return stream_of(data, kind, preparation, Description("arrays", "arrays", class_names))


def _numbered_classes(parts: Parts, task_names: tuple[str, ...], labels: Labels) -> tuple[Parts, tuple[str, ...]]:
    """The data with numbers for classes where they are given by name, and the names of the classes."""
    sources = [f"task '{name}', train" for name in task_names]
    targets = [checked_tuple(arrays, source)[1] for arrays, source in zip(parts.train, sources, strict=True)]
    if not are_text(targets[0]):
        return parts, labels.class_names
    names = labels.class_names or names_in(targets)

    def with_ids(arrays: Arrays, source: str) -> Sequence:
        sequences, targets, *lengths = checked_tuple(arrays, source)
        wanted = f"{source}: labels must be text, as in task '{task_names[0]}'."
        require(are_text(targets), f"{wanted} Received: {np.asarray(targets).dtype}.")
        return (sequences, numbered(targets, names, source), *lengths)

    by_split = {
        split: of_tasks
        and [with_ids(arrays, f"task '{name}', {split}") for name, arrays in zip(task_names, of_tasks, strict=True)]
        for split, of_tasks in parts._asdict().items()
    }
    return Parts(**by_split), names


def stream_from_datasets(parts: Parts, labels: Labels, preparation: Preparation) -> TaskStream:
    """See `TaskStream.from_datasets`."""
    parts = parts.as_lists()
    names = _checked_names(labels.task_names, len(parts.train))

    def read(split: str, datasets: Sequence[tf.data.Dataset] | None) -> list[Arrays] | None:
        if datasets is None:
            return None
        require(len(datasets) == len(names), f"{split} must hold {len(names)} tasks. Received: {len(datasets)}.")
        return [_read(dataset, f"task '{name}', {split}") for name, dataset in zip(names, datasets, strict=True)]

    train = read("train", parts.train) or []
    arrays = Parts(train, read("test", parts.test), read("validation", parts.validation))
    return stream_from_arrays(arrays, labels, preparation)


def _checked_names(names: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Names of tasks: those given, or task0, task1, ..."""
    names = names or tuple(f"task{index}" for index in range(number))
    require(len(names) == number, f"task_names must be {number}, one for each task. Received: {len(names)}.")
    for name in names:
        require(
            re.fullmatch(r"[A-Za-z0-9_]+", name) is not None,
            f"task_names must consist of letters, digits and _. Received: {name!r}.",
        )
    return names


def _read(dataset: tf.data.Dataset, source: str) -> Arrays:
    """All examples of a dataset."""
    require(
        isinstance(dataset, tf.data.Dataset),
        f"{source} must be a tf.data.Dataset of (sequence, label). Received: {type(dataset).__name__}.",
    )
    spec = dataset.element_spec
    require(
        isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(part, tf.TensorSpec) for part in spec),
        f"{source}: examples must be (sequence, label), two tensors. Received: {spec}.",
    )
    require(
        int(dataset.cardinality()) != tf.data.INFINITE_CARDINALITY,
        f"{source}: the dataset must end. Received: an endless one; take(n) of it.",
    )
    sequences, labels = [], []
    try:
        for sequence, label in dataset.as_numpy_iterator():
            sequences.append(sequence)
            labels.append(label)
    except tf.errors.OpError as error:
        reason = reason_of(error.message)
        raise ConfigurationError(f"{source}, sequence {len(sequences)} cannot be read: {reason}.") from None
    require(len(sequences) > 0, f"{source} must hold at least one sequence. Received: 0.")
    same_shape = len({np.shape(label) for label in labels}) == 1
    return sequences, np.stack(labels) if same_shape else labels
