"""The command line that all benchmarks share: settings in, a run directory out.

Settings are layered: preset, then ``--config`` file (or, with ``--resume``, the settings stored in the run
directory), then ``--quick``, then single flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
import yaml

from clrnn_tf import methods
from clrnn_tf.config import Experiment, NetworkConfig, TrainConfig, updated
from clrnn_tf.errors import ConfigurationError, nearest, require
from data_pipelines.storage import find_data_dir
from trainers.execute import execute
from trainers.presets import Benchmark, Preset, RunOptions

_QUICK_STEPS = 150


@dataclass(frozen=True)
class Choices:
    """The flags that decide which settings the others start from."""

    method: str | None
    preset: str | None
    config: Path | None
    data_dir: Path | None
    out: Path | None
    resume: bool
    quick: bool


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Run the command line of a benchmark and return the exit code: 2 for bad input, 1 for a failed run."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        experiment, options, preset_name = parse(benchmark, arguments)
        return execute(benchmark, experiment, options, preset_name)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume continues after the last finished task.", file=sys.stderr)
        return 130


def parse(benchmark: Benchmark, arguments: list[str]) -> tuple[Experiment, RunOptions, str]:
    """Settings, run options and the name of the preset from command-line arguments."""
    choices = _choices(arguments)
    stored = _read_settings(choices)
    provenance = stored.pop("provenance", {})
    preset_name, start = _starting_settings(benchmark, choices, stored, provenance.get("preset"))
    if choices.quick:
        train = dataclasses.replace(
            start.train, steps=min(start.train.steps, _QUICK_STEPS), validate_every=_QUICK_STEPS
        )
        start = dataclasses.replace(start, train=train, data=benchmark.pipeline.quick(start.data))
    flags = _flags_type(benchmark, start)
    out = choices.out or Path("runs") / f"{benchmark.name}_{preset_name}_seed{start.seed}"
    parsed = tyro.cli(
        flags,
        prog=f"python -m trainers.{benchmark.name}",
        args=arguments,
        default=flags(
            method=start.method, preset=preset_name, out=out, seed=start.seed, network=start.network,
            train=start.train, data=start.data, **_method_settings(start),
        ),
        description=f"Train on {benchmark.name}.\n\n{_presets_help(benchmark)}\n\n{benchmark.examples}",
    )  # fmt: skip
    if choices.out is None:
        out = Path("runs") / f"{benchmark.name}_{preset_name}_seed{parsed.seed}"
    experiment = Experiment(
        benchmark=benchmark.name, method=parsed.method, seed=parsed.seed, network=parsed.network,
        hypernetwork=getattr(parsed, "hypernetwork", start.hypernetwork), train=parsed.train,
        method_options=getattr(parsed, start.method), data=parsed.data,
    )  # fmt: skip
    methods.find(experiment.method).METHOD.check(experiment)
    data_dir = parsed.data_dir
    if parsed.resume and data_dir is None and provenance.get("data_dir"):
        data_dir = Path(provenance["data_dir"])
    options = RunOptions(
        out, data_dir, parsed.resume, parsed.overwrite, parsed.distribute, tuple(parsed.compare_with),
        parsed.infer_task,
    )  # fmt: skip
    return experiment, options, preset_name


def _choices(arguments: list[str]) -> Choices:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--method", "--preset"):
        parser.add_argument(name)
    for name in ("--config", "--data-dir", "--out"):
        parser.add_argument(name, type=Path)
    for name in ("--resume", "--quick"):
        parser.add_argument(name, action="store_true")
    try:
        known, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigurationError(str(error)) from None
    return Choices(**{field.name: getattr(known, field.name) for field in dataclasses.fields(Choices)})


def _starting_settings(
    benchmark: Benchmark, choices: Choices, stored: dict[str, object], stored_preset: str | None
) -> tuple[str, Experiment]:
    """Preset and file, before single flags."""
    method = choices.method or stored.get("method")
    if method is not None:
        require(
            method in methods.names(), f"method must be one of {', '.join(methods.names())}. Received: {method}."
        )
    name = choices.preset or stored_preset
    if name is None:
        name = benchmark.default_preset(method or "hnet", find_data_dir(choices.data_dir))
    if name not in benchmark.presets:
        raise ConfigurationError(f"unknown preset '{name}'.{nearest(name, benchmark.presets)}")
    preset = benchmark.presets[name]
    require(
        method in (None, preset.method),
        f"preset {name} is for method {preset.method}. Received: --method {method}. Leave one of the two out.",
    )
    return name, updated(preset.experiment(benchmark.name), stored)


def _read_settings(choices: Choices) -> dict[str, object]:
    require(
        not (choices.resume and choices.config),
        "--resume takes the settings stored in the run directory. Received: --config as well; leave it out.",
    )
    path = choices.config
    if choices.resume:
        require(choices.out is not None, "--resume needs --out with the directory of the run to continue.")
        path = choices.out / "config.yaml"
        require(path.is_file(), f"no run to continue in {choices.out}: it has no config.yaml.")
    if path is None:
        return {}
    require(path.is_file(), f"no such settings file: {path}.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    require(isinstance(values, dict), f"{path} must hold settings by name. Received: {type(values).__name__}.")
    return values


def _flags_type(benchmark: Benchmark, start: Experiment) -> type:
    """A dataclass whose fields tyro turns into flags; the method's options go by the method's name."""

    def flag(hint: object, text: str) -> object:
        return Annotated[hint, tyro.conf.arg(help=text)]

    listed = ", ".join(methods.names())
    fields = [
        ("method", flag(str, f"Continual-learning method: {listed}."), start.method),
        ("preset", flag(str, "Named settings to start from; listed above."), ""),
        ("config", flag(Path | None, "YAML file of settings; any part of a run's config.yaml."), None),
        ("data_dir", flag(Path | None, "Directory of data; else $CLRNN_DATA_DIR, else the embedded data."), None),
        ("out", flag(Path, "Run directory to write."), Path("runs")),
        ("seed", flag(int, "Seed of weights, batches and every other draw."), 0),
        ("resume", flag(tyro.conf.FlagCreatePairsOff[bool], "Continue the run in --out after its last task."), False),
        ("overwrite", flag(tyro.conf.FlagCreatePairsOff[bool], "Replace the run in --out."), False),
        ("distribute", flag(tyro.conf.FlagCreatePairsOff[bool], "Train with the workers of $TF_CONFIG."), False),
        ("quick", flag(tyro.conf.FlagCreatePairsOff[bool], "Under a minute: does everything work?"), False),
        ("infer_task", flag(
            tyro.conf.FlagCreatePairsOff[bool],
            "After training, also test without telling the task: that of the surest network is taken. With --resume, "
            "of a finished run.",
        ), False),
        ("compare_with", flag(tuple[Path, ...], "Run directories to show beside this run in the report."), ()),
        ("network", NetworkConfig, start.network),
        ("train", TrainConfig, start.train),
        *((name, type(value), value) for name, value in _method_settings(start).items()),
        ("data", benchmark.pipeline.Config, start.data),
    ]  # fmt: skip
    return dataclasses.make_dataclass(
        "Run",
        [(name, hint, dataclasses.field(default_factory=lambda value=value: value)) for name, hint, value in fields],
        frozen=True,
    )


def _method_settings(start: Experiment) -> dict[str, object]:
    """Settings that only the chosen method has: its options by its name, the hypernetwork where it uses one."""
    settings = {start.method: start.method_options}
    if methods.find(start.method).METHOD.uses_hypernetwork:
        settings["hypernetwork"] = start.hypernetwork
    return settings


def _presets_help(benchmark: Benchmark) -> str:
    lines = ["Presets:"]
    for name, preset in benchmark.presets.items():
        lines.append(f"  {name}: {preset.summary}{_expected_help(preset)}")
    return "\n".join(lines)


def _expected_help(preset: Preset) -> str:
    if preset.expected is None:
        return ""
    parts = [("during", preset.expected.during), ("final", preset.expected.final)]
    numbers = ", ".join(f"{name} {value:g} %" for name, value in parts if value is not None)
    return f" [{numbers}; {preset.expected.source}]"
