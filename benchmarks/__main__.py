"""Measure and write the page: ``python -m benchmarks``; see ``--help``."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import CORES, page, plots
from benchmarks.contestants import ALONE, HAS_TORCH, WITHOUT_TORCH, is_torch
from benchmarks.jobs import in_own_process
from benchmarks.shapes import SHAPES

HERE = Path(__file__).parent
QUICK_OUT = Path("runs/bench_quick")
Results = dict[str, object]


@dataclass(frozen=True)
class Plan:
    """How long and how much to measure."""

    seconds: Mapping[str, float]
    """Of taking turns, by shape, after warm-up."""
    single_seconds: float
    """Of our steps one by one, by kind of step."""
    alone: tuple[tuple[str, str], ...]
    """(kind, variant) that get a process of their own, for each shape."""
    growth: Mapping[str, tuple[int, ...]]
    growth_seconds: float
    """For each point."""
    method_seconds: float
    """For the steps of other methods, and again for the Fisher information, of each shape."""


FULL = Plan(
    seconds={"copy": 60, "pos": 60, "smnist1": 80, "smnist2": 110, "audioset": 40},
    single_seconds=4,
    alone=ALONE,
    growth={
        "tasks": (1, 2, 5, 10, 20, 50, 100),
        "hidden": (32, 64, 128, 256, 512),
        "length": (10, 30, 100, 250, 500),
        "chunk": (500, 1000, 2500, 4000, 8000, 16_000),
    },
    growth_seconds=4,
    method_seconds=20,
)
QUICK = Plan(
    seconds=dict.fromkeys(SHAPES, 1),
    single_seconds=0.5,
    alone=(("hnet_all", "ours"),),
    growth={"tasks": (1, 3), "hidden": (32, 64), "length": (10, 30), "chunk": (2500, 8000)},
    growth_seconds=0.5,
    method_seconds=0.5,
)
METHODS = {"methods_copy": "copy", "methods_smnist1": "smnist1"}
PARTS = (*SHAPES, *plots.GROWTH, *METHODS)
QUICK_PARTS = ("audioset", "tasks", "hidden", "chunk", "methods_copy")


def main() -> None:
    """See the module's docstring."""
    options = _options()
    out = options.out or (QUICK_OUT if options.quick else HERE)
    results = _kept(out / "results.json")
    if not options.page:
        _measure(results, QUICK if options.quick else FULL, _parts(options), out)
    _write_page(results, out)
    print(f"written: {out / 'README.md'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time of training steps, as ratios.")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        metavar="PART",
        help=f"some parts: {', '.join(PARTS)}; others in an existing results.json are kept",
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions, to see that everything works")
    parser.add_argument("--page", action="store_true", help="only write the page again from results.json")
    parser.add_argument("--out", type=Path, help=f"directory (default: {HERE.name}, or {QUICK_OUT} with --quick)")
    return parser.parse_args()


def _parts(options: argparse.Namespace) -> tuple[str, ...]:
    everything = QUICK_PARTS if options.quick else PARTS
    return tuple(options.only or everything)


def _measure(results: Results, plan: Plan, parts: tuple[str, ...], out: Path) -> None:
    if not HAS_TORCH:
        print(WITHOUT_TORCH, file=sys.stderr)
    results |= {"machine": _machine(), "versions": _versions(), "date": f"{datetime.date.today()}"}
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        print(f"measuring {part} ...", flush=True)
        if part in SHAPES:
            results["shapes"][part] = _shape(part, plan)
        elif part in METHODS:
            results["methods"][part] = in_own_process("methods", name=METHODS[part], seconds=plan.method_seconds)
        else:
            results["growth"][part] = _growth(part, plan)
        (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def _shape(name: str, plan: Plan) -> object:
    measured = in_own_process("shape", name=name, seconds=plan.seconds[name], single_seconds=plan.single_seconds)
    pairs = [pair for pair in plan.alone if HAS_TORCH or not is_torch(pair[1])]
    alone = [in_own_process("alone", name=name, kind=kind, variant=variant) for kind, variant in pairs]
    return {**measured, "alone": alone}


def _growth(name: str, plan: Plan) -> object:
    values, seconds = plan.growth[name], plan.growth_seconds
    if name == "tasks":
        return [in_own_process("tasks", old_tasks=number, seconds=seconds) for number in values]
    argument = "lengths" if name == "length" else "sizes"
    return in_own_process(name, **{argument: values}, seconds=seconds)


def _write_page(results: Results, out: Path) -> None:
    shutil.rmtree(out / "plots", ignore_errors=True)
    plots.draw(results["growth"], out / "plots")
    page.write(results, out / "README.md")


def _kept(path: Path) -> Results:
    """Results measured before; parts stay in their order here whatever the order of measuring."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for group, names in (("shapes", SHAPES), ("growth", plots.GROWTH), ("methods", METHODS)):
        there = kept.get(group, {})
        kept[group] = {name: there[name] for name in names if name in there}
    return kept


def _machine() -> dict[str, object]:
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {"cpu": cpu, "cores": CORES, "platform": platform.platform()}


def _versions() -> dict[str, str]:
    packages = ["tensorflow", "keras", "numpy", *(["torch"] if HAS_TORCH else [])]
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"Python": platform.python_version(), **versions}


if __name__ == "__main__":
    main()
