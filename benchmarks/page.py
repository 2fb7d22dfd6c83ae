"""The page `benchmarks/README.md`, written from results alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.contestants import KINDS, VARIANTS
from benchmarks.methods import FISHER, NUM_SEQUENCES
from benchmarks.plots import GROWTH

Row = Mapping[str, object]
_THEIRS = [variant for variant in VARIANTS if not variant.startswith("ours")]
_MISSING = "–"

_HOW = """Times of one step: read the ratios, not the milliseconds. The contestants of a section take turns in one run;
with `--only`, sections come from several runs, and only figures of a section can be compared.

    make bench                                   # everything, about 25 minutes on 2 cores
    python -m benchmarks --only copy tasks       # some of it; the rest of results.json is kept
    python -m benchmarks --quick                 # does everything work? Under 2 minutes, written to runs/bench_quick
    python -m benchmarks --page                  # this page again, from results.json

This page is written by `benchmarks/page.py` from `benchmarks/results.json`."""

_METHODS = f"""A step on the second task, with what the method keeps of the first, beside a fine-tuning step. And the
diagonal of the Fisher information over {NUM_SEQUENCES} sequences beside loops that take one sequence after another:
through our own network compiled by XLA for a batch of one, and in PyTorch."""

_MEANING = """## What is measured

Contestants of one network take turns of at least 0.12 s in an order drawn for each round; a figure is the median over
rounds of the time of a turn divided by its steps. *HNET step*: generate weights, forward, backward, regulariser, clip,
Adam. *Fine-tuning step*: the same without hypernetwork, regulariser and orthogonal penalty. *Forward only*: loss (ours:
and accuracy and confusions) of a batch of the training's size. It is that of the test split: ours
through its pipeline and with the start of an evaluation, others' from batches that are already there.

* **clrnn_tf** steps go through the trainer of every run, its input pipeline included. All others get batches that are
  already in memory.
* **PyTorch, loops**: a Python loop over time with a cell written from matrix products (both directions one after
  another on reversed sequences), old tasks generated one after another, `torch.optim.Adam`. Denormal numbers are
  flushed to zero (`torch.set_flush_denormal`), as TensorFlow does; PyTorch does not by itself, and LSTM 256 with
  T = 250 and a loss at the last step then takes 4.2 s instead of 0.34.
* **PyTorch, nn.LSTM / nn.RNN**: the kernels behind these modules with generated weights (fine-tuning: the modules
  themselves), bidirectional sequences packed, all tasks generated in one batched call, fused Adam. **Unpacked** leaves
  out packing: faster, but the backward direction then starts in the padding.
* **Keras layer**: `LSTM`, `Bidirectional(LSTM)` with a mask or `SimpleRNN` under `tf.function`, without and with
  `jit_compile`.
* **floor, large**: operations of the step's matrix products at the rate of one large product (1024 x 1024 x 1024),
  timed in every round. **floor, shapes**: the sum of the times of the step's own products, each done alone, also timed
  in every round; small products cannot reach the large rate. Either takes the better of NumPy and TensorFlow.
  Activations, Adam and everything that is no product count for nothing. Layers after the recurrence are counted, and by
  us computed, from the first step on at which a sequence counts; PyTorch and Keras compute them for all steps.
