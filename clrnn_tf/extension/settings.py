"""The settings of a run that goes on from another one: which may differ, and how the new task is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clrnn_tf import methods
from clrnn_tf.config import Experiment, updated
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.changes import differences
from clrnn_tf.streams.tasks import TaskStream

PROVENANCE = "extends"
"""Name, in the provenance of a run, of where it goes on from."""
MAX_DROP = 1.0
"""How much an old task may lose, in points of accuracy."""
_NAMES_OF_TASKS = ("languages", "tasks")
"""Settings that name tasks; () stands for all that are found."""
_FREE_SECTIONS = ("train", "data")
_FREE_OPTIONS = ("strength", "targets", "tasks_per_step")
"""Of methods: how old tasks are kept. All others are part of the model."""


@dataclass(frozen=True)
class Extension:
    """That a run goes on from another one."""

    run: Path
    """The run that had been trained."""
    keep_exact: bool = False
    """Whether only what the new task has of its own is trained."""
    max_drop: float = MAX_DROP
    """The largest drop of an old task with which the model may be published."""

    def __post_init__(self) -> None:
        require(self.max_drop >= 0, f"--max-drop must be at least 0. Received: {self.max_drop}.")

    def to_dict(self) -> dict[str, object]:
        """For the provenance of a run."""
        return {"run": str(self.run.absolute()), "keep_exact": self.keep_exact, "max_drop": self.max_drop}


def extension_of(provenance: Mapping[str, object]) -> Extension | None:
    """Where a run goes on from, by its provenance; None for one that began with nothing.

    Raises:
      ConfigurationError: It has been edited.
    """
    stored = provenance.get(PROVENANCE)
    if stored is None:
        return None
    if not (isinstance(stored, Mapping) and stored.keys() == {"run", "keep_exact", "max_drop"}):
        raise ConfigurationError(f"provenance.{PROVENANCE} must have run, keep_exact and max_drop. Received: {stored}.")
    return Extension(Path(str(stored["run"])), bool(stored["keep_exact"]), float(stored["max_drop"]))


def extended_provenance(
    provenance: Mapping[str, object], extension: Extension, stream: TaskStream
) -> dict[str, object]:
    """The provenance of a run that goes on from one of the given provenance."""
    return {
        **{name: provenance.get(name) for name in ("preset", "data_dir")},
        "data_source": stream.data_source,
        "fingerprint": stream.data_facts.get("fingerprint"),
        PROVENANCE: extension.to_dict(),
    }


def extended_settings(before: Experiment, names: Sequence[str], changes: Mapping[str, Any]) -> Experiment:
    """The settings of a run that learns one more task.

    Args:
      before: Those of the run that it goes on from.
      names: The tasks of that run.
      changes: By section and name. A list of names that all begin with `+` adds them to those of the run, as in
        `{"data": {"languages": ["+sv"]}}`; other benchmarks say `{"data": {"num_tasks": 6}}`.

    Raises:
      ConfigurationError: The method cannot learn one more task, or something else would change than the tasks and how
        the new one is trained.
    """
    methods.load(before.method).METHOD.check_extension(before)
    require(
        not before.network.task_id_input,
        "a network that reads the task (network.task_id_input) has no input for one more. Train with it off.",
    )
    data = changes.get("data")
    if isinstance(data, Mapping):
        changes = {**changes, "data": _with_added(data, before.data, names)}
    extended = updated(before, changes)
    methods.load(extended.method).METHOD.check(extended)
    _require_same_model(before, extended)
    return extended


def with_names(data: Any, names: Sequence[str]) -> Any:
    """Settings of the data that name the tasks of a run, where they stood for all that were found when it began."""
    fields = {field.name for field in dataclasses.fields(data)} if dataclasses.is_dataclass(data) else set()
    unnamed = [field for field in _NAMES_OF_TASKS if field in fields and getattr(data, field) == ()]
    return dataclasses.replace(data, **dict.fromkeys(unnamed, tuple(names))) if unnamed else data


def _with_added(data: Mapping[str, object], before: Any, names: Sequence[str]) -> dict[str, object]:
    """Settings of the data in which `+NAME` stands for all tasks of the run and this one."""
    found = dict(data)
    for setting, value in data.items():
        words = value if isinstance(value, list | tuple) else ()
        added = [word.removeprefix("+") for word in words if isinstance(word, str) and word.startswith("+")]
        if not added:
            continue
        require(
            len(added) == len(words),
            f"data.{setting} must name the new task alone, as +{added[0]}. Received: {' '.join(map(str, words))}.",
        )
        found[setting] = [*names, *added]
        if getattr(before, "num_tasks", None) is not None:
            found["num_tasks"] = len(names) + len(added)
    return found


def _require_same_model(before: Experiment, extended: Experiment) -> None:
    changed = [
        name
        for name in differences(before.to_dict(), extended.to_dict())
        if name.partition(".")[0] not in _FREE_SECTIONS and name.rpartition(".")[2] not in _FREE_OPTIONS
    ]
    require(
        not changed,
        f"an extended run keeps the model of the run that it goes on from. Received: another {', '.join(changed)}. "
        "Leave it out.",
    )
