"""Stored runs in groups that differ in their seed alone, and names for such groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from clrnn_tf.errors import require
from clrnn_tf.recording.changes import differences
from clrnn_tf.recording.run_directory import as_json

_MOST_NAMED = 3  # settings in a label


class Described(Protocol):
    """What a stored run says about itself."""

    @property
    def path(self) -> Path:
        """Its directory."""

    @property
    def method(self) -> str:
        """Name of the method."""

    @property
    def preset(self) -> str:
        """Name of the preset from which it began; "" where that is not known."""

    @property
    def seed(self) -> int:
        """Of all draws."""

    @property
    def settings(self) -> Mapping[str, object]:
        """All settings."""


R = TypeVar("R", bound=Described)


def by_settings(runs: Sequence[R], also: Callable[[R], Hashable] = lambda run: None) -> list[list[R]]:
    """Runs with the same settings but for the seed, in the order of the first of each group; within it by seed.

    Args:
      runs: The runs.
      also: What else must be the same in a group.

    Raises:
      ConfigurationError: Two runs of a group have the same seed.
    """
    groups: dict[tuple[str, Hashable], dict[int, R]] = {}
    for run in runs:
        settings = {name: value for name, value in run.settings.items() if name != "seed"}
        of_group = groups.setdefault((as_json(_sorted(settings)), also(run)), {})
        twice = of_group.setdefault(run.seed, run)
        require(
            twice is run,
            f"two runs must not have the same settings and seed. Received: {twice.path} and {run.path}; leave one out.",
        )
    return [[group[seed] for seed in sorted(group)] for group in groups.values()]


def labels_of(groups: Sequence[Sequence[Described]]) -> list[str]:
    """The method of each group; where it is there twice, with its preset, its settings, or its directory."""
    firsts = [group[0] for group in groups]
    labels = []
    for run in firsts:
        alike = [other for other in firsts if other.method == run.method]
        labels.append(run.method if len(alike) == 1 else f"{run.method} ({_what_differs(run, alike)})")
    return [
        label if labels.count(label) == 1 else f"{label} [{_directory(run)}]"
        for label, run in zip(labels, firsts, strict=True)
    ]


def _what_differs(run: Described, alike: Sequence[Described]) -> str:
    """What tells a run from others of its method."""
    if len({other.preset for other in alike}) == len(alike) and run.preset:
        return run.preset
    changed = {name: value for other in alike for name, (_, value) in differences(other.settings, run.settings).items()}
    changed.pop("seed", None)
    if 0 < len(changed) <= _MOST_NAMED:
        prefix = f"{run.method}."  # of the method's own settings
        return ", ".join(f"{name.removeprefix(prefix)} {_value(value)}" for name, value in changed.items())
    return _directory(run)


def _directory(run: Described) -> str:
    return run.path.parent.name if run.path.name == f"seed{run.seed}" else run.path.name


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sorted(value: object) -> object:
    """Mappings by name: the order of settings in a file says nothing."""
    return {name: _sorted(value[name]) for name in sorted(value)} if isinstance(value, Mapping) else value