* **x times** in brackets: that time divided by ours; above 1 we are faster.
* **99th percentile**: our steps called one by one, on one batch from memory (a call of its own each).
* **input share**: what our step takes longer from its pipeline than from batches in memory.
* **compile**: by how much the first pass over the batches took longer than the second, in a process of its own.
  **Peak memory**: highest resident size in that process above what it was before the network was built."""


def write(results: Mapping[str, object], path: Path) -> None:
    """Write the page; pictures are expected in `plots` beside it."""
    path.write_text(page(results), encoding="utf-8")


def page(results: Mapping[str, object]) -> str:
    """The page as Markdown."""
    parts = ["# Benchmarks", _HOW, _machine(results)]
    parts += [part for shape in results["shapes"].values() for part in _shape(shape)]
    if results["growth"]:
        parts += ["## How cost grows"]
        parts += [part for name, rows in results["growth"].items() for part in _growth(name, rows)]
    if results.get("methods"):
        parts += ["## Other methods", _METHODS]
        parts += [part for each in results["methods"].values() for part in _methods(each)]
    return "\n\n".join([*parts, _MEANING]) + "\n"


def slope(rows: Sequence[Row]) -> float:
    """Milliseconds per `x`, by least squares."""
    return float(np.polyfit([row["x"] for row in rows], [row["ours"] for row in rows], 1)[0])


def _machine(results: Mapping[str, object]) -> str:
    machine, versions = results["machine"], ", ".join(f"{name} {each}" for name, each in results["versions"].items())
    rates = [shape["gflops"] for shape in results["shapes"].values()]
    rate = f"; large float32 product {min(rates):.0f} to {max(rates):.0f} Gflop/s" if rates else ""
    return f"{results['date']}: {machine['cores']} cores of {machine['cpu']}{rate}; {versions}."


def _shape(shape: Row) -> list[str]:
    times = {(row["kind"], row["variant"]): row["median_ms"] for row in shape["rows"]}
    failures = {(row["kind"], row["variant"]): row["error"] for row in shape["failures"]}
    theirs = [variant for variant in _THEIRS if any(variant == each for _, each in (*times, *failures))]
    header = [
        "",
        "clrnn_tf, ms",
        "Gflop",
        "floor, large, ms",
        "floor, shapes, ms",
        "clrnn_tf / floor, large",
        "/ floor, shapes",
        *(f"{VARIANTS[variant]}, ms" for variant in theirs),
    ]
    body = []
    for kind, label in KINDS.items():
        ours, floor = times[kind, "ours"], shape["floors"][kind]
        body.append(
            [
                label,
                _ms(ours),
                f"{floor['gflop']:.2f}",
                _ms(floor["large_ms"]),
                _ms(floor["shapes_ms"]),
                f"{ours / floor['large_ms']:.2f}",
                f"{ours / floor['shapes_ms']:.2f}",
                *(_compared(times.get((kind, variant)), ours, (kind, variant) in failures) for variant in theirs),
            ]
        )
    notes = [f"{VARIANTS[variant]} failed: `{error}`" for (_, variant), error in failures.items()]
    steps = f"Mean T {shape['mean_time_steps']:.1f}; the published run takes {shape['published_steps']} steps."
    return [f"## {shape['title']}", steps, _table(header, body), *notes, *_ours_in_detail(shape, times), *_alone(shape)]


def _ours_in_detail(shape: Row, times: Mapping[tuple[str, str], float]) -> list[str]:
    body = []
    for kind, single in shape["single_steps"].items():
        memory = times.get((kind, "ours_from_memory"))
        share = _MISSING if memory is None else f"{100 * max(1 - memory / times[kind, 'ours'], 0):.1f} %"
        ratio = single["p99_ms"] / single["median_ms"]
        body.append(
            [
                KINDS[kind],
                _ms(single["median_ms"]),
                _ms(single["p99_ms"]),
                f"{ratio:.2f}",
                str(single["count"]),
                share,
            ]
        )
    header = ["clrnn_tf, steps one by one", "median, ms", "99th percentile, ms", "ratio", "steps timed", "input share"]
    return [_table(header, body)]


def _alone(shape: Row) -> list[str]:
    body = [
        [KINDS[row["kind"]], VARIANTS[row["variant"]], f"{row['compile_s']:.1f}", f"{row['peak_mib']:.0f}"]
        for row in shape.get("alone", ())
    ]
    return [_table(["alone in a process", "", "compile, s", "peak memory, MiB"], body)] if body else []


def _growth(name: str, rows: Sequence[Row]) -> list[str]:
    columns = {
        "ours": "clrnn_tf, ms",
        "torch_fused": "PyTorch nn.LSTM, ms",
        "floor_ms": "floor, large, ms",
        "parameters": "hypernetwork parameters",
        "peak_mib": "peak memory of training, MiB",
        "process_mib": "of the whole process, MiB",
        "compile_s": "compile, s",
    }
    present = [key for key in columns if key in rows[0]]
    header = [GROWTH[name].x_label, *(columns[key] for key in present)]
    body = [[str(row["x"]), *(_cell(key, row[key]) for key in present)] for row in rows]
    facts = []
    if name == "tasks" and len(rows) > 1:
        facts = [f"Slope by least squares: {slope(rows):.3f} ms per old task."]
    picture = f"![{GROWTH[name].title}](plots/{name}.png)"
    return [f"### {GROWTH[name].title}", _table(header, body), *facts, picture]


def _methods(row: Row) -> list[str]:
    steps, fisher = row["steps"], row["fisher"]
    times = [[name, _ms(each), f"{each / steps['fine_tuning']:.2f}"] for name, each in steps.items()]
    loops = [[FISHER[name], _ms(each), f"{each / fisher['ours']:.1f}"] for name, each in fisher.items()]
    return [
        f"### {row['title']}",
        _table(["step of", "ms", "/ fine-tuning"], times),
        _table([f"Fisher information, {NUM_SEQUENCES} sequences", "ms", "/ clrnn_tf"], loops),
        *(f"{name} failed: `{error}`" for name, error in row["failures"].items()),
    ]


def _cell(key: str, value: float) -> str:
    if key == "parameters":
        return f"{value:,}"
    return f"{value:.0f}" if key.endswith("mib") else _ms(value)


def _compared(theirs: float | None, ours: float, failed: bool) -> str:
    if theirs is None:
        return "failed" if failed else _MISSING
    return f"{_ms(theirs)} ({theirs / ours:.2f}x)"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))
