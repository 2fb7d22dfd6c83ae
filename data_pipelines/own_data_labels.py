"""Labels of a user's sequences: what they are, and the targets that they stand for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require, shown
from clrnn_tf.streams.labelled import NO_CLASS, LabelledSequences, TargetKind, labelled
from data_pipelines.own_data_tables import Record
from data_pipelines.storage import warn
from data_pipelines.table_files import is_number

Outputs = Literal["softmax", "sigmoid", "linear"]
_WHOLE = re.compile(r"-?\d+")
_LARGEST_WHOLE = 2.0**53
_FEW = 10
_IN_WORDS = {"sigmoid": ("bit", "bits, of which any may be 1,"), "linear": ("number", "numbers")}


class Part(NamedTuple):
    """A split of a task, as it was read."""

    source: str
    """Where it was read from, for messages."""
    records: list[Record]


class LabelSettings(NamedTuple):
    """What the user says about labels; None and () leave it to be found out."""

    outputs: Outputs | None
    per_step: bool | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Labels:
    """What the labels of all tasks are."""

    kind: TargetKind
    class_names: tuple[str, ...]
    width: int = 1
    """Labels of a sequence, or of a step."""

    @property
    def in_words(self) -> str:
        """What the labels were taken for, so that a user sees where that is not what was meant."""
        each = "each step" if self.kind.per_step else "each sequence"
        if self.kind.outputs == "softmax":
            return f"one of {len(self.class_names)} classes for {each}"
        one, several = _IN_WORDS[self.kind.outputs]
        return f"one {one} for {each}" if self.width == 1 else f"{self.width} {several} for {each}"

    @classmethod
    def of(cls, training: Sequence[Part], settings: LabelSettings) -> Labels:
        """Found out from the training data of all tasks.

        Raises:
          ConfigurationError: They cannot be what the settings say.
        """
        records = [record for part in training for record in part.records]
        per_step = _are_per_step(records) if settings.per_step is None else settings.per_step
        labels = [record.labels for record in records]
        width = labels[0].shape[-1]
        outputs = settings.outputs or _outputs(labels, width)
        if settings.outputs is None and width == 1:
            _require_one_kind(training)
            if outputs == "linear":
                _warn_of_whole_numbers(labels)
        names: tuple[str, ...] = ()
        if outputs == "softmax":
            require(width == 1, f"classes need one label, or data.outputs sigmoid. Received: {width} labels.")
            names = settings.classes or _sorted_names(
                {name for array in labels for name in _texts(array).ravel().tolist()} - {""}
            )
            unlabelled = ["no label (-1)"] if any("" in _texts(array) for array in labels) else []
            found, sources = " and ".join([*names, *unlabelled]), shown([part.source for part in training])
            require(len(names) > 1, f"{sources}: labels must be of at least two classes. Received: {found}.")
        return cls(TargetKind(outputs, per_step), names, width)

    def sequences(self, part: Part) -> LabelledSequences:
        """A split with targets.

        Raises:
          ConfigurationError: A label is missing or not one of them; the message names the record.
        """
        targets = [self._targets(record, f"{part.source}, {record.name}") for record in part.records]
        require(
            self.kind.outputs == "softmax" or len({target.shape[-1] for target in targets}) == 1,
            f"{part.source}: all sequences must have as many labels.",
        )
        inputs = [record.inputs for record in part.records]
        values = targets if self.kind.per_step else np.stack(targets)
        found = labelled((inputs, values), part.source, self.kind)
        return dataclasses.replace(found, records=tuple(record.name for record in part.records))

    def _targets(self, record: Record, place: str) -> np.ndarray:
        labels = record.labels
        if self.kind.per_step:
            require(
                labels.ndim == 2,
                f"{place} needs labels for each of its {len(record.inputs)} steps, as other sequences have or "
                f"data.labels_per says. Received: {len(labels)} for all of it.",
            )
        elif record.repeated:
            labels = _label_of_sequence(labels, place)
        require(
            self.kind.per_step or labels.ndim == 1, f"{place} has a label for each step, and other sequences have one."
        )
        return self._class_ids(labels, place) if self.kind.outputs == "softmax" else _numbers(labels, place)

    def _class_ids(self, labels: np.ndarray, place: str) -> np.ndarray:
        """[] or [T] for labels [1] or [T, 1]."""
        ids = {name: number for number, name in enumerate(self.class_names)}
        names = _texts(labels)[..., 0]
        for name in np.unique(names).tolist():
            require(
                not name or name in ids, f"{place}: label '{name}' is none of the classes {shown(self.class_names)}."
            )
            require(bool(name) or self.kind.per_step, f"{place} has no label.")
        return np.array([ids.get(name, NO_CLASS) for name in names.ravel()], np.int32).reshape(names.shape)


def _are_per_step(records: Iterable[Record]) -> bool:
    """Whether labels are of steps: where a table repeats them in every row, whether they ever change in a sequence."""
    for record in records:
        if record.labels.ndim == 2 and not (record.repeated and len(_distinct(record.labels)) <= 1):
            return True
    return False


def _distinct(labels: np.ndarray) -> np.ndarray:
    """Rows of labels [T, n] that are there, each once."""
    return np.unique(labels[(labels != "").all(axis=1)], axis=0)


def _label_of_sequence(labels: np.ndarray, place: str) -> np.ndarray:
    """The labels [n] that a table repeats in every row, or has in one of them."""
    rows = _distinct(labels)
    require(len(rows) > 0, f"{place} has no label.")
    require(
        len(rows) == 1,
        f"{place} has the labels {' and '.join(' '.join(row) for row in rows[:2])}. If labels are of steps, set "
        "data.labels_per step.",
    )
    return rows[0]


def _outputs(labels: Sequence[np.ndarray], width: int) -> Outputs:
    """What labels are, by their type: see the page on own data."""
    kinds = {array.dtype.kind for array in labels}
    if kinds <= {"i", "u", "U"}:
        texts = {text for array in labels for text in np.unique(_texts(array))} - {""}
        if width == 1:
            return "linear" if all(map(is_number, texts)) and not all(map(_WHOLE.fullmatch, texts)) else "softmax"
        return "sigmoid" if texts <= {"0", "1"} else "linear"
    return "sigmoid" if kinds == {"b"} else "linear"


def _require_one_kind(training: Sequence[Part]) -> None:
    """Refuse numbers in the labels of one file and names in those of another: all would become classes."""
    first: dict[str, tuple[str, str]] = {}
    for part in training:
        kind, label = _kind_of_labels(part)
        first.setdefault(kind, (part.source, label))
    if "numbers" in first and "names" in first:
        (file, number), (other, name) = first["numbers"], first["names"]
        raise ConfigurationError(
            f"labels must be of one kind. Received: numbers in {file}, as {number}, and names in {other}, as {name!r}. "
            "Set data.outputs to softmax if all are classes."
        )


def _kind_of_labels(part: Part) -> tuple[str, str]:
    """`names`, `numbers` (booleans among them) or `whole numbers`, which may be of either; and a label that says so."""
    texts: set[str] = set()
    for record in part.records:
        if record.labels.dtype.kind in "bf":
            return "numbers", str(record.labels.flat[0])
        if record.labels.dtype.kind == "U":
            texts.update(record.labels.ravel().tolist())
    texts.discard("")
    name = min((text for text in texts if not is_number(text)), default=None)
    if name is not None:
        return "names", name
    number = min((text for text in texts if not _WHOLE.fullmatch(text)), default=None)
    return ("whole numbers", "") if number is None else ("numbers", number)


def _warn_of_whole_numbers(labels: Sequence[np.ndarray]) -> None:
    """Say so where labels are taken for numbers and may be classes, as 0.0 and 1.0."""
    texts = sorted({text for array in labels for text in np.unique(array).astype(str).tolist()} - {"", "nan"})
    if 0 < len(texts) <= _FEW and all(float(text) % 1 == 0 for text in texts):
        warn(f"labels {', '.join(texts)} are taken for numbers; data.outputs softmax makes them classes.")


def _texts(labels: np.ndarray) -> np.ndarray:
    """Labels as text; "" where there is none (-1)."""
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f":
        labels = np.where(np.isfinite(labels), labels, NO_CLASS)
        is_whole = np.all(labels % 1 == 0) and np.all(np.abs(labels) < _LARGEST_WHOLE)
        labels = labels.astype(np.int64) if is_whole else labels
    return np.where(labels == NO_CLASS, "", labels.astype(str))


def _sorted_names(names: set[str]) -> tuple[str, ...]:
    """Numbers by size, else text by letters."""
    whole = all(map(_WHOLE.fullmatch, names))
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if whole else (lambda name: (0, name))))


def _numbers(labels: np.ndarray, place: str) -> np.ndarray:
    """Labels as numbers; NaN where there is none."""
    if labels.dtype.kind != "U":
        return labels.astype(np.float32)
    for text in np.unique(labels).tolist():
        if text and not is_number(text):
            raise ConfigurationError(f"{place}: labels must be numbers. Received: {text!r}.")
    return np.where(labels == "", "nan", labels).astype(np.float32)
