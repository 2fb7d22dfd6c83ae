"""The networks and data whose steps are measured: published settings, real data where there are any."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import fine_tuning, hnet
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, Split, Task, TaskStream
from data_pipelines.storage import find_data_dir
from trainers import copy_task, pos_tagging

_EXAMPLES = 512
_EVALUATED_STEPS = 50_000  # time steps in a test split of random numbers, lest the start of an evaluation outweigh them
_POS_LANGUAGE, _POS_TASKS, _POS_CYCLE, _POS_FEATURES = "en", 20, 16, 64


@dataclass(frozen=True)
class Shape:
    """One network with its data."""

    name: str
    title: str
    experiment: Experiment
    """Trains with HNET."""
    stream: TaskStream
    published_steps: str
    """Steps of the whole published run, for orientation."""
    cycle: int = 1
    """Batches that are repeated in a cycle, where their lengths differ."""

    @property
    def fine_tuning(self) -> Experiment:
        """The same network and batches without hypernetwork, regulariser and orthogonal penalty."""
        train = dataclasses.replace(self.experiment.train, orthogonal_strength=0.0)
        return dataclasses.replace(
            self.experiment, method="fine_tuning", method_options=fine_tuning.Config(), train=train
        )

    def batches(self, task_id: int) -> list[Batch]:
        """The batches of a cycle as NumPy arrays."""
        dataset = self.stream[task_id].train.batches(self.experiment.train.batch_size, 0, task_id)
        return _arrays(dataset.take(self.cycle))

    def test_batches(self, task_id: int) -> list[Batch]:
        """The batches of an evaluation as NumPy arrays."""
        return _arrays(self.stream[task_id].test.in_order(self.experiment.train.eval_batch_size, task_id))


def copy() -> Shape:
    """Permuted Copy Task, 5 tasks, as published but with fewer different sequences."""
    preset = copy_task.PRESETS["hnet_permuted"]
    data = dataclasses.replace(preset.data, num_train=20_000)
    experiment = _with_equal_eval_batches(dataclasses.replace(preset, data=data).experiment("copy_task"))
    stream = copy_task.BENCHMARK.pipeline.make_stream(data)
    return Shape("copy", "Copy, Elman 256, batch 128, T = 11, 5 tasks", experiment, stream, "5 x 20,000")


def copy_with_tasks(num_tasks: int, chunk_size: int = 2500) -> Shape:
    """The Copy network with a single generated head, whose size does not depend on the number of tasks."""
    shape = copy()
    experiment = dataclasses.replace(
        shape.experiment,
        network=dataclasses.replace(shape.experiment.network, heads="single"),
        hypernetwork=dataclasses.replace(shape.experiment.hypernetwork, chunk_size=chunk_size),
    )
    stream = dataclasses.replace(shape.stream, tasks=_repeated(shape.stream[0], num_tasks))
    return dataclasses.replace(shape, name=f"copy_{num_tasks}_{chunk_size}", experiment=experiment, stream=stream)


def pos() -> Shape:
    """Tagging of real sentences, those of one language standing for 20; else the starter treebank's lengths."""
    preset, data_dir = pos_tagging.PRESETS["hnet_published"], find_data_dir(None)
    experiment = _with_equal_eval_batches(preset.experiment("pos_tagging"))
    pipeline = pos_tagging.BENCHMARK.pipeline
    if data_dir is None:
        stream = pipeline.make_stream(pipeline.Config())
        train, test = map(_RandomVectors, (stream[0].train, stream[0].test))
        task = dataclasses.replace(stream[0], train=train, test=test)
        stream = dataclasses.replace(stream, num_features=_POS_FEATURES, ngrams=None)
        words = "lengths of the starter treebank, random vectors"
    else:
        stream = pipeline.make_stream(pipeline.Config(languages=(_POS_LANGUAGE,)), data_dir)
        task, words = stream[0], "English sentences"
    stream = dataclasses.replace(stream, tasks=_repeated(task, _POS_TASKS))
    title = f"PoS, bidirectional LSTM 32, batch 64, {words}, 20 tasks"
    return Shape("pos", title, experiment, stream, "20 x 2,500", _POS_CYCLE)


def smnist1() -> Shape:
    """Sequential Stroke-MNIST with one digit."""
    return _smnist(1, TrainConfig(steps=2_000, batch_size=128, learning_rate=1e-3, eval_batch_size=128), "5 x 2,000")


def smnist2() -> Shape:
    """Sequential Stroke-MNIST with two digits."""
    train = TrainConfig(steps=8_000, batch_size=128, learning_rate=1e-3, clip_norm=100.0, eval_batch_size=128)
    return _smnist(2, train, "5 x 8,000")


