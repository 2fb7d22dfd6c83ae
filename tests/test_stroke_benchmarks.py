"""Split and Sequential Stroke-MNIST: sizes, partitions and draws as published."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import sequential_stroke_mnist, stroke_mnist
from data_pipelines.sequential_stroke_mnist import draw_splits, draw_tasks, split_pools
from data_pipelines.storage import DataWarning
from data_pipelines.stroke_batches import end_of_last_digit
from data_pipelines.stroke_digits import read_npz
from data_pipelines.stroke_sources import STARTER

REAL = os.environ.get("CLRNN_DATA_DIR")
needs_real_data = pytest.mark.skipif(
    not REAL or not (Path(REAL) / "stroke_mnist" / "stroke_mnist.npz").is_file(),
    reason="CLRNN_DATA_DIR has no stroke_mnist",
)
CLASS_1 = {
    1: [[1]] * 5,
    2: [[2, 3], [2, 3], [0, 3], [1, 2], [0, 3]],
    3: [[3, 4, 5, 7], [0, 2, 4, 7], [0, 1, 4, 6], [1, 2, 5, 7], [1, 2, 3, 4]],
}
"""Published for seed 42: strings of digits in class 1, by m and task."""
SIZES = [(12665, 2115), (12089, 2042), (11263, 1874), (12183, 1986), (11800, 1983)]
"""Published: training (with validation) and test digits of each task."""


@pytest.mark.parametrize("num_digits", CLASS_1)
def test_partitions_are_those_published_for_the_same_seed(num_digits):
    draws = draw_tasks(sequential_stroke_mnist.Config(num_digits=num_digits))
    assert [np.flatnonzero(each.of_string).tolist() for each in draws] == CLASS_1[num_digits]
    assert [each.pair for each in draws] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]


def test_more_than_five_tasks_take_all_pairs_in_an_order_of_their_own():
    pairs = [each.pair for each in draw_tasks(sequential_stroke_mnist.Config(num_tasks=45))]
    assert len(set(pairs)) == 45 and pairs[:5] != [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert pairs[:6] == [each.pair for each in draw_tasks(sequential_stroke_mnist.Config(num_tasks=6))]
    order = np.arange(45)
    np.random.RandomState(42).shuffle(order)
    every = [(a, b) for a in range(10) for b in range(a + 1, 10)]
    assert pairs == [every[number] for number in order]


@pytest.mark.parametrize("two_classes", [True, False])
def test_digits_are_drawn_one_by_one_in_the_published_order(two_classes):
    config = sequential_stroke_mnist.Config(
        num_digits=3, two_classes=two_classes, num_train=19, num_test=9, num_validation=10
    )
    pools = split_pools(*read_npz(STARTER))
    seeds = np.random.RandomState(42)
    for task_id, draws in enumerate(draw_tasks(config)):
        rng = np.random.RandomState(seeds.randint(100_000))
        if two_classes:
            rng.choice(8, 4, replace=False)
        for split, pool, size in zip(draw_splits(config, pools, draws), pools, (19, 9, 10), strict=True):
            row = 0
            for string in range(8):
                for _ in range(size // 8 + (string < size % 8)):
                    for place, bit in enumerate(f"{string:03b}"):
                        found = np.flatnonzero(pool.labels == 2 * task_id + int(bit))
                        assert split.digits[row, place] == found[rng.randint(len(found))]
                    assert split.strings[row] == string
                    row += 1
            assert row == len(split.strings)


def test_a_sequence_holds_its_digits_and_its_class():
    config = sequential_stroke_mnist.Config(num_digits=2, num_tasks=1, num_train=8, num_test=8, num_validation=4)
    stream = sequential_stroke_mnist.make_stream(config)
    train, test = read_npz(STARTER)
    (batch,) = stream[0].test.in_order(8, 0).as_numpy_iterator()
    (draws,) = draw_tasks(config)
    _, sequences, _ = draw_splits(config, split_pools(train, test), draws)
    order = np.argsort(test.lengths[sequences.digits].sum(axis=1), kind="stable")
    starts = np.cumsum(test.lengths) - test.lengths
    for row, number in enumerate(order):
        steps = [test.steps[starts[d] : starts[d] + test.lengths[d]] for d in sequences.digits[number]]
        whole = np.concatenate(steps)
        assert batch.lengths[row] == len(whole)
        np.testing.assert_array_equal(batch.inputs[row, : len(whole)], whole)
        assert batch.inputs[row, :, 3].sum() == 2
        assert batch.eval_weights[row].nonzero()[0].tolist() == [len(whole) - 1]
        assert batch.targets[row, len(whole) - 1] == draws.of_string[sequences.strings[number]]


def test_each_string_is_a_class_on_request():
    config = sequential_stroke_mnist.Config(
        num_digits=3, two_classes=False, num_tasks=1, num_train=16, num_test=16, num_validation=0
    )
    stream = sequential_stroke_mnist.make_stream(config)
    assert stream.num_outputs == 8 and stream[0].validation is None
    (batch,) = stream[0].test.in_order(16, 0).as_numpy_iterator()
    assert sorted(batch.targets[:, 0].tolist()) == [label for label in range(8) for _ in range(2)]


def test_the_fifteen_tasks_are_plain_then_swapped_then_flipped():
    config = stroke_mnist.Config(variants=("plain", "swapped", "flipped"), num_validation=10, num_train=20)
    stream = stroke_mnist.make_stream(config)
    assert len(stream) == 15
    assert [stream[number].name for number in (0, 5, 14)] == ["digits_01", "digits_01_swapped", "digits_89_flipped"]
    plain, swapped, flipped = (
        next(iter(stream[number].test.in_order(71, number).as_numpy_iterator())) for number in (0, 5, 10)
    )
    np.testing.assert_array_equal(swapped.inputs, plain.inputs[:, :, [1, 0, 2, 3]])
    points, mirrored = (batch.inputs[:, :, :2].cumsum(axis=1) for batch in (plain, flipped))
    real = (np.arange(points.shape[1]) < plain.lengths[:, np.newaxis])[..., np.newaxis]
    np.testing.assert_array_equal(mirrored * real, np.stack([29 - points[..., 0], points[..., 1]], -1) * real)
    np.testing.assert_array_equal(flipped.targets, plain.targets)


def test_all_digits_are_one_task_without_a_split():
    stream = stroke_mnist.make_stream(stroke_mnist.Config(classes_per_task=10))
    assert (len(stream), stream.num_outputs, stream[0].train.num_examples) == (1, 10, 1337)
    assert stroke_mnist.quick(stroke_mnist.Config(classes_per_task=10)).num_tasks == 1


def test_validation_digits_are_the_first_and_are_not_trained_on():
    train, _ = read_npz(STARTER)
    stream = stroke_mnist.make_stream(stroke_mnist.Config(num_validation=30))
    of_task = np.flatnonzero(np.isin(train.labels, (2, 3)))
    assert stream[1].train.num_examples == len(of_task) - 30
    (batch,) = stream[1].validation.in_order(30, 1).as_numpy_iterator()
    assert sorted(batch.lengths) == sorted(train.lengths[of_task[:30]])


def test_generated_sequences_are_asked_at_the_end_of_their_last_digit():
    ends = np.array([[0.1, 0.9, 0.2, 0.8, 0.0], [0.0, 0.1, 0.2, 0.3, 0.4]], np.float32)
    inputs = tf.constant(np.stack([np.zeros_like(ends)] * 3 + [ends], axis=-1))
    assert end_of_last_digit(inputs, 1).numpy().argmax(axis=1).tolist() == [1, 4]
    assert end_of_last_digit(inputs, 2).numpy().argmax(axis=1).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"num_tasks": 46}, r"data.num_tasks must be in \[1, 45\]"),
        ({"num_digits": 9}, r"data.num_digits must be in \[1, 8\]"),
        ({"num_digits": 4, "num_test": 15}, "data.num_test must be at least 16"),
        ({"num_validation": -1}, "data.num_validation must not be negative"),
    ],
)
def test_settings_of_sequences_are_checked(settings, wanted):
    with pytest.raises(ConfigurationError, match=wanted):
        sequential_stroke_mnist.Config(**settings)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"num_tasks": 6}, "data.num_tasks must be at most 5"),
        ({"classes_per_task": 1}, r"data.classes_per_task must be in \[2, 10\]"),
        ({"variants": ("plain", "plain")}, "data.variants must be one or more, and differ"),
    ],
)
def test_settings_of_digits_are_checked(settings, wanted):
    with pytest.raises(ConfigurationError, match=wanted):
        stroke_mnist.Config(**settings)


@needs_real_data
@pytest.mark.slow
def test_sizes_on_the_real_strokes_are_those_published():
    stream = stroke_mnist.make_stream(stroke_mnist.Config(), Path(REAL))
    sizes = [(task.train.num_examples + 100, task.test.num_examples) for task in stream]
    assert sizes == SIZES
    assert {task.train.max_time for task in stream} == {117}
    sequences = sequential_stroke_mnist.make_stream(sequential_stroke_mnist.Config(), Path(REAL))
    for task in sequences:
        parts = (task.train, task.validation, task.test)
        assert [part.num_examples for part in parts] == [12_000, 1000, 2000]


def test_digits_that_are_left_out_are_named():
    with pytest.warns(DataWarning, match="data.classes_per_task 3 leaves these digits out: 9."):
        stream = stroke_mnist.make_stream(stroke_mnist.Config(classes_per_task=3, num_train=20, num_test=10))
    assert len(stream) == 3
