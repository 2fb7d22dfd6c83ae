"""Texts for people: ``--help`` and ``--list-presets``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clrnn_tf import methods
from trainers.flags import Flag, flags_of
from trainers.presets import Benchmark
from trainers.settings import Command, RunOptions, sections

_FLAGS_WIDTH = 36
EXIT_CODES = (
    ("0", "done"),
    ("1", "the run failed: it diverged, the disk or the memory was full, or an old task lost more than --max-drop"),
    ("2", "a flag, a file or the data is wrong; standard error says in one line what to do"),
    ("130", "interrupted; the same command with --resume continues"),
)


def print_help(command: Command, program: str, console: Console | None = None) -> None:
    """Print what to type first, then every flag with its default, in order of need."""
    console = console or Console(highlight=False)
    benchmark, method = command.benchmark, command.experiment.method
    _write(console, f"{inspect.getdoc(benchmark.pipeline) or benchmark.name}".partition("\n")[0])
    _section(
        console,
        "What to type",
        *(
            line
            for flags, what in benchmark.examples
            for line in (Text(f"# {what}"), Text(f"{program} {flags}".strip()))
        ),
    )
    _section(console, "Run", _run_table(command))
    for name, settings, flags in sections(command.experiment):
        title = f"Method: {name}" if name == method else name.capitalize()
        if flags:
            summary = (inspect.getdoc(type(settings)) or "").partition("\n")[0]
            _section(console, f"{title}. {summary}", _flag_table(flags, settings))
    _write(console, "\nBrackets hold the values of this command. A --config file says `train: {steps: 500}`.")
    _section(console, "Exit codes", *(Text(f"{code:<4} {meaning}") for code, meaning in EXIT_CODES))


def print_presets(benchmark: Benchmark, program: str, console: Console | None = None) -> None:
    """Print the presets of a benchmark with the accuracies to expect."""
    console = console or Console(highlight=False)
    sources = list(dict.fromkeys(preset.expected.source for preset in benchmark.presets.values() if preset.expected))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("preset", "method", "what", "during", "final", "from"):
        table.add_column(name, justify="right" if name in ("during", "final") else "left", no_wrap=name == "preset")
    for name, preset in benchmark.presets.items():
        expected, source = preset.expected, ""
        numbers = ["", ""]
        if expected is not None:
            source = f"({sources.index(expected.source) + 1})"
            numbers = ["–" if value is None else f"{value:.2f}" for value in (expected.during, expected.final)]
        table.add_row(name, preset.method, preset.summary, *numbers, source)
    console.print(table, markup=False)
    _write(console, "during, final: accuracies in percent to expect, right after a task is learned and at the end.")
    for number, source in enumerate(sources, 1):
        _write(console, f"({number}) {source}")
    first = next(iter(benchmark.presets))
    _section(console, "What to type", Text(benchmark.command(first, program)))


def print_flags(title: str, flags: Sequence[Flag], settings: object, console: Console | None = None) -> None:
    """Print a section of flags, each with its value in `settings`."""
    _section(console or Console(highlight=False), title, _flag_table(flags, settings))


def _run_table(command: Command) -> Table:
    """Flags of a run; None stands for what is not given, so it is neither a kind nor a default here."""
    experiment = command.experiment
    defaults = {"method": experiment.method, "preset": command.preset, "out": command.out, "seed": experiment.seed}
    notes = {"method": f" One of {', '.join(methods.names())}."}
    table = _grid()
    for flag in flags_of(RunOptions):
        (name,) = flag.path
        default = f" [{defaults[name]}]" if name in defaults else ""
        kind = flag.kind.removesuffix("|none")
        table.add_row(Text(f"{flag.text} {kind}".strip()), Text(f"{flag.help}{notes.get(name, '')}{default}"))
    return table


def _flag_table(flags: Sequence[Flag], settings: object) -> Table:
    table = _grid()
    for flag in flags:
        value = getattr(settings, flag.path[-1])
        word = str(flag.negative) if value is True and flag.path != ("help",) else flag.text
        typed, text = f"{word} {flag.kind}".strip(), f"{flag.help} [{_value_text(value)}]"
        if len(typed) > _FLAGS_WIDTH:
            typed, text = word, f"{flag.kind}. {text}"
        table.add_row(Text(typed), Text(text))
    return table


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "none" if value is None else str(value)


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=_FLAGS_WIDTH, overflow="fold")
    table.add_column()
    return table


def _section(console: Console, title: str, *body: Table | Text) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    for part in body:
        console.print(Padding(part, (0, 0, 0, 2)))


def _write(console: Console, text: str) -> None:
    console.print(Text(text))
