"""Time of a training step of the published HNET and fine-tuning runs: ``python -m benchmarks.step_time``.

Prints a Markdown table. Each row is the median over calls of `CALL` steps (the time of a whole call, input pipeline
included, divided by its steps) beside the floor: operations / rate of a large matrix product measured in the same run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from benchmarks.floor import hypernetwork_operations, matmul_rate, network_operations
from clrnn_tf.experiment import build_trainer
from clrnn_tf.hypernetwork import Hypernetwork
from clrnn_tf.tasks import TaskStream, batches_of_any_length
from clrnn_tf.training import Trainer
from data_pipelines.storage import find_data_dir
from trainers import copy_task, pos_tagging
from trainers.presets import Benchmark

CALL, CALLS, WARM_UP = 20, 15, 12


def measure(trainer: Trainer, stream: TaskStream, task_id: int) -> tuple[float, float, float]:
    """Median and 99th percentile of the milliseconds per step in a call, and mean time steps of a batch."""
    task = stream[task_id]
    trainer.optimizer.reset()
    trainer.method.before_task(task_id)
    batches = iter(batches_of_any_length(task.train.batches(trainer.config.batch_size, 0, task_id)))
    seconds = []
    for call in range(WARM_UP + CALLS):
        began = time.perf_counter()
        trainer.train_steps(batches, tf.constant(task_id), tf.constant(call * CALL), tf.constant(CALL))
        seconds.append((time.perf_counter() - began) / CALL)
    steady = 1e3 * np.array(seconds[WARM_UP:])
    lengths = [batch.inputs.shape[1] for batch in task.train.batches(trainer.config.batch_size, 0, task_id).take(50)]
    return float(np.median(steady)), float(np.percentile(steady, 99)), float(np.mean(lengths))


def rows(benchmark: Benchmark, presets: tuple[str, ...], rate: float) -> Iterator[str]:
    """Table rows of some presets: the first task, and for HNET also the last with all old tasks regularised."""
    data_dir = find_data_dir(None)
    for name in presets:
        experiment = benchmark.presets[name].experiment(benchmark.name)
        if benchmark.name == "copy_task":
            experiment = dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, num_train=20_000))
        stream = benchmark.pipeline.make_stream(experiment.data, data_dir)
        trainer = build_trainer(experiment, stream)
        source = trainer.model.source
        old_tasks = (0, len(stream) - 1) if isinstance(source, Hypernetwork) else (0,)
        for old in old_tasks:
            median, high, steps = measure(trainer, stream, old)
            operations = network_operations(trainer.model.network, experiment.train, steps)
            if isinstance(source, Hypernetwork):
                operations += hypernetwork_operations(source, old + 1)
            floor = 1e3 * operations / rate
            yield (
                f"| {benchmark.name} `{name}` | {old} | {steps:.1f} | {operations / 1e9:.2f} | {floor:.2f} | "
                f"{median:.2f} | {high:.2f} | {median / floor:.2f} |"
            )


def main() -> None:
    """Print the table."""
    rate = matmul_rate()
    print(f"large matrix product: {rate / 1e9:.0f} Gflop/s (float32)\n")
    print("| run | old tasks | mean T | Gflop | floor, ms | step, ms | 99th percentile, ms | step / floor |")
    print("|---|---|---|---|---|---|---|---|")
    for line in rows(copy_task.BENCHMARK, ("fine_tuning_permuted", "hnet_permuted"), rate):
        print(line, flush=True)
    presets = ("hnet", "fine_tuning") if find_data_dir(None) else ("starter_hnet", "starter_fine_tuning")
    for line in rows(pos_tagging.BENCHMARK, presets, rate):
        print(line, flush=True)


if __name__ == "__main__":
    main()
