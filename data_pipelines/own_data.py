"""Your own sequences: a directory with a file or a folder for each task.

    DIR/TASK.csv (.tsv, .parquet, .npz, .tfrecord)    sequences; a share of them is taken to test on
    DIR/TASK/train.csv, test.csv, validation.csv      the same, split
    DIR/TASK/manifest.csv                             a row for every file of a sequence

The page on own data (`docs/own_data.md`) says what is in such files.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from unicodedata import combining, normalize

from clrnn_tf.errors import ConfigurationError, nearest, require, shown
from clrnn_tf.streams.own import Description, Preparation, TaskData, stream_of
from clrnn_tf.streams.tasks import Batch, TaskStream
from data_pipelines.describe import draw_curves, main
from data_pipelines.own_data_arrays import read_npz, read_tfrecord
from data_pipelines.own_data_labels import Labels, LabelSettings, Outputs, Part
from data_pipelines.own_data_tables import Columns, Record, feature_names, files_of, records_of, split_named
from data_pipelines.storage import fingerprint, warn
from data_pipelines.table_files import TABLES, Table, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ENDINGS = (*TABLES, ".npz", ".tfrecord")
_NOTICED = (*_ENDINGS, ".gz", ".zip", ".xlsx", ".xls")
_MANIFEST = "manifest"


@dataclass(frozen=True)
class Config(Preparation):
    """Which files are read, what they hold, and how sequences are prepared."""

    section = "data"
    tasks: tuple[str, ...] = ()
    """Names of the tasks in the order in which they are learned; () learns all, by name."""
    outputs: Outputs | None = None
    """What labels are: `softmax` (classes), `sigmoid` (several at once, 0 or 1) or `linear` (numbers); `None` finds
    out."""
    labels_per: Literal["auto", "sequence", "step"] = "auto"
    """Whether a sequence has a label, or each of its steps; `auto` finds out."""
    classes: tuple[str, ...] = ()
    """Names of the classes in their order; () takes those of the training data."""
    label_columns: tuple[str, ...] = ("label",)
    """Columns of labels, in tables."""
    feature_columns: tuple[str, ...] = ()
    """Columns of inputs; () takes all other columns."""
    sequence_column: str = "sequence"
    """Column that says which sequence a row belongs to."""
    step_column: str = "step"
    """Column that orders the rows of a sequence; without it they are in order."""
    split_column: str = "split"
    """Column that says train, test or validation; without it, `test_share` is taken to test on."""
    file_column: str = "file"
    """Column of a manifest that names the file of each sequence."""
    max_sequences: int | None = None
    """Read at most this many sequences of each file, evenly spaced."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.label_columns) > 0, "data.label_columns needs at least one column. Received: ().")
        for name in ("tasks", "classes", "label_columns", "feature_columns"):
            values = getattr(self, name)
            require(len(set(values)) == len(values), f"data.{name} must differ. Received: {' '.join(values)}.")
        both = set(self.feature_columns) & set(self.label_columns)
        require(not both, f"data.feature_columns must be no labels. Received: {shown(sorted(both))}.")
        require(
            self.max_sequences is None or self.max_sequences > 0,
            f"data.max_sequences must be above 0, or None. Received: {self.max_sequences}.",
        )

    @property
    def columns(self) -> Columns:
        """Names of columns."""
        names = (self.sequence_column, self.step_column, self.file_column, self.split_column)
        return Columns(*names, self.label_columns, self.feature_columns)

    @property
    def label_settings(self) -> LabelSettings:
        """What is said about labels."""
        per_step = {"auto": None, "sequence": False, "step": True}[self.labels_per]
        return LabelSettings(self.outputs, per_step, self.classes)


class Files(NamedTuple):
    """Files of a task: by split, or one that holds all."""

    name: str
    by_split: dict[str, Path]
    """The key "" stands for a file of all splits."""


def quick(config: Config) -> Config:
    """At most 200 sequences of each file."""
    return dataclasses.replace(config, max_sequences=min(config.max_sequences or 200, 200))


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """The tasks in a directory.

    Args:
      config: What its files hold.
      data_dir: The directory.

    Raises:
      ConfigurationError: Something is missing or not as it must be; the message names file and record.
    """
    if data_dir is None:
        raise ConfigurationError("own_data needs a directory of tasks: --data-dir DIR.")
    found = find_tasks(data_dir, config.tasks)
    reader = _Reader(config)
    parts = {files.name: reader.parts_of(files) for files in found}
    if not config.tasks:
        _warn_of_other_files(data_dir, reader.read)
    labels = Labels.of([of_task["train"] for of_task in parts.values()], config.label_settings)
    tasks = [
        TaskData(name, **{split: labels.sequences(part) for split, part in of_task.items()})
        for name, of_task in parts.items()
    ]
    number = sum(len(part.records) for of_task in parts.values() for part in of_task.values())
    facts: dict[str, object] = {
        "fingerprint": fingerprint(reader.read),
        "features": list(reader.features),
        "labels": labels.in_words,
    }
    source = f"{data_dir.resolve().name}: {len(tasks)} tasks, {number} sequences"
    return stream_of(tasks, labels.kind, config, Description("own_data", source, labels.class_names, facts))


