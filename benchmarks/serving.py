"""The model of all tasks: 64 rows of many tasks beside 64 rows of one, and a thousand tasks beside one.

    python -m benchmarks.serving                          # tagging network, streams of 1, 20 and 1,000 tasks
    python -m benchmarks.serving --network copy --tasks 1 20
    python -m benchmarks.serving --rounds 40              # a first look
    python -m benchmarks.serving --threads 2 2            # a server's threads: within an operation, of operations

It prints Markdown. Streams are synthetic, tasks share one head, and networks are untrained, which takes as long. Models
run in a C program (`export/native.c`) through TensorFlow's C API; TF_SessionRun is timed alone. All contestants take
turns in each round, and answer about the same rows. TensorFlow gets one thread, and times are CPU times of the process,
so that other processes count little; read the ratios. With more threads, times are what a client waits, which tells
something on an idle machine only.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import CORES
from clrnn_tf import (
    ArraySplit,
    Batch,
    Hypernetwork,
    HypernetworkConfig,
    NetworkConfig,
    RecurrentNetwork,
    Task,
    TaskModel,
    TaskStream,
)
from export import export_all_tasks, export_task
from export.native import NativeProgram, Request, Seconds

ROWS, SENTENCES, WARM_UP_ROUNDS, LOADS = 64, 512, 5, 3
OUTPUTS = ("logits", "classes", "probabilities")
NETWORKS = {
    "tagging": (20, 64, 17, {"cell": "lstm", "hidden_sizes": (32,), "direction": "bidirectional"}, 1000, (32, 32)),
    "copy": (11, 8, 7, {"cell": "elman", "hidden_sizes": (256,)}, 4000, (50, 50)),
}
"""Steps, features, outputs, network, size of a chunk, layers of the hypernetwork."""


class Model(NamedTuple):
    """A servable."""

    name: str
    num_tasks: int
    """1 for a model of one task."""
    signature: str
    path: Path

    @property
    def num_bytes(self) -> int:
        """On disk, without recorded answers."""
        files = [file for file in self.path.rglob("*") if file.is_file() and file.name != "probes.npz"]
        return sum(file.stat().st_size for file in files)


class Contestant(NamedTuple):
    """What is asked in each round."""

    name: str
    model: int
    rows: int
    tasks: np.ndarray | None
    """[rounds, rows] int32 ids; None for a model of one task."""
    is_arriving: bool
    """Whether percentiles are wanted."""


def stream_of(name: str, num_tasks: int) -> tuple[TaskModel, TaskStream]:
    """An untrained hypernetwork with its network, and a stream of random inputs."""
    time_steps, features, outputs, network, chunk_size, layers = NETWORKS[name]
    net = RecurrentNetwork(NetworkConfig(**network, heads="single"), features, outputs, num_tasks)
    source = Hypernetwork(net.weight_specs, HypernetworkConfig(chunk_size=chunk_size, hidden_sizes=layers), num_tasks)
    split = ArraySplit(sentences(name), make_batch)
    tasks = tuple(Task(k, f"t{k}", train=split, test=split) for k in range(num_tasks))
    return TaskModel(net, source, "softmax"), TaskStream("random", tasks, features, outputs, "softmax", "random")


def sentences(name: str) -> dict[str, np.ndarray]:
    """Random sequences of 1 to T steps."""
    time_steps, features = NETWORKS[name][:2]
    generator = np.random.default_rng(0)
    return {
        "inputs": generator.normal(size=(SENTENCES, time_steps, features)).astype(np.float32),
        "lengths": generator.integers(1, time_steps + 1, SENTENCES).astype(np.int32),
    }


def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
    """A batch whose targets are 1 at all real steps."""
    real = tf.sequence_mask(fields["lengths"], tf.shape(fields["inputs"])[1], tf.float32)
    return Batch(fields["inputs"], tf.cast(real, tf.int32), real, real, fields["lengths"], tf.constant(0))


def exported(name: str, sizes: Sequence[int], folder: Path) -> list[Model]:
    """The model of one task, those of all tasks of each stream, and the last one with weights made for each request."""
    models = []
    for num_tasks in sizes:
        model, stream = stream_of(name, num_tasks)
        if not models:
            path = export_task(model, stream, 0, folder)
            models.append(Model("of one task", 1, "serving_default", path))
        path = export_all_tasks(model, stream, folder / str(num_tasks))
        models.append(Model(f"of all {num_tasks:,} tasks", num_tasks, "by_task_id", path))
    path = export_all_tasks(model, stream, folder / "made", most_kept_bytes=0)
    return [*models, Model(f"of all {num_tasks:,} tasks, weights made for each request", num_tasks, "by_task_id", path)]


def contestants_of(models: Sequence[Model], rounds: int) -> list[Contestant]:
    """Batches of 64 rows of one task and of many, and arrivals of 64 rows and of one."""
    made = [Contestant("its task", 0, ROWS, None, is_arriving=False)]
    for number, model in enumerate(models[1:], start=1):
        for distinct in sorted({1, min(20, model.num_tasks), min(ROWS, model.num_tasks)}):
            ids = np.resize(np.linspace(0, model.num_tasks - 1, distinct).astype(np.int32), ROWS)
            shuffled = np.stack([np.random.default_rng(k).permutation(ids) for k in range(rounds)])
            named = f"{distinct} tasks" if distinct > 1 else "one task"
            made.append(Contestant(named, number, ROWS, shuffled, is_arriving=False))
    for rows in (ROWS, 1):
        for number, model in enumerate(models[1:-1], start=1):
            for kind in ("uniform", "Zipf") if model.num_tasks > 1 else ("uniform",):
                ids = arrivals(kind, model.num_tasks, (rounds, rows))
                made.append(Contestant(kind, number, rows, ids, is_arriving=True))
    return [*made, Contestant("its task", 0, 1, None, is_arriving=True)]


def arrivals(kind: str, num_tasks: int, shape: tuple[int, int]) -> np.ndarray:
    """Tasks as they are asked for: all alike, or the k-th one with a probability in proportion to 1 / k."""
    weights = np.ones(num_tasks) if kind == "uniform" else 1.0 / np.arange(1, num_tasks + 1)
    return np.random.default_rng(1).choice(num_tasks, shape, p=weights / weights.sum()).astype(np.int32)


def requests_of(
    name: str, models: Sequence[Model], contestants: Sequence[Contestant], rounds: int
) -> Iterator[Request]:
    """The requests of all rounds. A batch is sent to the first contestant of its size, and kept for the others."""
    known, generator = sentences(name), np.random.default_rng(2)
    for number in range(rounds):
        rows, inputs = 0, {}
        for contestant in contestants:
            model = models[contestant.model]
            if contestant.rows == rows:
                inputs = dict.fromkeys(known)
            else:
                rows = contestant.rows
                drawn = generator.choice(SENTENCES, rows, replace=False)
                longest = known["lengths"][drawn].max()
                inputs = {"inputs": known["inputs"][drawn, :longest], "lengths": known["lengths"][drawn]}
            tasks = {} if contestant.tasks is None else {"task_id": contestant.tasks[number]}
            yield Request(contestant.model, model.signature, {**inputs, **tasks}, OUTPUTS)


def milliseconds(seconds: Sequence[Seconds], num_contestants: int, by_clock: bool) -> np.ndarray:
    """[rounds, contestants] of CPU time, or by the clock, without the first rounds."""
    taken = np.array([one.wall if by_clock else one.cpu for one in seconds])
    return 1e3 * taken.reshape(-1, num_contestants)[WARM_UP_ROUNDS:]


def measure(name: str, sizes: Sequence[int], rounds: int, by_clock: bool = False) -> None:
    """Print the three tables of a network."""
    with tempfile.TemporaryDirectory() as folder:
        models = exported(name, sizes, Path(folder))
        contestants = contestants_of(models, rounds)
        program = NativeProgram(Path(folder))
        asked = requests_of(name, models, contestants, rounds)
        paths = [model.path for model in models]
        answers = program.run([*paths, *paths * LOADS], asked, keep_outputs=False)
        loads = np.array([taken.cpu for taken in answers.loaded[len(paths) :]]).reshape(LOADS, -1)
        print_sizes(models, np.median(loads, axis=0))
        times = milliseconds(answers.answered, len(contestants), by_clock)
        for is_arriving, print_table in ((False, print_batches), (True, print_arrivals)):
            places = [k for k, contestant in enumerate(contestants) if contestant.is_arriving == is_arriving]
            print_table(models, [contestants[k] for k in places], times[:, places])


def print_sizes(models: Sequence[Model], loads: np.ndarray) -> None:
    """Bytes on disk and in memory, and times to load."""
    print("\n| model | MB on disk | MB of weights kept in memory | loads in, s |\n|---|--:|--:|--:|")
    for model, seconds in zip(models, loads, strict=True):
        print(f"| {model.name} | {model.num_bytes / 1e6:.2f} | {kept_bytes(model) / 1e6:.1f} | {seconds:.2f} |")
    few, many = models[-3], models[-2]
    if 1 < few.num_tasks < many.num_tasks:  # that of one task has fewer signatures
        each = (many.num_bytes - few.num_bytes) / (many.num_tasks - few.num_tasks)
        print(f"\nA task more takes {each:.0f} bytes on disk.")


def kept_bytes(model: Model) -> int:
    """Memory of the weights that are made when a model is loaded."""
    return json.loads((model.path / "metadata.json").read_text(encoding="utf-8")).get("kept_weights_bytes", 0)


def print_batches(models: Sequence[Model], contestants: Sequence[Contestant], times: np.ndarray) -> None:
    """Times of 64 rows, and their throughput beside that of 64 rows of one task in the same model and in its own."""
    print(f"\n| model | {ROWS} rows of | ms | throughput beside one task in the same model | in its own |")
    print("|---|---|--:|--:|--:|")
    medians = np.median(times, axis=0)
    pairs = list(zip(contestants, medians, strict=True))
    of_one = {contestant.model: median for contestant, median in pairs if contestant.name in ("one task", "its task")}
    for contestant, median in pairs:
        same, own = of_one[contestant.model] / median, medians[0] / median
        print(f"| {models[contestant.model].name} | {contestant.name} | {median:.1f} | {same:.2f} | {own:.2f} |")


def print_arrivals(models: Sequence[Model], contestants: Sequence[Contestant], times: np.ndarray) -> None:
    """Percentiles of times, beside those of the model of the fewest tasks."""
    print("\n| model | tasks arrive | rows of a request | p50, ms | p99, ms | p99 beside the first |")
    print("|---|---|--:|--:|--:|--:|")
    first: dict[int, float] = {}
    for contestant, taken in zip(contestants, times.T, strict=True):
        middle, late = np.percentile(taken, [50, 99])
        beside = late / first.setdefault(contestant.rows, late)
        model = models[contestant.model].name
        print(f"| {model} | {contestant.name} | {contestant.rows} | {middle:.2f} | {late:.2f} | {beside:.2f} |")


def processor() -> str:
    """Its name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="tagging")
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 20, 1000], help="ascending")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--threads", type=int, nargs=2, default=[1, 1], metavar=("INTRA", "INTER"))
    options = parser.parse_args()
    intra, inter = options.threads
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(intra), "TF_NUM_INTEROP_THREADS": str(inter)}  # of the C program
    print(f"{options.network}, {options.rounds} rounds; {CORES} cores of {processor()}, TensorFlow {tf.__version__}.")
    by_clock = options.threads != [1, 1]
    print(f"Threads within an operation: {intra}, of operations: {inter}. {'Wall' if by_clock else 'CPU'} times.")
    measure(options.network, options.tasks, options.rounds + WARM_UP_ROUNDS, by_clock)


if __name__ == "__main__":
    main()
