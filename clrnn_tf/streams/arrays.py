"""What `TaskStream.from_arrays` and `TaskStream.from_datasets` do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, reason_of, require
from clrnn_tf.outputs import OutputName
from clrnn_tf.streams.labelled import Arrays, LabelledSequences, kind_of, labelled
from clrnn_tf.streams.own import Description, Preparation, TaskData, stream_of
from clrnn_tf.streams.tasks import TaskStream


class Parts(NamedTuple):
    """Data of the tasks, by split; an entry for each task."""

    train: Sequence
    test: Sequence | None = None
    validation: Sequence | None = None


class Labels(NamedTuple):
    """What labels are, and what things are called."""

    outputs: OutputName | None = None
    """None finds out from the type of the labels."""
    class_names: tuple[str, ...] = ()
    task_names: tuple[str, ...] = ()


def stream_from_arrays(parts: Parts, labels: Labels, preparation: Preparation) -> TaskStream:
    """See `TaskStream.from_arrays`."""
    number = len(parts.train)
    require(number > 0, "a task stream needs at least one task. Received: 0.")
    names = _checked_names(labels.task_names, number)
    known = ("softmax", "sigmoid", "linear")
    require(
        labels.outputs in (None, *known),
        f"outputs must be one of {', '.join(known)} for arrays. Received: {labels.outputs}.",
    )
    kind = kind_of(parts.train[0], f"task '{names[0]}', train", labels.outputs)
    tasks: list[dict[str, LabelledSequences]] = [{} for _ in names]
    for split, of_tasks in parts._asdict().items():
        if of_tasks is not None:
            require(len(of_tasks) == number, f"{split} must hold {number} tasks. Received: {len(of_tasks)}.")
            for name, arrays, found in zip(names, of_tasks, tasks, strict=True):
                found[split] = labelled(arrays, f"task '{name}', {split}", kind)
    data = [TaskData(name, **found) for name, found in zip(names, tasks, strict=True)]
    return stream_of(data, kind, preparation, Description("arrays", "arrays", labels.class_names))


def stream_from_datasets(parts: Parts, labels: Labels, preparation: Preparation) -> TaskStream:
    """See `TaskStream.from_datasets`."""
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
