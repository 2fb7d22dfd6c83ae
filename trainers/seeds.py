"""``--seeds 0-9``: one run for each seed, in directories of its own below ``--out``, several processes at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clrnn_tf.config import updated
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.yaml_files import read_settings
from trainers.flags import flags_of, read, words_of
from trainers.presets import Benchmark
from trainers.settings import Command, RunOptions, parse

MOST_SEEDS = 1000
_SEEDS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_DIRECTORY = re.compile(r"seed(\d+)")
_OF_THE_WHOLE = ("seeds", "processes", "out", "resume", "config")
"""Flags that are said anew for each seed."""


@dataclass(frozen=True)
class SeedRun:
    """The run of one seed."""

    seed: int
    path: Path
    arguments: tuple[str, ...]
    """What a command of its own would be given."""

    @property
    def log(self) -> Path:
        """What it prints; beside its directory, which must be empty when it begins."""
        return self.path.with_name(f"{self.path.name}.log")


@dataclass(frozen=True)
class SeedPlan:
    """A command with ``--seeds`` that was understood: all of its runs have good settings, which are alike."""

    benchmark: Benchmark
    out: Path
    runs: tuple[SeedRun, ...]
    processes: int


def asks_for_seeds(arguments: Sequence[str]) -> bool:
    """Whether a command is about several seeds, and not about their flags.

    Raises:
      ConfigurationError: It would continue one run in a directory of several.
    """
    options = _options(arguments)
    if options.help or options.list_presets:
        return False
    if options.seeds is None:
        require(options.processes == 1, f"--processes needs --seeds. Received: --processes {options.processes} alone.")
        out = options.out if options.resume else None
        if out is not None and not (out / "config.yaml").exists() and seed_directories(out):
            raise ConfigurationError(f"{out} has a run for each of several seeds. Say which to continue: --seeds 0-9.")
    return options.seeds is not None


def plan(benchmark: Benchmark, arguments: Sequence[str]) -> SeedPlan:
    """Understand a command with ``--seeds``; nothing is read but settings, nothing is written.

    Raises:
      ConfigurationError: The command is wrong, or a run is in the way; the message is one line.
    """
    options = _options(arguments)
    seeds = parse_seeds(str(options.seeds))
    require(options.seed is None, f"--seeds says all seeds. Received: --seed {options.seed} as well; leave it out.")
    require(not options.distribute, "--seeds runs whole processes. Received: --distribute as well; leave one out.")
    require(options.processes >= 1, f"--processes must be at least 1. Received: {options.processes}.")
    out = options.out or _default_out(benchmark, arguments)
    require(not (out / "config.yaml").exists(), f"{out} holds a run of one seed. Choose another directory with --out.")
    runs = _runs(arguments, options, out, seeds)
    commands = [parse(benchmark, run.arguments) for run in runs]
    _require_alike(commands, out)
    for command in commands:
        if not command.options.resume:
            RunDirectory.require_writable(command.out, command.options.overwrite)
    return SeedPlan(benchmark, out, tuple(runs), min(options.processes, len(runs)))


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text stands for, in its order.

    Raises:
      ConfigurationError: It is no list of seeds and ranges, or one is there twice.

    Example:
      >>> parse_seeds("0-2,7")
      (0, 1, 2, 7)
    """
    require(_SEEDS.fullmatch(text) is not None, f"--seeds must be like 0-9 or 0,3,5. Received: {text}.")
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        few = range(int(first), int(last or first) + 1)
        require(len(few) > 0, f"--seeds must count upwards, like {last}-{first}. Received: {part}.")
        require(len(seeds) + len(few) <= MOST_SEEDS, f"--seeds must be at most {MOST_SEEDS} seeds. Received: {text}.")
        seeds += few
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    require(twice is None, f"--seeds must name a seed once. Received: {twice} twice.")
    return tuple(seeds)


def seed_directories(out: Path) -> dict[int, Path]:
    """The directories of runs below a directory of seeds, by seed; empty where there are none."""
    found = {}
    for path in out.glob("seed*") if out.is_dir() else ():
        name = _DIRECTORY.fullmatch(path.name)
        if name and (path / "config.yaml").is_file():
            found[int(name[1])] = path
    return dict(sorted(found.items()))


def runs_at(path: Path) -> list[Path]:
    """The run in a directory, or those of its seeds.

    Raises:
      ConfigurationError: There is no run.
    """
    require(path.is_dir(), f"no such directory: {path}.")
    if (path / "config.yaml").is_file():
        return [path]
    seeds = seed_directories(path)
    require(bool(seeds), f"no run in {path}: it has no config.yaml, and no directories of seeds (seed0, ...).")
    return list(seeds.values())


def _options(arguments: Sequence[str]) -> RunOptions:
    """The flags that are no settings. Others, and `--source`, are left to `parse`."""
    values, _ = read(words_of(arguments), flags_of(RunOptions))
    return updated(RunOptions(), values)


def _default_out(benchmark: Benchmark, arguments: Sequence[str]) -> Path:
    """As of one run, without the seed in its name."""
    require("--resume" not in arguments, "--resume needs --out with the directory of the runs to continue.")
    one = parse(benchmark, _without(arguments, ("seeds", "processes")))
    return one.out.with_name(re.sub(r"_seed\d+$", "", one.out.name))


def _runs(arguments: Sequence[str], options: RunOptions, out: Path, seeds: Sequence[int]) -> list[SeedRun]:
    """The run of each seed: continued, or begun with the settings of those that have begun."""
    words, stored = _without(arguments, _OF_THE_WHOLE), seed_directories(out)
    begin = ["--config", str(options.config)] if options.config else []
    if options.resume:
        require(options.config is None, "--resume takes the stored settings. Received: --config as well; leave it out.")
        require(bool(stored), f"no runs to continue in {out}: it has no directory such as seed{seeds[0]} with a run.")
        begin = _as_begun(next(iter(stored.values())), options)
    runs = []
    for seed in seeds:
        path = out / f"seed{seed}"
        how = ["--resume"] if options.resume and seed in stored else [*begin, "--seed", str(seed)]
        runs.append(SeedRun(seed, path, (*words, *how, "--out", str(path))))
    return runs


def _as_begun(run: Path, options: RunOptions) -> list[str]:
    """Flags that begin another run like one that has begun."""
    data_dir = provenance_of(read_settings(run / "config.yaml")).get("data_dir")
    stored_data = ["--data-dir", str(data_dir)] if data_dir and options.data_dir is None else []
    return ["--config", str(run / "config.yaml"), *stored_data]


def _require_alike(commands: Sequence[Command], out: Path) -> None:
    """Require that the runs, and those that are in the directory already, differ in nothing but the seed."""
    experiment = commands[0].experiment
    replaced = {command.out for command in commands if command.options.overwrite}
    for seed, path in seed_directories(out).items():
        if path not in replaced:
            RunDirectory.open(path, dataclasses.replace(experiment, seed=seed))


def _without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Arguments without some flags and the words that belong to them."""
    kept, dropping = [], False
    dropped: Mapping[str, None] = dict.fromkeys(f"--{name}" for name in names)
    for argument in arguments:
        if argument.startswith("--"):
            dropping = argument.partition("=")[0].replace("_", "-") in dropped
        if not dropping:
            kept.append(argument)
    return kept
