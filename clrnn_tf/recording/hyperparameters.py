"""Settings and results as TensorBoard's HParams tab shows them: one row for each run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tensorboard.plugins.hparams import api as hparams

from clrnn_tf.config import Experiment
from clrnn_tf.recording.series import HEADLINES

_COLUMNS = {
    "benchmark": "benchmark",
    "method": "method",
    "seed": "seed",
    "strength": "strength",
    "options": "method options",
    "network_in_words": "network",
    "train.steps": "steps a task",
    "train.batch_size": "batch size",
    "train.learning_rate": "learning rate",
}
"""Settings that have columns in every run, so that runs of any methods can stand in one table."""


def columns(varied: Sequence[str] = ()) -> list[hparams.HParam]:
    """The columns of settings: the handful that matter, and those that were varied, by dotted name."""
    names = {**{name: name for name in varied}, **_COLUMNS}
    return [hparams.HParam(name, display_name=shown) for name, shown in names.items()]


def metric_columns() -> list[hparams.Metric]:
    """The columns of results."""
    return [hparams.Metric(f"result/{name}", display_name=shown) for name, shown in HEADLINES.items()]


def hyperparameters(experiment: Experiment) -> dict[str, bool | int | float | str]:
    """Every setting by its dotted name, and three that hold for any method: `strength`, `options`, `network_in_words`.

    `options` are those options of the method that differ from its defaults.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig
      >>> from clrnn_tf.methods import si
      >>> experiment = Experiment(method="si", network=NetworkConfig(), method_options=si.Config(strength=0.5))
      >>> values = hyperparameters(experiment)
      >>> values["strength"], values["si.strength"], values["options"], values["network_in_words"]
      (0.5, 0.5, 'strength 0.5', 'lstm 256, forward')
    """
    options, network = experiment.method_options, experiment.network
    settings = flat(experiment.to_dict())
    if hasattr(options, "strength"):
        settings["strength"] = options.strength
    settings["options"] = _in_words(options)
    sizes = " ".join(map(str, network.hidden_sizes))
    settings["network_in_words"] = f"{network.cell} {sizes}, {network.direction}"
    return settings


def _in_words(options: object) -> str:
    """The options that differ from their defaults; `defaults` where none does."""
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return "defaults"
    default = type(options)()
    changed = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    changed = {name: value for name, value in changed.items() if value != getattr(default, name)}
    return ", ".join(f"{name} {value}" for name, value in changed.items()) or "defaults"


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Settings by dotted name, as numbers and strings.

    Example:
      >>> flat({"train": {"steps": 5, "clip_norm": None}})
      {'train.steps': 5, 'train.clip_norm': 'None'}
    """
    found: dict[str, bool | int | float | str] = {}
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            found.update(flat(value, name))
        else:
            found[name] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return found
