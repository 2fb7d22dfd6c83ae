"""Which settings differ between a run that is stored and one that would continue it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from clrnn_tf.config import Experiment


def with_defaults(experiment: Experiment, stored: Mapping[str, object]) -> Mapping[str, object]:
    """Stored settings, and the defaults of those that are newer than the version that stored them."""
    parts = ("network", "hypernetwork", "train", "method_options", "data")
    made = {name: getattr(experiment, name) for name in parts}
    blank = dataclasses.replace(experiment, **{name: part and type(part)() for name, part in made.items()})
    return _merged(blank.to_dict(), stored)


def _merged(defaults: Mapping[str, object], stored: Mapping[str, object]) -> Mapping[str, object]:
    merged = {**defaults, **stored}
    for name, default in defaults.items():
        value = merged[name]
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(default, value)
    return merged


def differences(stored: object, present: object, name: str = "") -> dict[str, tuple[object, object]]:
    """Settings of `present` whose stored value is another, by dotted name."""
    if isinstance(present, Mapping) and isinstance(stored, Mapping):
        found = {}
        for key, value in present.items():
            found.update(differences(stored.get(key), value, f"{name}.{key}" if name else key))
        return found
    return {} if stored == present else {name: (stored, present)}
