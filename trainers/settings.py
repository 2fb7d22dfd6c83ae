"""From command-line arguments to an experiment.

Settings are layered: preset, then ``--config`` file (or, with ``--resume``, the settings stored in the run
directory), then ``--quick``, then single flags.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clrnn_tf import methods
from clrnn_tf.config import Experiment, updated, with_present_names
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.extension.settings import MAX_DROP, Extension, extended_settings, extension_of
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.yaml_files import read_settings
from trainers.flags import Flag, flags_of, read, refuse_unknown, words_of
from trainers.presets import Benchmark, Expected
from trainers.stored_data import data_dir_of

_QUICK_STEPS = 150


@dataclass(frozen=True)
class RunOptions:
    """What is run, and where it is written."""

    help: bool = False
    """Show this text; other flags decide which defaults it shows."""
    list_presets: bool = False
    """Show the presets, and what to expect of them."""
    method: str | None = None
    """Continual-learning method. Every method runs on its own or on any preset."""
    preset: str | None = None
    """Named settings to start from; --list-presets shows them."""
    config: Path | None = None
    """YAML file of settings: a run's config.yaml, or any part of one."""
    out: Path | None = None
    """Run directory to write."""
    seed: int | None = None
    """Seed of weights, batches and every other draw."""
    seeds: str | None = None
    """Several seeds, such as 0-9 or 0,3,5: a run of each in --out/seedN."""
    processes: int = 1
    """How many of the --seeds run at once."""
    quick: bool = False
    """Try everything in under a minute. Too short to learn: scores mean nothing."""
    resume: bool = False
    """Continue the run in --out where its last checkpoint is."""
    checkpoint_every: int | None = None
    """Steps from checkpoint to checkpoint; else one a minute."""
    overwrite: bool = False
    """Replace the run in --out."""
    data_dir: Path | None = None
    """Directory of data; else that of the run whose settings are taken, $CLRNN_DATA_DIR, or what is embedded."""
    extend: Path | None = None
    """Teach the run in this directory one more task, as --data.languages +sv; the result is a new run in --out."""
    keep_exact: bool = False
    """With --extend: train only what the new task has of its own, so that old tasks stay bit for bit as they are."""
    max_drop: float | None = None
    """With --extend: points that an old task may lose; past them, nothing is exported [1.0]."""
    publish: Path | None = None
    """When all is learned, publish the model of all tasks to this directory, as python -m export.bundle does."""
    export: Literal["lite"] | None = None
    """Also write a LiteRT model of each task (.tflite) when all is learned, for small devices."""
    download: bool = False
    """First fetch what --source tfds reads and is not there."""
    compare_with: tuple[Path, ...] = ()
    """Other runs, or a perceptron's file, for the report."""
    track: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Experiment trackers that get the run, too."""
    infer_task: bool = False
    """Also test with the task inferred (lowest predictive entropy); with --resume, of a finished run."""
    distribute: bool = False
    """Train with the workers of $TF_CONFIG."""


@dataclass(frozen=True)
class Command:
    """A command that was understood."""

    benchmark: Benchmark
    experiment: Experiment
    preset: str
    """Name of the preset from which the settings started."""
    out: Path
    data_dir: Path | None
    """Where the data are; None generates them, or takes those embedded."""
    options: RunOptions
    """The flags as they were typed."""
    extension: Extension | None = None
    """The run that this one goes on from."""
    watchers: tuple[Observer, ...] = ()
    """Who watches the run besides those that record it."""
    varied: tuple[str, ...] = ()
    """Settings that are varied by whoever started the run, by dotted name."""
    exports: bool = True
    """Whether models and a report are written."""
    typed: str = ""
    """The command, to be typed again."""

    @property
    def expected(self) -> Expected | None:
        """What the run should come near, where its settings are those of the preset."""
        return self.benchmark.expected(self.preset, self.experiment, self.data_dir)


def parse(benchmark: Benchmark, arguments: Iterable[str]) -> Command:
    """Understand the arguments of a command.

    Raises:
      ConfigurationError: They are wrong; the message is one line.
    """
    arguments = list(arguments)
    typed = shlex.join([*benchmark.program.split(), *arguments])
    if benchmark.directory_first and arguments and not arguments[0].startswith("-"):
        arguments = ["--data-dir", *arguments]
    values, words = read(_written_out(words_of(arguments), benchmark), flags_of(RunOptions))
    options = updated(RunOptions(), values)
    every = options.checkpoint_every
    require(every is None or every > 0, f"--checkpoint-every must be above 0. Received: {every}.")
    only_shows = options.help or options.list_presets
    if only_shows:
        options = dataclasses.replace(options, resume=False, extend=None)
    stored = _stored_settings(benchmark, options)
    provenance = provenance_of(stored)
    _require_kinds(provenance, "preset", "data_dir")
    reads = not only_shows and "--data.source" not in words
    data_dir = data_dir_of(options.data_dir, provenance, options.config is None, reads) if benchmark.uses_data else None
    embedded = data_dir is None and not _names_source(benchmark, stored, words)
    preset, start = _starting_settings(benchmark, options, stored, embedded)
    flags = [flag for _, _, of_section in sections(start) for flag in of_section]
    values, unknown = read(words, flags)
    _refuse_options_of_other_methods(unknown, start.method)
    refuse_unknown(unknown, [*flags_of(RunOptions), *flags])
    if options.quick:
        start = _quick(benchmark, start, values)
    if options.extend:
        experiment = extended_settings(start, task_names_of(options.extend), values)
    else:
        experiment = updated(start, values)
    methods.load(experiment.method).METHOD.check(experiment)
    name = f"{benchmark.name}_{_settings_name(benchmark, preset, start.method)}_seed{experiment.seed}"
    out = options.out or Path("runs") / name
    return Command(benchmark, experiment, preset, out, data_dir, options, _extension(options, provenance), typed=typed)


def sections(experiment: Experiment) -> list[tuple[str, object, list[Flag]]]:
    """The settings that an experiment has: name of the section, its values, and its flags; in order of need.

    The hypernetwork's are among them only for methods that use one.
    """
    parts = {
        "data": experiment.data,
        experiment.method: experiment.method_options,
        "train": experiment.train,
        "network": experiment.network,
    }
    if methods.load(experiment.method).METHOD.uses_hypernetwork:
        parts["hypernetwork"] = experiment.hypernetwork
    return [(name, value, flags_of(type(value), name)) for name, value in parts.items()]


def _stored_settings(benchmark: Benchmark, options: RunOptions) -> dict[str, object]:
    """Settings from `--config`, or with `--resume` those of the run directory."""
    require(
        not (options.resume and options.config),
        "--resume takes the settings stored in the run directory. Received: --config as well; leave it out.",
    )
    require(not (options.resume and options.overwrite), "--resume goes on, --overwrite begins anew. Leave one out.")
    path = options.config
    if options.extend:
        _refuse_beside_extend(options)
        path = options.extend / "config.yaml"
        require(path.is_file(), f"no run to extend in {options.extend}: it has no config.yaml.")
    if options.resume:
        if options.out is None:
            raise ConfigurationError("--resume needs --out with the directory of the run to continue.")
        path = options.out / "config.yaml"
        require(path.is_file(), f"no run to continue in {options.out}: it has no config.yaml.")
    if path is None:
        return {}
    stored = read_settings(path)
    of = stored.get("benchmark", benchmark.name)
    require(of == benchmark.name, f"{path} holds settings of benchmark {of}. Received: benchmark {benchmark.name}.")
    return stored


def task_names_of(run: Path) -> list[str]:
    """The tasks of a finished run.

    Raises:
      ConfigurationError: It has no results.
    """
    return RunDirectory(run).read_results()["task_names"]


def _refuse_beside_extend(options: RunOptions) -> None:
    others = ("config", "resume", "preset", "method", "seed", "quick", "distribute", "infer_task")
    typed = [f"--{name.replace('_', '-')}" for name in others if getattr(options, name) not in (None, False)]
    require(not typed, f"--extend goes on with the settings of its run. Received: {', '.join(typed)}; leave it out.")
    require(options.out is not None, "--extend needs --out with the directory of the new run.")


def _extension(options: RunOptions, provenance: Mapping[str, object]) -> Extension | None:
    """The run that a command, or the run that it continues, goes on from."""
    if options.extend:
        return Extension(options.extend, options.keep_exact, MAX_DROP if options.max_drop is None else options.max_drop)
    stored = extension_of(provenance) if options.resume else None
    require(not options.keep_exact, "--keep-exact is for --extend. Leave it out.")
    require(stored is None or not options.distribute, "a run that goes on from another one has one worker.")
    if stored is None or options.max_drop is None:
        require(options.max_drop is None, "--max-drop is for --extend, and for --resume of such a run. Leave it out.")
        return stored
    return dataclasses.replace(stored, max_drop=options.max_drop)


def _written_out(words: Sequence[str], benchmark: Benchmark) -> list[str]:
    """The words of a command with `--source` in full."""
    require(
        "--source" not in words or hasattr(benchmark.pipeline.Config(), "source"),
        f"{benchmark.name} has one source of data. Received: --source; leave it out.",
    )
    return ["--data.source" if word == "--source" else word for word in words]


def _names_source(benchmark: Benchmark, stored: Mapping[str, object], words: Sequence[str]) -> bool:
    """Whether another source of data than the default is typed or stored; asked before the preset is known."""
    settings_type = benchmark.pipeline.Config
    typed: Mapping[str, Any] = read(words, flags_of(settings_type, "data"))[0]
    of_file = stored.get("data")
    named = {**(of_file if isinstance(of_file, Mapping) else {}), **typed.get("data", {})}
    return "source" in named and named["source"] != getattr(settings_type(), "source", None)


def _starting_settings(
    benchmark: Benchmark, options: RunOptions, stored: Mapping[str, object], embedded: bool
) -> tuple[str, Experiment]:
    """Name of the preset, and the settings before single flags."""
    _require_kinds(stored, "method")
    stored_preset, stored_method = provenance_of(stored).get("preset"), stored.get("method")
    preset_name = options.preset or stored_preset
    method = options.method or stored_method
    if method is None:
        method = benchmark.preset(str(preset_name)).method if preset_name else "hnet"
    method = str(method)
    methods.load(method)
    if preset_name is None:
        preset_name = benchmark.default_preset(method, embedded)
    start = benchmark.preset(str(preset_name)).experiment(benchmark.name, method=method)
    values = with_present_names(stored, str(stored_method or method))
    values.pop("provenance", None)
    if stored_method not in (None, method):
        values.pop(str(stored_method), None)  # options of the method that --method replaces
    start = updated(start, {**values, "method": method})
    if options.seed is not None:
        start = dataclasses.replace(start, seed=options.seed)
    return str(preset_name), start


def _quick(benchmark: Benchmark, start: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The settings with few steps and little data: as little as fits the data settings that are typed."""
    try:
        data = updated(start, {"data": values.get("data", {})}).data
    except ConfigurationError:  # it is said of all settings, or does not hold for less data
        data = start.data
    steps = min(start.train.steps, _QUICK_STEPS)
    train = dataclasses.replace(start.train, steps=steps, validate_every=_QUICK_STEPS)
    return dataclasses.replace(start, train=train, data=benchmark.pipeline.quick(data))


def _refuse_options_of_other_methods(unknown: Sequence[str], method: str) -> None:
    for flag in unknown:
        other = flag.removeprefix("--").partition(".")[0].replace("-", "_")
        require(
            other == method or other not in methods.names(),
            f"{flag} is an option of method {other}. Received: method {method}. Add --method {other}.",
        )
        require(
            other != "hypernetwork" or methods.load(method).METHOD.uses_hypernetwork,
            f"{flag} needs a method with a hypernetwork. Received: method {method}.",
        )


def _require_kinds(values: Mapping[str, object], *names: str) -> None:
    for name in names:
        value = values.get(name)
        require(value is None or isinstance(value, str), f"{name} must be a name. Received: {value!r}.")


def _settings_name(benchmark: Benchmark, preset: str, method: str) -> str:
    return preset if benchmark.presets[preset].method == method else f"{preset}_{method}"
