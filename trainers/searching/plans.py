"""A search as it was decided: stored in ``search.yaml``, from which it is continued and from which workers take it."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clrnn_tf.config import Experiment, updated
from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, nearest, require
from clrnn_tf.recording.changes import differences
from clrnn_tf.yaml_files import read_settings
from trainers.clrnn import benchmarks
from trainers.presets import Benchmark
from trainers.searching.options import OF_THE_PROCESS, OF_THE_TRAINER, SearchOptions
from trainers.searching.scores import Objective
from trainers.searching.shipped import shipped
from trainers.searching.spaces import Space, parse_spaces
from trainers.seeds import parse_seeds
from trainers.settings import Command, parse

FILE = "search.yaml"
SETTINGS = "settings.yaml"
PLASTICITY = "plasticity-stability"
_SECONDS_BETWEEN_LOOKS = 0.2
_NOT_COMPARED = (*OF_THE_PROCESS, *OF_THE_TRAINER, "space")  # what comes of them is


@dataclass(frozen=True)
class Plan:
    """What a search does."""

    options: SearchOptions
    """As they were typed when it began."""
    command: Command
    """What a trainer would make of the settings that are not searched."""
    spaces: tuple[Space, ...]
    out: Path

    @property
    def experiment(self) -> Experiment:
        """The settings to start from."""
        return self.command.experiment

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the runs of each trial."""
        return parse_seeds(self.options.seeds)

    @property
    def first_tasks(self) -> int | None:
        """Tasks that the search sees; None for all."""
        return None if self.options.protocol == "oracle" else self.options.first_tasks

    @property
    def objective(self) -> Objective:
        """What is maximised, or minimised."""
        return Objective(self.options.objective, "during" if self.options.protocol == PLASTICITY else "final")

    @property
    def strength(self) -> str:
        """Name of the setting that holds old tasks in place."""
        return f"{self.experiment.method}.strength"

    @property
    def protocol(self) -> str:
        """The protocol in words, for every result."""
        k = self.options.first_tasks
        return {
            "oracle": "oracle (validation data of all tasks)",
            "first-k": f"first-k (validation data of the first {k} tasks)",
            PLASTICITY: f"plasticity-stability (validation data of the first {k} tasks, each right after learning it)",
        }[self.options.protocol]

    @property
    def trials(self) -> Path:
        """Directory of the trials."""
        return self.out / "trials"

    def facts(self) -> dict[str, Any]:
        """All that must be the same when the search is continued, as YAML has it."""
        options = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self.options).items()
            if name not in _NOT_COMPARED
        }
        return {
            "search": options,
            "space": [str(space) for space in self.spaces],
            "settings": self.experiment.to_dict(),
        }


def new_plan(options: SearchOptions, words: list[str]) -> Plan:
    """The search that flags ask for.

    Args:
      options: Flags of the search.
      words: Flags of the trainer of the benchmark, as they were typed.

    Raises:
      ConfigurationError: They are wrong.
    """
    benchmark = benchmark_of(options.benchmark)
    parse_seeds(options.seeds)
    command = parse(benchmark, [*_for_trainer(options), *words])
    method = command.experiment.method
    spaces = parse_spaces(options.space or shipped(benchmark.name, method), command.experiment)
    out = options.out or Path("runs") / f"search_{benchmark.name}_{method}_{options.tuner}"
    plan = Plan(options, command, spaces, out)
    if options.protocol == PLASTICITY:
        names = [space.name for space in spaces]
        require(
            plan.strength in names,
            f"plasticity-stability lowers a strength, so it needs a --space of {plan.strength}. "
            f"Received: {', '.join(names)}.",
        )
        require(len(spaces) > 1, f"plasticity-stability needs a --space besides {plan.strength}. Received: none.")
        require(options.tuner != "hyperband", "plasticity-stability needs another tuner. Received: hyperband.")
    return plan


