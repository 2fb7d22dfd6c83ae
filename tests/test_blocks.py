import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.execution.batch_blocks import halves, length_buckets_of, num_blocks, scored_end, split_by_length
from clrnn_tf.experiment import build_trainer
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch
from tests import golden, tiny


def batch_of(lengths, time):
    lengths = np.array(lengths, np.int32)
    rows = np.arange(len(lengths))
    mask = (np.arange(time) < lengths[:, None]).astype(np.float32)
    inputs = (rows[:, None] + np.zeros((1, time)))[..., None].astype(np.float32)
    return Batch(*map(tf.constant, (inputs, rows[:, None] * np.ones((1, time), np.int32), mask, mask, lengths, rows)))


def test_blocks_hold_every_sequence_once_and_are_as_long_as_their_longest():
    batch = batch_of([3, 30, 9, 1, 8, 17], 30)
    blocks = split_by_length(batch, 3)
    assert [list(block.lengths.numpy()) for block in blocks] == [[1, 3], [8, 9], [17, 30]]
    assert [block.inputs.shape[1] for block in blocks] == [8, 16, 30]  # multiples of 8, and never beyond the batch
    for block in blocks:
        assert block.targets.shape[1] == block.loss_weights.shape[1] == block.inputs.shape[1]
        np.testing.assert_array_equal(block.inputs[:, 0, 0], block.task_id)
        np.testing.assert_array_equal(tf.reduce_sum(block.loss_weights, axis=1), block.lengths)
    assert sorted(np.concatenate([block.task_id for block in blocks])) == [0, 1, 2, 3, 4, 5]


def test_blocks_are_padded_to_the_length_buckets_of_the_data():
    batch = batch_of([3, 27, 9, 1, 8, 17, 40, 33], 42)
    assert [block.inputs.shape[1] for block in split_by_length(batch, 4, (10, 20, 30))] == [10, 10, 30, 42]
    assert [block.inputs.shape[1] for block in split_by_length(batch, 4)] == [8, 16, 32, 40]


def test_the_buckets_of_a_stream_are_those_of_its_training_splits():
    assert length_buckets_of(tiny.stream(2)) == (4,)
    arrays = {"x": np.ones([4, 40, 1], np.float32), "lengths": np.array([1, 2, 3, 40])}

    def buckets_of(*buckets):
        tasks = [
            dataclasses.replace(task, train=ArraySplit(arrays, None, of_task))
            for task, of_task in zip(tiny.stream(2), buckets, strict=True)
        ]
        return length_buckets_of(dataclasses.replace(tiny.stream(2), tasks=tuple(tasks)))

    assert buckets_of((8, 12), (12, 18, 50)) == (8, 12, 18)  # 50 is beyond the longest sequence
    assert buckets_of((8, 12), (12, 21)) == ()  # too far apart
    assert buckets_of((9, 12), ()) == ()


def test_one_block_is_the_batch():
    batch = batch_of([3, 2], 5)
    assert split_by_length(batch, 1)[0] is batch


def test_empty_sequences_have_a_block():
    assert split_by_length(batch_of([0, 0, 9, 2], 12), 2)[0].inputs.shape[1] == 8


@pytest.mark.parametrize("method", ["fine_tuning", "multitask"])
def test_blocks_change_neither_loss_nor_gradients(method):
    stream, results = tiny.stream(3), []
    for count in (1, 4):
        trainer = build_trainer(tiny.experiment(method, train={"length_blocks": count}), stream)
        source = trainer.method.source
        batch = next(iter(stream[1].train.batches(16, 0, 1)))
        with tf.GradientTape() as tape:
            loss, accuracy = trainer.step.task_scores(source(tf.constant(1)), batch, tf.constant(1), tf.constant(0))
        gradients = tape.gradient(loss, trainer.variables, unconnected_gradients="zero")
        results.append([loss, accuracy, *map(tf.convert_to_tensor, gradients)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "jit", "workers", "expected"),
    [
        ({}, True, 1, 4),
        ({}, False, 1, 1),
        ({}, True, 8, 2),
        ({"batch_size": 7}, True, 1, 1),
        ({"length_blocks": 1}, True, 1, 1),
        ({"length_blocks": 2}, False, 1, 2),
    ],
)
def test_the_number_of_blocks(config, jit, workers, expected):
    assert num_blocks(TrainConfig(**{"batch_size": 16, **config}), jit, tiny.stream(2), workers) == expected


def test_sequences_of_one_length_are_cut_in_two_to_run_side_by_side():
    assert num_blocks(TrainConfig(), True, golden.stream(2), 1) == 2
    assert num_blocks(TrainConfig(), False, golden.stream(2), 1) == 1


def test_halves():
    first, second = halves(batch_of([3, 1, 2, 2], 3))
    assert (list(first.lengths.numpy()), list(second.lengths.numpy())) == ([3, 1], [2, 2])
    assert first.inputs.shape == second.inputs.shape == (2, 3, 1)
    odd = batch_of([3, 1, 2], 3)
    np.testing.assert_array_equal(halves(odd)[0].lengths, odd.lengths)


@pytest.mark.parametrize(("time", "first", "kept"), [(11, 6, 5), (11, 0, 11), (40, 17, 25), (40, 39, 5), (117, 116, 5)])
def test_only_the_end_that_counts_is_kept(time, first, kept):
    batch = batch_of([time] * 3, time)
    counts = np.zeros((3, time), np.float32)
    counts[1, first] = 1.0
    for field in ("loss_weights", "eval_weights"):  # either is enough
        weights = {"loss_weights": tf.zeros_like(counts), "eval_weights": tf.zeros_like(counts), field: counts}
        end = scored_end(batch._replace(**{name: tf.constant(value) for name, value in weights.items()}))
        assert end.targets.shape[1] == end.loss_weights.shape[1] == end.eval_weights.shape[1] == kept
        assert end.inputs.shape[1] == time
        assert getattr(end, field)[1, first - time + kept] == 1.0


def test_a_batch_in_which_nothing_counts_keeps_its_last_steps():
    batch = batch_of([12, 3], 12)
    nothing = tf.zeros_like(batch.loss_weights)
    assert scored_end(batch._replace(loss_weights=nothing, eval_weights=nothing)).targets.shape[1] == 1


def test_blocks_must_divide_the_batch():
    with pytest.raises(ConfigurationError, match="must divide train.batch_size"):
        TrainConfig(batch_size=16, length_blocks=3)
    with pytest.raises(ConfigurationError, match="each worker's share of a batch"):
        num_blocks(TrainConfig(batch_size=16, length_blocks=4), True, tiny.stream(2), 8)
