"""A benchmark from NumPy arrays: repeat a symbol that was read some steps ago; every task has its own delay.

Fine-tuning answers every task with the delay of the last one. HNET generates another network for each.

    python -m examples.numpy_benchmark
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf import (
    ArraySplit,
    Batch,
    Experiment,
    HypernetworkConfig,
    NetworkConfig,
    Task,
    TaskStream,
    TrainConfig,
    build_trainer,
    learn,
)

NUM_SYMBOLS, MAX_TIME = 4, 10
NETWORK = NetworkConfig(cell="elman", hidden_sizes=(16,), heads="single")
# Compiling so small a network would take longer than training it.
TRAIN = TrainConfig(steps=200, batch_size=32, learning_rate=5e-3, jit="off")


def split(delay: int, seed: int, num_examples: int) -> ArraySplit:
    """Sequences of one-hot symbols; the target of step t is the symbol of step t - delay."""
    random = np.random.default_rng([seed, delay])
    symbols = random.integers(0, NUM_SYMBOLS, (num_examples, MAX_TIME))
    lengths = random.integers(MAX_TIME // 2, MAX_TIME + 1, num_examples)
    steps = np.arange(MAX_TIME)
    arrays = {
        "inputs": np.eye(NUM_SYMBOLS, dtype=np.float32)[symbols],  # [N, T, F]
        "targets": np.roll(symbols, delay, axis=1).astype(np.int32),  # [N, T]
        "counts": ((steps >= delay) & (steps < lengths[:, np.newaxis])).astype(np.float32),  # [N, T]
        "lengths": lengths.astype(np.int32),  # [N]
    }
    return ArraySplit(arrays, make_batch)


def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
    """A batch of gathered examples. Steps that do not count are neither trained on nor scored."""
    return Batch(
        inputs=fields["inputs"],
        targets=fields["targets"],
        loss_weights=fields["counts"],
        eval_weights=fields["counts"],
        lengths=fields["lengths"],
        task_id=tf.constant(0),  # filled in by the split
    )


def make_stream(num_tasks: int = 2) -> TaskStream:
    """The tasks in the order in which they are learned."""
    tasks = tuple(
        Task(k, f"delay{k + 1}", train=split(k + 1, 0, 500), test=split(k + 1, 1, 200)) for k in range(num_tasks)
    )
    features, classes = NUM_SYMBOLS, NUM_SYMBOLS
    return TaskStream("delays", tasks, features, classes, outputs="softmax", data_source="generated")


def main() -> None:
    """Learn the stream by two methods and print accuracy right after each task and at the end, in percent."""
    stream = make_stream()
    hypernetwork = HypernetworkConfig(chunk_size=200)
    for method in ("fine_tuning", "hnet"):
        experiment = Experiment(method=method, network=NETWORK, hypernetwork=hypernetwork, train=TRAIN)
        matrix = learn(stream, build_trainer(experiment, stream))
        print(f"{method}: during {matrix.during().round(1)}, final {matrix.final().round(1)}")


if __name__ == "__main__":
    main()
