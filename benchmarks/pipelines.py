"""The pipeline of every benchmark: memory, time to read, and its share of a training step.

    python -m benchmarks.pipelines --data-dir DIR                     # all, each in a process of its own
    python -m benchmarks.pipelines --data-dir DIR --only stroke_mnist

A step of a preset is timed twice in turn, fed by the pipeline and fed with batches that are in memory already; the
input share is what the first takes longer. Memory is what the process grew by while the stream was made, tables of word
vectors and all tasks included. Without `--data-dir`, data are those embedded or generated.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.memory import resident_mib
from benchmarks.our_steps import Run, repeated, training
from clrnn_tf.experiment import build_trainer

PRESETS = {
    "copy_task": "hnet_permuted",
    "pos_tagging": "hnet_letters",
    "stroke_mnist": "hnet",
    "sequential_stroke_mnist": "hnet_m1",
    "split_audioset": "hnet",
    "speech_commands": "starter_hnet",
    "student_teacher": "hnet",
    "cognitive_tasks": "hnet",
}
"""The preset of each benchmark whose first task is timed."""
_ROUNDS, _MOST_BATCHES = 7, 30
_ROUND_SECONDS = 1.5


def main() -> None:
    """Measure, and print a row of a table for each benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--here", action="store_true", help="measure in this process (one benchmark)")
    options = parser.parse_args()
    if options.here:
        print(_row(options.only[0], options.data_dir), flush=True)
        return
    print("| benchmark, preset | data | memory, MiB | read, s | step, ms | from memory, ms | input share |")
    print("|---|---|--:|--:|--:|--:|--:|", flush=True)
    for name in options.only:
        place = ["--data-dir", str(options.data_dir)] if options.data_dir else []
        command = [sys.executable, "-m", "benchmarks.pipelines", "--here", "--only", name, *place]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _row(name: str, data_dir: Path | None) -> str:
    benchmark = importlib.import_module(f"trainers.{name}").BENCHMARK
    experiment = benchmark.presets[PRESETS[name]].experiment(name)
    before, started = resident_mib(), time.perf_counter()
    stream = benchmark.pipeline.make_stream(experiment.data, data_dir if benchmark.uses_data else None)
    read, memory = time.perf_counter() - started, resident_mib() - before
    trainer = build_trainer(experiment, stream)
    trainer.method.before_task(stream[0])
    batches = list(stream[0].train.batches(trainer.config.batch_size, 0, 0).take(_MOST_BATCHES))
    fed = stream[0].train.batches(trainer.config.batch_size, 0, 0).take(_MOST_BATCHES).repeat().prefetch(2)
    contestants = [training(trainer, fed, 0), training(trainer, repeated(batches), 0)]
    count = _steps_of_a_round(contestants[1])
    times: list[list[float]] = [[], []]
    for _, (number, run) in itertools.product(range(_ROUNDS), enumerate(contestants)):
        started = time.perf_counter()
        run(count)
        times[number].append((time.perf_counter() - started) / count)
    piped, ready = (1e3 * statistics.median(values) for values in times)
    share = max(0.0, 1.0 - ready / piped)
    source = "real" if data_dir and benchmark.uses_data else "generated"
    return (
        f"| `{name}`, `{PRESETS[name]}` | {source} | {memory:.0f} | {read:.1f} | {piped:.1f} | {ready:.1f} "
        f"| {100 * share:.1f} % |"
    )


def _steps_of_a_round(run: Run) -> int:
    """So many steps that a round takes about a second; at least one for every batch in memory."""
    run(_MOST_BATCHES)  # compiles
    started = time.perf_counter()
    run(_MOST_BATCHES)
    seconds = (time.perf_counter() - started) / _MOST_BATCHES
    return max(1, round(_ROUND_SECONDS / seconds / _MOST_BATCHES)) * _MOST_BATCHES


if __name__ == "__main__":
    main()
