"""The model of all tasks beside the models of single tasks: time of 64 rows, size on disk, time to load.

    python -m benchmarks.serving                                       # both networks, 20 tasks
    python -m benchmarks.serving --tasks 1000 --networks tagging       # one head for all of them

Networks are untrained, which takes as long. Times are CPU times of the process, medians of rounds in which all
contestants take turns, so that their ratios mean something on a machine that others use as well. Give TensorFlow one
thread: `TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1`.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

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

ROWS, ROUNDS = 64, 40
NETWORKS = {
    "tagging": (20, 64, 17, {"cell": "lstm", "hidden_sizes": (32,), "direction": "bidirectional"}, 1000, (32, 32)),
    "copy task": (11, 8, 7, {"cell": "elman", "hidden_sizes": (256,)}, 4000, (50, 50)),
}
"""Steps, features, outputs, network, size of a chunk, layers of the hypernetwork."""


def make(name: str, num_tasks: int) -> tuple[TaskModel, TaskStream]:
    """An untrained hypernetwork with its network, and a stream of random inputs."""
    time_steps, features, outputs, network, chunk_size, layers = NETWORKS[name]
    heads = "multi" if num_tasks <= 20 else "single"
    net = RecurrentNetwork(NetworkConfig(**network, heads=heads), features, outputs, num_tasks)
    source = Hypernetwork(net.weight_specs, HypernetworkConfig(chunk_size=chunk_size, hidden_sizes=layers), num_tasks)
    arrays = {
        "inputs": np.random.default_rng(0).normal(size=(ROWS, time_steps, features)).astype(np.float32),
        "lengths": np.random.default_rng(1).integers(1, time_steps + 1, ROWS).astype(np.int32),
    }

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        real = tf.sequence_mask(fields["lengths"], tf.shape(fields["inputs"])[1], tf.float32)
        return Batch(fields["inputs"], tf.cast(real, tf.int32), real, real, fields["lengths"], tf.constant(0))

    split = ArraySplit(arrays, make_batch)
    tasks = tuple(Task(k, f"t{k}", train=split, test=split) for k in range(num_tasks))
    return TaskModel(net, source, "softmax"), TaskStream("random", tasks, features, outputs, "softmax", "random")


def size_of(path: Path) -> int:
    """Bytes of a SavedModel, without recorded answers."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and file.name != "probes.npz")


def loaded(path: Path) -> tuple[object, float]:
    """A SavedModel, and the CPU seconds that it took."""
    started = time.process_time()
    return tf.saved_model.load(str(path)), time.process_time() - started


def milliseconds(contestants: dict[str, object]) -> dict[str, np.ndarray]:
    """The times of contestants that take turns, by name."""
    times = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, ask in contestants.items():
            started = time.process_time()
            ask()
            times[name].append(1e3 * (time.process_time() - started))
    return {name: np.array(values[3:]) for name, values in times.items()}


def measure(name: str, num_tasks: int, folder: Path) -> None:
    """Print what a network takes."""
    model, stream = make(name, num_tasks)
    of_one = export_task(model, stream, 0, folder)
    of_all = export_all_tasks(model, stream, folder)
    (one, one_seconds), (every, all_seconds) = loaded(of_one), loaded(of_all)
    print(
        f"{name}, {num_tasks} tasks: all {size_of(of_all) / 1e6:.2f} MB, loaded in {all_seconds:.2f} s of CPU time; "
        f"one {size_of(of_one) / 1e6:.2f} MB, loaded in {one_seconds:.2f} s"
    )
    batch = next(iter(stream[0].test.in_order(ROWS, 0)))
    ask_one, ask_all = one.signatures["serving_default"], every.signatures["by_task_id"]
    rows = {"inputs": batch.inputs, "lengths": batch.lengths}
    contestants = {"one task's model": lambda: ask_one(**rows)}
    for distinct in sorted({1, 5, 20, min(num_tasks, ROWS)} if num_tasks >= 20 else {1, num_tasks}):
        spread = np.linspace(0, num_tasks - 1, distinct).astype(np.int32)
        ids = tf.constant(np.random.default_rng(distinct).permutation(np.resize(spread, ROWS)), tf.int32)
        contestants[f"{distinct} tasks mixed"] = lambda ids=ids: ask_all(**rows, task_id=ids)
        parts = [tf.where(ids == task_id)[:, 0] for task_id in spread]
        alone = [{key: tf.gather(value, part) for key, value in rows.items()} for part in parts]
        contestants[f"{distinct} tasks one by one"] = lambda alone=alone: [ask_one(**part) for part in alone]
    times = milliseconds(contestants)
    base = np.median(times["one task's model"])
    for contestant, values in times.items():
        middle, late = np.median(values), np.percentile(values, 90)
        print(f"  {contestant:<22} {middle:6.1f} ms  (90 %: {late:6.1f})  {middle / base:5.2f} x")


def main() -> None:
    """Measure both networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}")
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, options.tasks, Path(folder))


if __name__ == "__main__":
    main()
