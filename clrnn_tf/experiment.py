"""From settings to objects: the one place that knows how the parts are put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from clrnn_tf import methods
from clrnn_tf.config import Experiment
from clrnn_tf.errors import require
from clrnn_tf.execution.batch_blocks import length_buckets_of, num_blocks
from clrnn_tf.execution.compilation import uses_xla
from clrnn_tf.execution.distribution import SingleWorker
from clrnn_tf.execution.memory import memory_bytes, require_batches_fit, require_weights_fit
from clrnn_tf.methods.base import MethodSetup
from clrnn_tf.model import Dropout, TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.ngram_embedding import NgramEmbedding
from clrnn_tf.recording.events import Observer
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.training.trainer import Trainer


def build_trainer(
    experiment: Experiment,
    stream: TaskStream,
    observers: Sequence[Observer] = (),
    workers: SingleWorker | None = None,
) -> Trainer:
    """The network, method, model and trainer of an experiment on a stream, untrained.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> trainer.fit(stream[0])
      2
    """
    workers = workers or SingleWorker()
    jit = uses_xla(experiment.train)
    module = methods.load(experiment.method)
    if experiment.method_options is None:
        experiment = dataclasses.replace(experiment, method_options=module.Config())
    method_type = module.METHOD
    method_type.check(experiment)
    memory = memory_bytes()
    require_batches_fit(experiment.train, stream, memory)
    num_task_ids = len(stream) if experiment.network.task_id_input else 0
    num_inputs = stream.num_features + num_task_ids
    network = RecurrentNetwork(experiment.network, num_inputs, stream.num_outputs, len(stream))
    require_weights_fit(network.weight_specs, memory)
    embedding = None
    if stream.ngrams is not None and stream.ngrams.tables == "shared":
        require(
            method_type.takes_shared_table,
            f"{experiment.method} needs a table of n-grams for each task. Received: one that all tasks share. "
            "Use data.tables per_task.",
        )
        embedding = _embedding(stream, experiment.seed)
    method = method_type(
        MethodSetup(
            network=network,
            hypernetwork=experiment.hypernetwork,
            stream=stream,
            seed=experiment.seed,
            options=experiment.method_options,
            jit=jit,
            shared_table=None if embedding is None else embedding.tables,
            num_blocks=num_blocks(experiment.train, jit, stream, workers.count),
            length_buckets=length_buckets_of(stream),
        )
    )
    if embedding is None:
        embedding = _embedding(stream, experiment.seed, mixed=any(task.parts for task in method.tasks(stream)))
    dropout = Dropout(experiment.train.input_dropout, experiment.train.output_dropout)
    model = TaskModel(network, method.source, stream.outputs, embedding, num_task_ids, dropout)
    return Trainer(model, method, experiment.train, experiment.seed, observers, workers)


def _embedding(stream: TaskStream, seed: int, mixed: bool = False) -> NgramEmbedding | None:
    """Tables of the stream's n-grams; None without any."""
    if stream.ngrams is None:
        return None
    size = stream.num_features - stream.ngrams.num_features
    return NgramEmbedding(stream.ngrams, size, len(stream), seed, mixed)
