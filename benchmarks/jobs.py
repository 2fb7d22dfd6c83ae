"""Measurements, each made in a process of its own: ``python -m benchmarks.jobs JOB RESULT_FILE``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import CORES, memory
from benchmarks import methods as other_methods
from benchmarks.contestants import HAS_TORCH, KINDS, Workbench, is_torch
from benchmarks.floor import Product, large_product, operations, seconds_once
from benchmarks.our_steps import training_from_memory
from benchmarks.rounds import Interleaved, interleave, single_steps
from benchmarks.shapes import SHAPES, Shape, copy_with_tasks, lstm

Row = dict[str, object]
_LARGE = "large"


def in_own_process(job: str, **options: object) -> object:
    """Result of the job (the name of a function of this module), run in a new process."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "result.json")
        request = json.dumps({"name": job, "options": options})
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # PyTorch's steps are written for the CPU
        subprocess.run([sys.executable, "-m", "benchmarks.jobs", request, str(path)], check=True, env=environment)
        return json.loads(path.read_text(encoding="utf-8"))


def shape(name: str, seconds: float, single_seconds: float) -> Row:
    """All contestants of a shape in turns; and our steps one by one on one batch."""
    bench = Workbench(SHAPES[name]())
    outcome = interleave([bench.contestant(*pair) for pair in bench.pairs()], seconds, _probe(bench, tuple(KINDS)))
    return {
        "title": bench.shape.title,
        "published_steps": bench.shape.published_steps,
        "num_tasks": len(bench.shape.stream),
        "mean_time_steps": float(np.mean([batch.inputs.shape[1] for batch in bench.batches])),
        "gflops": large_product().operations / _median(outcome, _LARGE) / 1e9,
        "floors": {kind: _floor(bench.products(kind), outcome) for kind in KINDS},
        "rows": [timing._asdict() for timing in outcome.timings],
        "failures": [
            {"kind": kind, "variant": variant, "error": error} for (kind, variant), error in outcome.failures.items()
        ],
        "single_steps": _single_steps(bench, single_seconds),
    }


def alone(name: str, kind: str, variant: str) -> Row:
    """Compile time and peak memory of one contestant that has the process to itself."""
    bench = Workbench(SHAPES[name]())
    return {"kind": kind, "variant": variant, **_alone(bench, kind, variant)}


def tasks(old_tasks: int, seconds: float) -> Row:
    """Our HNET step on the Copy network with so many old tasks."""
    bench = Workbench(copy_with_tasks(old_tasks + 1))
    facts = _alone(bench, "hnet_all", "ours")
    outcome = interleave([bench.contestant("hnet_all", "ours")], seconds, _large_probe)
    return {"x": old_tasks, **facts, **_growth_row(bench, "hnet_all", outcome)}


def hidden(sizes: Sequence[int], seconds: float) -> list[Row]:
    """Fine-tuning of LSTMs of several sizes, T = 117."""
    return [_lstm_row(lstm(size, 117), size, seconds) for size in sizes]


def length(lengths: Sequence[int], seconds: float) -> list[Row]:
    """Fine-tuning of an LSTM of 256 units on sequences of several lengths."""
    return [_lstm_row(lstm(256, time_steps), time_steps, seconds) for time_steps in lengths]


def chunk(sizes: Sequence[int], seconds: float) -> list[Row]:
    """Our HNET step on the Copy network with 4 old tasks and several chunk sizes."""
    rows = []
    for size in sizes:
        bench = Workbench(copy_with_tasks(5, size))
        outcome = interleave([bench.contestant("hnet_all", "ours")], seconds, _large_probe)
        parameters = bench.trainer.model.source.count_params()
        rows.append({"x": size, "parameters": parameters, **_growth_row(bench, "hnet_all", outcome)})
    return rows


def methods(name: str, seconds: float) -> Row:
    """Steps of other methods beside fine-tuning, and the Fisher information of their importances."""
    compared = SHAPES[name]()
    steps = interleave(other_methods.step_contestants(compared), seconds, dict)
    fisher = interleave(other_methods.fisher_contestants(compared), seconds, dict)
    return {
        "title": compared.title,
        "steps": {timing.variant: timing.median_ms for timing in steps.timings},
        "fisher": {timing.variant: timing.median_ms for timing in fisher.timings},
        "failures": {variant: error for (_, variant), error in (steps.failures | fisher.failures).items()},
    }