def begin(plan: Plan) -> None:
    """Write a new search to its directory.

    Raises:
      ConfigurationError: There is something.
    """
    parent = next(parent for parent in [plan.out, *plan.out.parents] if parent.exists())
    require(parent.is_dir(), f"{parent} is a file, not a directory. Choose another directory with --out.")
    require(
        not (plan.out / FILE).exists(),
        f"{plan.out} holds a search already. Continue it with --resume, or choose another directory with --out.",
    )
    empty = not plan.out.exists() or not any(plan.out.iterdir())
    require(empty, f"{plan.out} exists and is no search. Choose another directory with --out.")
    plan.trials.mkdir(parents=True)
    settings = {**plan.experiment.to_dict(), "provenance": {"preset": plan.command.preset}}
    write_text(plan.out / SETTINGS, _as_yaml(settings))
    data_dir = plan.command.data_dir
    facts = {**plan.facts(), "data_dir": str(data_dir.absolute()) if data_dir else None}
    write_text(plan.out / FILE, _as_yaml(facts))  # last: with it, there is a search


def wait_for_plan(options: SearchOptions) -> None:
    """Wait until the chief has written what is searched; no longer than the time-out."""
    until = time.monotonic() + options.timeout
    while options.out is not None and not (options.out / FILE).is_file() and time.monotonic() < until:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def stored_plan(options: SearchOptions, typed: Collection[str], words: list[str]) -> Plan:
    """The search in a directory, to be continued.

    Args:
      options: Flags, of which those of this process count.
      typed: Names of the flags that were typed. With the benchmark, it is the whole command, and must say the same as
        before; else, only flags of this process may be there.
      words: Flags of the trainer, as they were typed.

    Raises:
      ConfigurationError: There is none, it is damaged, or flags differ from those that are stored.
    """
    if options.out is None:
        raise ConfigurationError("--resume and --role worker need --out with the directory of the search.")
    path = options.out / FILE
    require(path.is_file(), f"no search to continue in {options.out}: it has no {FILE}.")
    plan = _read(path, options)
    if "benchmark" in typed:
        changed = differences(plan.facts(), new_plan(options, words).facts())
        told = ", ".join(f"{name} (stored {old!r}, now {new!r})" for name, (old, new) in changed.items())
        require(not changed, f"the search in {options.out} has other settings: {told}. Leave them out.")
    else:
        others = [f"--{name.replace('_', '-')}" for name in typed if name not in OF_THE_PROCESS] + words[:1]
        require(
            not others,
            f"--resume and --role worker take what is stored in {path}. Received: {', '.join(others)} as well; "
            "leave it out.",
        )
    return plan


def _read(path: Path, options: SearchOptions) -> Plan:
    stored = read_settings(path)
    try:
        found: Any = stored["search"]
        process = {name: getattr(options, name) for name in OF_THE_PROCESS}
        stored_options = dataclasses.replace(updated(SearchOptions(), found), **process)
        directory = options.data_dir or stored["data_dir"]
        flags = ["--config", str(path.with_name(SETTINGS)), *(["--data-dir", str(directory)] if directory else [])]
        command = parse(benchmark_of(stored_options.benchmark), flags)
        texts: Any = stored["space"]
        return Plan(stored_options, command, parse_spaces(texts, command.experiment), path.parent)
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is damaged ({error}). Begin a new search in another --out.") from None


def _as_yaml(values: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _for_trainer(options: SearchOptions) -> list[str]:
    """The flags that the trainer has, too."""
    words = []
    for name in OF_THE_TRAINER:
        value = getattr(options, name)
        if value not in (None, False):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def benchmark_of(name: str | None) -> Benchmark:
    """The benchmark of a name.

    Raises:
      ConfigurationError: There is none.
    """
    known = benchmarks()
    if name is None:
        raise ConfigurationError(f"a search needs --benchmark. Known: {', '.join(known)}.")
    plain = name.replace("-", "_")
    require(plain in known, f"unknown benchmark {name}.{nearest(plain, known)}")
    return importlib.import_module(f"trainers.{plain}").BENCHMARK
