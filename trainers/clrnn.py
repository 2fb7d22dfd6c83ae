"""``clrnn BENCHMARK ...``: the trainers as one command."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import clrnn_tf
import data_pipelines
import export
import trainers
from clrnn_tf.errors import ConfigurationError, nearest
from trainers.failures import guarded

COMMANDS = ("compare", "perceptron", "plot", "report", "search", "tag")
"""Modules of this package that run something else than a benchmark."""
EXPORTS = ("bundle", "client", "rollback", "verify")
"""Modules of `export` that are commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def benchmarks() -> dict[str, str]:
    """The first line of each trainer's docstring, by the name of its benchmark.

    A benchmark is a module in `data_pipelines` that has a trainer of the same name here.
    """
    pipelines = {module.name for module in pkgutil.iter_modules(data_pipelines.__path__)}
    names = sorted(module.name for module in pkgutil.iter_modules(trainers.__path__) if module.name in pipelines)
    return {name: _summary(name) for name in names}


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h"):
        _print_help()
        return 0
    if arguments[0] == "--version":
        print(f"clrnn_tf {clrnn_tf.__version__}")
        return 0
    typed, name = arguments[0], arguments[0].replace("-", "_")
    if name in COMMANDS:
        return importlib.import_module(f"trainers.{name}").main(arguments[1:], f"clrnn {_typed(name)}")
    if name in EXPORTS:
        return importlib.import_module(f"export.{name}").main(arguments[1:])
    if name not in benchmarks():
        known = map(_typed, (*benchmarks(), *COMMANDS, *EXPORTS))
        raise ConfigurationError(f"unknown benchmark {typed}.{nearest(typed, known)}")
    from trainers.run import main as run_benchmark  # loads TensorFlow, which the answers above do without

    benchmark = importlib.import_module(f"trainers.{name}").BENCHMARK
    return run_benchmark(benchmark, arguments[1:], f"clrnn {_typed(name)}")


def _print_help() -> None:
    print("clrnn: recurrent networks that keep learning new tasks without forgetting\n")
    for name, summary in (benchmarks() | {name: _summary(name) for name in (*COMMANDS, *EXPORTS)}).items():
        print(f"  clrnn {_typed(name):<24} {summary}")
    print("\n  clrnn BENCHMARK --help          what to type, and all flags")
    print("  clrnn BENCHMARK --list-presets  published runs, and what to expect of them")
    print("  clrnn --version")


def _typed(name: str) -> str:
    return name.replace("_", "-")


def _summary(name: str) -> str:
    """Read from the source, because importing a trainer takes seconds."""
    for folder in (*trainers.__path__, *export.__path__):
        path = Path(folder) / f"{name}.py"
        if path.is_file():
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            return text.partition("\n")[0].partition(": ``")[0]
    return ""


if __name__ == "__main__":
    sys.exit(main())