JOBS: dict[str, Callable[..., object]] = {
    job.__name__: job for job in (shape, alone, tasks, hidden, length, chunk, methods)
}
_COMPARE = ("shape", "hidden", "length", "methods")


def _lstm_row(lstm_shape: Shape, x: int, seconds: float) -> Row:
    bench = Workbench(lstm_shape)
    variants = ["ours", *(["torch_fused"] if HAS_TORCH else [])]
    contestants = [bench.contestant("fine_tuning", variant) for variant in variants]
    return {"x": x, **_growth_row(bench, "fine_tuning", interleave(contestants, seconds, _large_probe))}


def _growth_row(bench: Workbench, kind: str, outcome: Interleaved) -> Row:
    large_ms = 1e3 * operations(bench.products(kind)) * _median(outcome, _LARGE) / large_product().operations
    return {"floor_ms": large_ms, **{timing.variant: timing.median_ms for timing in outcome.timings}}


def _alone(bench: Workbench, kind: str, variant: str) -> Row:
    """Time by which the first pass over the batches exceeds the second; peak memory above that before anything."""
    bench.batches  # noqa: B018 - loaded before memory is looked at
    if not variant.startswith("ours"):
        bench.tuner, bench.trainer  # noqa: B018 - theirs start from our weights
    memory.forget_peak()
    before = memory.peak_mib()
    contestant = bench.contestant(kind, variant)
    first, second = (_seconds(contestant.run, contestant.cycle) for _ in range(2))
    contestant.run(max(contestant.cycle, 3))
    peak = memory.peak_mib()
    return {"compile_s": max(first - second, 0.0), "peak_mib": peak - before, "process_mib": peak}


def _single_steps(bench: Workbench, seconds: float) -> Row:
    """On the batch of median length, so that the spread is not that of lengths."""
    by_length = sorted(bench.batches, key=lambda batch: batch.inputs.shape[1])
    batches = [by_length[len(by_length) // 2]]
    runs = {
        "hnet_first": (bench.trainer, 0),
        "hnet_all": (bench.trainer, bench.last_task),
        "fine_tuning": (bench.tuner, bench.last_task),
    }
    return {
        kind: single_steps(training_from_memory(trainer, batches, task_id), seconds)
        for kind, (trainer, task_id) in runs.items()
    }


def _probe(bench: Workbench, kinds: Sequence[str]) -> Callable[[], dict[str, float]]:
    """Times all products that the kinds of steps need, and the large one."""
    shapes = {_key(product): product for kind in kinds for product in bench.products(kind)}
    return lambda: {key: seconds_once(product) for key, product in shapes.items()} | _large_probe()


def _large_probe() -> dict[str, float]:
    return {_LARGE: seconds_once(large_product())}


def _floor(products: Sequence[Product], outcome: Interleaved) -> Row:
    total = operations(products)
    return {
        "gflop": total / 1e9,
        "large_ms": 1e3 * total * _median(outcome, _LARGE) / large_product().operations,
        "shapes_ms": 1e3 * sum(product.times * _median(outcome, _key(product)) for product in products),
    }


def _median(outcome: Interleaved, key: str) -> float:
    return float(np.median([probe[key] for probe in outcome.probes]))


def _key(product: Product) -> str:
    return f"{product.rows}x{product.inner}x{product.columns}"


def _seconds(run: Callable[[int], None], steps: int) -> float:
    began = time.perf_counter()
    run(steps)
    return time.perf_counter() - began


def _main(request_json: str, path: str) -> None:
    request = json.loads(request_json)
    needs_torch = request["name"] in _COMPARE or is_torch(request["options"].get("variant", ""))
    if HAS_TORCH and needs_torch:  # else it would only take memory
        import torch

        torch.set_num_threads(CORES)
        torch.set_flush_denormal(True)  # as TensorFlow does: vanishing gradients take 12 times as long otherwise
    result = JOBS[request["name"]](**request["options"])
    Path(path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