def audioset() -> Shape:
    """Split AudioSet."""
    network = NetworkConfig(cell="lstm", hidden_sizes=(32,))
    hypernetwork = HypernetworkConfig(chunk_size=2000, hidden_sizes=(10, 10), chunk_embedding_std=0.1)
    train = TrainConfig(steps=15_000, batch_size=128, learning_rate=1e-4, l2=0.01, eval_batch_size=128)
    experiment = _experiment(network, hypernetwork, train, 1.0)
    title = "AudioSet shapes, LSTM 32, F = 128, batch 128, T = 10, 10 tasks"
    return Shape("audioset", title, experiment, random_stream(10, 10, 128, 10), "10 x 15,000")


def lstm(units: int, time_steps: int) -> Shape:
    """An LSTM of any size on the features of Stroke-MNIST."""
    network = NetworkConfig(cell="lstm", hidden_sizes=(units,))
    train = TrainConfig(batch_size=128, eval_batch_size=128)
    experiment = _experiment(network, HypernetworkConfig(chunk_size=10_000), train, 0.01)
    return Shape(f"lstm_{units}_{time_steps}", "", experiment, random_stream(1, time_steps, 4, 2), "")


SHAPES: dict[str, Callable[[], Shape]] = {
    "copy": copy,
    "pos": pos,
    "smnist1": smnist1,
    "smnist2": smnist2,
    "audioset": audioset,
}


def random_stream(num_tasks: int, time_steps: int, num_features: int, num_outputs: int) -> TaskStream:
    """Normal inputs and uniform labels, of which the last step's counts."""
    last = (np.arange(time_steps) == time_steps - 1).astype(np.float32)[np.newaxis]

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        weights = tf.broadcast_to(last, tf.shape(fields["targets"]))
        return Batch(fields["inputs"], fields["targets"], weights, weights, fields["lengths"], tf.constant(0))

    def split(number: int) -> ArraySplit:
        generator = np.random.default_rng(0)
        labels = generator.integers(0, num_outputs, (number, 1))
        arrays = {
            "inputs": generator.standard_normal((number, time_steps, num_features), np.float32),
            "targets": np.repeat(labels, time_steps, 1).astype(np.int32),
            "lengths": np.full(number, time_steps, np.int32),
        }
        return ArraySplit(arrays, make_batch)

    tested = max(_EXAMPLES, _EVALUATED_STEPS // time_steps)
    tasks = _repeated(Task(0, "random", split(_EXAMPLES), split(tested)), num_tasks)
    return TaskStream("random", tasks, num_features, num_outputs, "softmax", "random numbers")


def _smnist(digits: int, train: TrainConfig, published_steps: str) -> Shape:
    hypernetwork = HypernetworkConfig(
        chunk_size=10_000, hidden_sizes=(25, 25), chunk_embedding_size=16, chunk_embedding_std=0.1
    )
    experiment = _experiment(NetworkConfig(cell="lstm", hidden_sizes=(256,)), hypernetwork, train, 0.01)
    time_steps = 117 * digits
    title = f"Sequential SMNIST shapes, m = {digits}, LSTM 256, F = 4, batch 128, T = {time_steps}, 5 tasks"
    return Shape(f"smnist{digits}", title, experiment, random_stream(5, time_steps, 4, 2), published_steps)


def _experiment(
    network: NetworkConfig, hypernetwork: HypernetworkConfig, train: TrainConfig, strength: float
) -> Experiment:
    return Experiment("random", "hnet", 0, network, hypernetwork, train, hnet.Config(strength=strength), None)


def _with_equal_eval_batches(experiment: Experiment) -> Experiment:
    """Evaluation in batches of the training's size, so that the times of both can be compared."""
    train = dataclasses.replace(experiment.train, eval_batch_size=experiment.train.batch_size)
    return dataclasses.replace(experiment, train=train)


def _arrays(dataset: tf.data.Dataset) -> list[Batch]:
    return [Batch(*(field.numpy() for field in batch)) for batch in dataset]


def _repeated(task: Task, num_tasks: int) -> tuple[Task, ...]:
    """The same data as several tasks: a step's time depends on the task's number alone."""
    return tuple(dataclasses.replace(task, task_id=number, name=f"task{number}") for number in range(num_tasks))


class _RandomVectors:
    """A split whose words come in as random vectors."""

    def __init__(self, split: Split) -> None:
        self.num_examples, self.max_time, self.lengths_vary = split.num_examples, split.max_time, split.lengths_vary
        self._split = split

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        return self._split.batches(batch_size, seed, task_id, start_step).map(self._with_vectors)

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        return self._split.in_order(batch_size, task_id).map(self._with_vectors)

    @staticmethod
    def _with_vectors(batch: Batch) -> Batch:
        shape = tf.concat([tf.shape(batch.targets), [_POS_FEATURES]], axis=0)
        vectors = tf.ensure_shape(tf.random.stateless_normal(shape, [1, 2]), [*batch.targets.shape, _POS_FEATURES])
        return batch._replace(inputs=vectors)