def find_tasks(root: Path, names: Sequence[str] = ()) -> list[Files]:
    """The tasks in a directory, by name, or those named, in their order.

    Raises:
      ConfigurationError: There are none, or one that was named is not there.
    """
    tasks: dict[str, Files] = {}
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        by_split = _files_in(path) if path.is_dir() else {"": path} if path.suffix.lower() in _ENDINGS else {}
        if by_split:
            name = task_name(path.name if path.is_dir() else path.stem)
            require(name not in tasks, f"{root} holds two tasks of the name '{name}'. Rename one.")
            tasks[name] = Files(name, by_split)
    endings = ", ".join(_ENDINGS)
    require(bool(tasks), f"{root} holds no tasks: no file that ends in {endings}, and no folder of such files.")
    chosen = [task_name(name) for name in names] or sorted(tasks, key=_natural)
    require(len(set(chosen)) == len(chosen), f"data.tasks names a task twice. Received: {' '.join(names)}.")
    for name in chosen:
        require(name in tasks, f"there is no task '{name}' in {root}.{nearest(name, tasks)}")
    return [tasks[name] for name in chosen]


def task_name(text: str) -> str:
    """The name of a task, which directories and servers of models take: ASCII letters, digits and _.

    Letters lose their accents; others are written as their number in Unicode, so that names of a script stay apart.

    >>> task_name("Fräsen 2"), task_name("东")
    ('Frasen_2', 'u4e1c')
    """
    letters = [letter for letter in normalize("NFKD", text) if not combining(letter)]
    plain = [letter if letter.isascii() else f"u{ord(letter):x}" for letter in letters]
    return re.sub(r"[^A-Za-z0-9_]", "_", "".join(plain))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts task2 before task10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _files_in(folder: Path) -> dict[str, Path]:
    """Files of the task in a folder, by split; {} where it holds none.

    Raises:
      ConfigurationError: There are several for a split, or test data without training data.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = "" if path.stem.lower() == _MANIFEST else split_named(path.stem)
        if path.suffix.lower() in _ENDINGS and split is not None:
            require(split not in found, f"{folder} holds {found.get(split)} and {path}. Remove one.")
            found[split] = path
    if "" in found:
        return {"": found[""]}
    require(not found or "train" in found, f"{folder} holds no training data: there is no file train, as in train.csv.")
    return found


def _warn_of_other_files(root: Path, read: Sequence[Path]) -> None:
    """Name the files of data in a directory of tasks that are of no task."""
    known = {path.resolve() for path in read}
    paths = (path.relative_to(root) for pattern in ("*", "*/*") for path in sorted(root.glob(pattern)))
    data = (path for path in paths if path.suffix.lower() in _NOTICED and not any(p[0] == "." for p in path.parts))
    others = [str(path) for path in data if (root / path).is_file() and (root / path).resolve() not in known]
    if others:
        warn(f"{root} holds files that are not read: {shown(others)}. A folder is read by train, test and validation.")


class _Reader:
    """Reads the files of all tasks, whose inputs must be the same.

    Args:
      config: What the files hold.
    """

    def __init__(self, config: Config) -> None:
        self._config, self._columns = config, config.columns
        self._first: Path | None = None
        self.features: tuple[str, ...] = ()
        """Names of the inputs, where they have names."""
        self.read: list[Path] = []
        """Files that were read."""

    def parts_of(self, files: Files) -> dict[str, Part]:
        """The splits of a task; of one file, the splits that its records name."""
        if "" not in files.by_split:
            return {split: Part(str(path), self._records(path)) for split, path in files.by_split.items()}
        path = files.by_split[""]
        by_split: dict[str, list[Record]] = {}
        for record in self._records(path):
            by_split.setdefault(record.split or "train", []).append(record)
        require("train" in by_split, f"{path} holds no training data: every split is {' or '.join(by_split)}.")
        return {split: Part(str(path), records) for split, records in by_split.items()}

    def _records(self, path: Path) -> list[Record]:
        """The records of a file; at least one."""
        self.read.append(path)
        require(path.stat().st_size > 0, f"{path} is empty.")
        if path.suffix.lower() == ".npz":
            records = read_npz(path)
        elif path.suffix.lower() == ".tfrecord":
            records = read_tfrecord(path)
        else:
            table = read_table(path)
            records = records_of(table, self._checked(table))
            self.read += files_of(table, self._columns)
        require(bool(records), f"{path} holds no sequences.")
        if self._config.max_sequences is None or len(records) <= self._config.max_sequences:
            return records
        share = len(records) / self._config.max_sequences
        return [records[int(number * share)] for number in range(self._config.max_sequences)]

    def _checked(self, table: Table) -> Columns:
        """The columns, with the inputs of the first table: others must have the same."""
        columns = self._columns
        names = feature_names(table, columns)
        if not names:  # files of arrays, whose inputs have no names
            return columns
        if self._first is None:
            self._first, self.features = table.path, names
        missing, added = set(self.features) - set(names), set(names) - set(self.features)
        require(not missing, f"{table.path}: column '{shown(missing)}' is missing, which {self._first} has.")
        require(
            not added,
            f"{table.path}: column '{shown(added)}' is not in {self._first}. Name the inputs in data.feature_columns.",
        )
        return columns._replace(features=self.features)


def draw_example(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw the inputs over time, as the network reads them."""
    draw_curves(axes, example.inputs[: int(example.lengths)])


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
