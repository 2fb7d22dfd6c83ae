"""Training from Python: progress on the terminal, an observer of your own, and a SavedModel for each task.

python -m examples.train_with_progress
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf import (
    Experiment,
    HypernetworkConfig,
    NetworkConfig,
    Observer,
    ProgressReporter,
    ResultMatrix,
    TrainConfig,
    build_trainer,
    learn,
)
from clrnn_tf.methods import hnet
from clrnn_tf.recording.events import TaskResult, TrainingLog
from data_pipelines import copy_task
from export import export_task


class Regularizer(Observer):
    """Collects the loss of the output regulariser, to see how much old tasks resist."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def trained(self, log: TrainingLog) -> None:
        """Called after every `log_every` steps."""
        self.losses.append(log.losses["output_regularizer"])

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Called when a task is finished and all tasks have been tested."""
        print(f"{result.task.name}: regulariser {np.mean(self.losses):.4f} nats on average")
        self.losses.clear()


def main() -> None:
    """Learn two small Copy Tasks, export them, and ask an exported model for its answers."""
    data = copy_task.Config(num_tasks=2, input_length=3, num_train=5000, num_validation=0, num_test=200)
    stream = copy_task.make_stream(data)
    experiment = Experiment(
        benchmark="copy_task",
        method="hnet",
        method_options=hnet.Config(strength=1.0),
        data=data,
        network=NetworkConfig(cell="elman", hidden_sizes=(48,)),
        hypernetwork=HypernetworkConfig(chunk_size=500),
        train=TrainConfig(steps=300, batch_size=64, learning_rate=2e-3, clip_norm=1.0),
    )
    trainer = build_trainer(experiment, stream, observers=[ProgressReporter(), Regularizer()])
    learn(stream, trainer)

    with tempfile.TemporaryDirectory() as folder:
        paths = [export_task(trainer.model, stream, task.task_id, Path(folder)) for task in stream]
        serve = tf.saved_model.load(str(paths[0])).signatures["serving_default"]
        batch = next(iter(stream[0].test.in_order(8, 0)))
        answer = serve(inputs=batch.inputs, lengths=batch.lengths)
        right = (answer["bits"] == tf.cast(batch.targets, tf.int32)).numpy()
        scored = batch.eval_weights.numpy() > 0
        print(f"{paths[0].relative_to(folder)}: {100 * right[scored].mean():.1f} % of the bits of 8 sequences right")


if __name__ == "__main__":
    main()
