"""A small stream whose tasks take seconds: tell which symbol came first, under each task's own names of the symbols."""

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import load
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, NgramInputs, Task, TaskStream


def source(task_id, seed, num_examples, loss, ngrams=False):
    generator = np.random.default_rng([seed, 17])
    symbols = generator.integers(0, 3, (num_examples, 6))
    lengths = generator.integers(2, 7, num_examples).astype(np.int32)
    relabel = np.random.default_rng([task_id, 3]).permutation(3)
    first = relabel[symbols[:, :1]] * np.ones((1, 6), np.int64)

    def make_batch(fields):
        mask = tf.sequence_mask(fields["lengths"], tf.shape(fields["symbols"])[1], tf.float32)
        targets = fields["targets"] if loss == "softmax" else tf.one_hot(fields["targets"], 3)
        inputs = tf.one_hot(fields["symbols"], 3) * mask[..., None]
        if ngrams:
            inputs = tf.stack([fields["symbols"] + 1, fields["symbols"] + 4], -1) * tf.cast(mask, tf.int32)[..., None]
        return Batch(inputs, targets, mask, mask, fields["lengths"], tf.constant(0))

    arrays = {"symbols": symbols.astype(np.int32), "targets": first.astype(np.int32), "lengths": lengths}
    return ArraySplit(arrays, make_batch, length_buckets=(4,))


def stream(num_tasks=2, loss="softmax", ngrams=False, validation=True):
    tasks = tuple(
        Task(
            k,
            f"t{k}",
            source(k, 0, 120, loss, ngrams),
            source(k, 1, 40, loss, ngrams),
            source(k, 2, 30, loss, ngrams) if validation else None,
        )
        for k in range(num_tasks)
    )
    return TaskStream(
        "tiny",
        tasks,
        3,
        3,
        loss,
        "generated for tests",
        class_names=("a", "b", "c") if loss == "softmax" else (),
        ngrams=NgramInputs(8, 2) if ngrams else None,
    )


def experiment(method="hnet", seed=0, network=None, train=None, hypernetwork=None, **options):
    return Experiment(
        benchmark="tiny",
        method=method,
        seed=seed,
        network=NetworkConfig(**{"cell": "elman", "hidden_sizes": (12,), **(network or {})}),
        hypernetwork=HypernetworkConfig(
            **{"chunk_size": 60, "hidden_sizes": (16,), "chunk_embedding_std": 0.3, **(hypernetwork or {})}
        ),
        train=TrainConfig(
            **{
                "steps": 40,
                "batch_size": 16,
                "learning_rate": 1e-2,
                "log_every": 20,
                "validate_every": 20,
                "eval_batch_size": 25,
                "jit": "off",
                **(train or {}),
            }
        ),
        method_options=load(method).Config(**options),
        data=None,
    )
