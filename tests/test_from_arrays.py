"""A user's own arrays and datasets as streams."""

import dataclasses
import warnings

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import ConfigurationError, Experiment, NetworkConfig, Preparation, TaskStream, TrainConfig, build_trainer
from clrnn_tf.streams.coding import SequenceCoder, Statistics
from clrnn_tf.training.learning import learn
from export.saved_model import export_task

RAW = Preparation(standardize="none", test_share=0.25)


def draws(seed=0):
    return np.random.default_rng(seed)


def all_of(split):
    (batch,) = split.in_order(1000, 0).as_numpy_iterator()
    return batch


def train(stream, steps=60):
    experiment = Experiment(
        method="fine_tuning",
        network=NetworkConfig(hidden_sizes=(12,)),
        train=TrainConfig(steps=steps, batch_size=16, learning_rate=2e-2, jit="off"),
    )
    trainer = build_trainer(experiment, stream)
    return trainer, learn(stream, trainer)


def test_a_class_for_each_sequence_counts_at_its_last_step():
    x, y, lengths = draws().normal(size=(8, 5, 2)), np.arange(8) % 3, np.array([1, 2, 3, 4, 5, 5, 4, 3])
    x[np.arange(5) >= lengths[:, None]] = np.nan  # padding may hold anything
    stream = TaskStream.from_arrays([(x, y, lengths)], test=[(x, y, lengths)], preparation=RAW)
    batch = all_of(stream[0].test)
    order = np.argsort(lengths, kind="stable")
    np.testing.assert_array_equal(batch.lengths, lengths[order])
    np.testing.assert_array_equal(batch.loss_weights, np.eye(5)[lengths[order] - 1])
    np.testing.assert_array_equal(batch.targets[np.arange(8), lengths[order] - 1], y[order])
    np.testing.assert_allclose(batch.inputs, np.nan_to_num(x[order]), rtol=1e-6)
    assert (stream.outputs, stream.num_outputs, stream.num_features, stream.input_model) == ("softmax", 3, 2, None)


def test_labels_of_each_step_may_be_missing():
    x, y = draws().normal(size=(4, 3, 2)), np.array([[0, 1, -1], [1, 1, 1], [-1, -1, 0], [0, 0, 0]])
    batch = all_of(TaskStream.from_arrays([(x, y)], test=[(x, y)], preparation=RAW)[0].test)
    np.testing.assert_array_equal(batch.loss_weights, y >= 0)
    numbers = draws().normal(size=(4, 3, 2))
    numbers[1, 2, 0] = np.nan
    stream = TaskStream.from_arrays([(x, numbers)], test=[(x, numbers)], preparation=RAW)
    batch = all_of(stream[0].test)
    assert (stream.outputs, stream.num_outputs) == ("linear", 2)
    assert batch.eval_weights.sum() == 11 and batch.eval_weights[1, 2] == 0
    np.testing.assert_allclose(batch.targets, np.where(np.isnan(numbers).any(-1, keepdims=True), 0, numbers), rtol=1e-6)


def test_several_labels_at_once_and_one_number():
    x, bits = draws().normal(size=(6, 4, 2)), draws().uniform(size=(6, 3)) > 0.5
    stream = TaskStream.from_arrays([(x, bits)], test=[(x, bits)])
    assert (stream.outputs, stream.num_outputs) == ("sigmoid", 3)
    np.testing.assert_array_equal(all_of(stream[0].test).targets[:, -1], bits)
    stream = TaskStream.from_arrays([(x, bits.astype(int))], test=[(x, bits.astype(int))], outputs="sigmoid")
    np.testing.assert_array_equal(all_of(stream[0].test).targets[:, -1], bits)
    stream = TaskStream.from_arrays([(x, bits[:, 0] * 1.5)], preparation=RAW)
    assert (stream.outputs, stream.num_outputs) == ("linear", 1)


def test_a_list_of_sequences_of_any_lengths():
    sequences = [draws(k).normal(size=(length, 2)) for k, length in enumerate((3, 1, 5, 2))]
    labels = [np.arange(len(sequence)) % 2 for sequence in sequences]
    stream = TaskStream.from_arrays([(sequences, labels)], test=[(sequences, labels)], preparation=RAW)
    batch = all_of(stream[0].test)
    assert batch.lengths.tolist() == [1, 2, 3, 5]
    assert batch.loss_weights.sum() == 11
    np.testing.assert_array_equal(batch.targets[3], [0, 1, 0, 1, 0])


def test_standardised_by_the_training_data_alone():
    x, y = draws().normal(5.0, 3.0, size=(50, 4, 2)), draws().integers(0, 2, 50)
    x[:, :, 1] = 7.0  # a constant is only shifted
    far = (x + 100.0, y)
    stream = TaskStream.from_arrays([(x, y), far], test=[far, far])
    inputs = all_of(stream[0].train).inputs
    np.testing.assert_allclose(inputs.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std((0, 1)), [1, 0], atol=1e-5)
    np.testing.assert_allclose(all_of(stream[0].test).inputs[..., 0].mean(), 100 / x[..., 0].std(), rtol=1e-4)
    np.testing.assert_allclose(all_of(stream[1].train).inputs.mean((0, 1)), 0, atol=1e-4)
    first = TaskStream.from_arrays([(x, y), far], preparation=Preparation(standardize="first_task"))
    assert all_of(first[1].train).inputs[..., 0].mean() > 10


def test_missing_values_are_refused_or_filled():
    x, y = draws().normal(size=(4, 6, 2)), np.arange(4) % 2
    x[2, [0, 3, 4], 1] = np.nan
    with pytest.raises(
        ConfigurationError, match="task 'task0', train, sequence 2: inputs must be finite. Received: nan"
    ):
        TaskStream.from_arrays([(x, y)], test=[(x, y)])
    for missing, flags in (("mean", False), ("previous", True)):
        preparation = Preparation(missing=missing, missing_flags=flags)
        stream = TaskStream.from_arrays([(x, y)], test=[(x, y)], preparation=preparation)
        inputs = all_of(stream[0].test).inputs[2]
        expected = (x[2, :, 1] - np.nanmean(x[..., 1])) / np.nanstd(x[..., 1])
        expected = np.where(
            np.isnan(expected), 0 if missing == "mean" else [0, 0, 0, expected[2], expected[2], 0], expected
        )
        np.testing.assert_allclose(inputs[:, 1], expected, rtol=1e-4, atol=1e-6)
        assert stream.num_features == (4 if flags else 2)
        if flags:
            np.testing.assert_array_equal(inputs[:, 2:], np.isnan(x[2]))


def test_a_class_that_no_test_sequence_is_of_is_named():
    x, y = draws().normal(size=(12, 6, 3)), [2] + [0, 1] * 5 + [1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(12):
            TaskStream.from_arrays([(x, y)], class_names=["a", "b", "c"], preparation=Preparation(data_seed=seed))
    lines = [str(warning.message) for warning in caught if "test sequences" in str(warning.message)]
    assert any(
        line.startswith("task 'task0': none of the 2 test sequences that were drawn is of class c.") for line in lines
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TaskStream.from_arrays([(x, y)], test=[(x[1:], y[1:])], class_names=["a", "b", "c"])


def test_a_feature_without_any_value_in_the_training_data_is_refused():
    """There would be nothing to scale later values by."""
    x, y = draws().normal(size=(4, 6, 3)), np.arange(4) % 2
    empty = x.copy()
    empty[..., 1:] = np.nan
    preparation = Preparation(missing="mean")
    message = r"task 'task0', train: .*at least one value.* Received: none of feature 1, 2 .* in 4 sequences"
    with pytest.raises(ConfigurationError, match=message):
        TaskStream.from_arrays([(empty, y)], test=[(x, y)], preparation=preparation)
    tasks, tests = [(x, y), (empty, y)], [(x, y), (x, y)]
    with pytest.raises(ConfigurationError, match="task 'task1', train"):
        TaskStream.from_arrays(tasks, test=tests, preparation=preparation)
    scaled_by_first = dataclasses.replace(preparation, standardize="first_task")
    stream = TaskStream.from_arrays(tasks, test=tests, preparation=scaled_by_first)
    np.testing.assert_array_equal(all_of(stream[1].train).inputs[..., 1:], 0)


def test_without_standardisation_missing_values_become_the_mean_of_the_training_data():
    x = np.array([[[1.0], [2.0], [6.0]], [[np.nan], [3.0], [3.0]]])
    stream = TaskStream.from_arrays(
        [(x, [0, 1])], test=[(x, [0, 1])], preparation=Preparation(standardize="none", missing="mean")
    )
    np.testing.assert_allclose(all_of(stream[0].test).inputs[1, :, 0], [3, 3, 3])
    numbers = TaskStream.from_arrays(
        [(np.nan_to_num(x), [0.5, 9.0])], test=[(np.ones((1, 3, 1)), [4.0])], preparation=RAW
    )
    assert all_of(numbers[0].test).targets[0, -1] == 4.0


def test_values_are_carried_over_any_number_of_missing_steps():
    coder = SequenceCoder(Statistics(np.zeros(1), np.ones(1)), "previous")
    generator = draws(3)
    for time in (1, 2, 7, 40):
        x = np.where(generator.uniform(size=(5, time, 1)) < 0.7, np.nan, generator.normal(size=(5, time, 1)))
        expected = np.zeros_like(x)
        for row in range(5):
            last = 0.0
            for step in range(time):
                last = last if np.isnan(x[row, step, 0]) else x[row, step, 0]
                expected[row, step] = last
        np.testing.assert_allclose(coder.encode(x, np.full(5, time)), expected, rtol=1e-6)


def test_test_data_are_taken_from_the_training_data_and_no_sequence_is_in_two_splits():
    x = np.arange(20.0)[:, None, None] * np.ones((20, 3, 1))
    preparation = Preparation(standardize="none", test_share=0.3, validation_share=0.2)
    for _ in range(2):
        task = TaskStream.from_arrays([(x, np.arange(20) % 2)], preparation=preparation)[0]
        parts = [set(all_of(split).inputs[:, 0, 0]) for split in (task.train, task.test, task.validation)]
        assert [len(part) for part in parts] == [10, 6, 4]
        assert set.union(*parts) == set(range(20))


def test_datasets_of_sequences_and_labels():
    sequences = [np.full((k % 3 + 1, 2), k, np.float32) for k in range(9)]
    signature = (tf.TensorSpec([None, 2], tf.float32), tf.TensorSpec([], tf.int64))

    def dataset():
        pairs = zip(sequences, np.arange(9) % 2, strict=True)
        return tf.data.Dataset.from_generator(lambda: iter(list(pairs)), output_signature=signature)

    stream = TaskStream.from_datasets([dataset()], test=[dataset()], preparation=RAW, task_names=["only"])
    batch = all_of(stream[0].test)
    assert stream[0].name == "only"
    assert batch.lengths.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert batch.inputs[:, 0, 0].tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 8]


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([], {}, "a task stream needs at least one task. Received: 0."),
        ([3], {}, r"task 'task0', train must be \(sequences, labels\) or .* Received: int."),
        ([(np.ones((4, 3)), np.arange(3))], {}, "must have one label .* for each of the 4 sequences. Received: 3."),
        ([(np.ones((4, 3, 2, 2)), np.arange(4))], {}, r"sequences must be \[N, T, F\] .* Received: \(4, 3, 2, 2\)."),
        (
            [([np.ones((3, 2)), np.ones((3, 1))], [0, 1])],
            {},
            "sequence 1: steps must have 2 values, as in sequence 0. Rec.* 1",
        ),
        ([(np.array([["a", "b"]]), [0])], {}, "task 'task0', train: sequences must hold numbers. Received: <U1."),
        ([(np.ones((4, 3)) * 1j, np.arange(4))], {}, "sequences must hold numbers. Received: complex128."),
        ([(np.zeros((4, 3), "datetime64[s]"), np.arange(4))], {}, "sequences must hold numbers. Received: datetime64"),
        (
            [(np.ones((4, 3)), list("abab")), (np.ones((2, 3)), [0, 1])],
            {},
            "task 'task1', train: labels must be text, as in task 'task0'. Received: int64.",
        ),
        (
            [(np.ones((4, 3)), list("abab"))],
            {"test": [(np.ones((1, 3)), ["c"])]},
            "task 'task0', test, sequence 0: label 'c' is none of the classes a, b.",
        ),
        (
            [(np.ones((4, 3)), np.arange(4), [1, 2, 3, 4])],
            {},
            r"train, sequence 3: its length must be in \[1, 3\]. Received: 4.",
        ),
        ([(np.ones((4, 3)), np.arange(4), [1, 2, 3])], {}, "lengths must be 4 whole numbers."),
        ([(np.ones((4, 3)), np.zeros((4, 5), int))], {}, r"labels must be \[N, T\], with T = 3. Received: \(4, 5\)."),
        (
            [(np.ones((4, 3)), np.array([0, 1, -1, 0]))],
            {},
            r"sequence \d: labels must be in \[0, 2\), the classes. Received: -1.",
        ),
        ([(np.ones((4, 3)), np.arange(4))], {"class_names": ["a", "b"]}, r"labels must be in \[0, 2\)"),
        (
            [(np.ones((4, 3)), np.ones((4, 2)) * 2)],
            {"outputs": "sigmoid"},
            "sequence 0: labels must be 0 or 1. Received: 2.0",
        ),
        ([(np.ones((4, 3)), np.full(4, np.inf))], {}, "labels must be finite. Received: inf."),
        ([(np.ones((4, 3)), np.zeros(4, int))], {}, "labels must be of at least two classes. Received: 1."),
        ([(np.ones((1, 3)), np.arange(1))], {}, "must hold more than 1 sequences, since test .* Received: 1."),
        (
            [(np.ones((4, 3)), np.arange(4))],
            {"task_names": ["a-b"]},
            "must consist of letters, digits and _. Received: 'a-b'.",
        ),
        (
            [(np.ones((4, 3)), np.arange(4))],
            {"task_names": ["a", "b"]},
            "task_names must be 1, one for each task. Received: 2.",
        ),
        ([(np.ones((4, 3)), np.arange(4))], {"test": []}, "test must hold 1 tasks. Received: 0."),
        ([(np.ones((4, 3)), np.arange(4))], {"outputs": "ring"}, "outputs must be one of softmax, sigmoid, linear"),
        (
            [(np.ones((4, 3)), np.arange(4)), (np.ones((4, 3, 2)), np.arange(4))],
            {},
            "steps must have 1 values, as in task 'task0'",
        ),
    ],
)
def test_what_does_not_fit_is_named(arrays, options, message):
    with pytest.raises(ConfigurationError, match=message):
        TaskStream.from_arrays(arrays, **options)


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        (["on", "off", "on", "on"], [1, 0, 1, 1]),
        (np.array([b"on", b"off", b"on", b"on"]), [1, 0, 1, 1]),
        (np.array(["on", "off", "on", "on"], dtype=object), [1, 0, 1, 1]),
        ([["on", ""], ["off", "on"], ["", "on"], ["on", "on"]], [[1, -1], [0, 1], [-1, 1], [1, 1]]),
    ],
)
def test_classes_may_be_names(labels, ids):
    tasks = ((np.ones((4, 2)), labels) for _ in range(2))  # an iterator will do
    numbers = TaskStream.from_arrays([(np.ones((4, 2)), np.array(ids))], preparation=RAW)
    stream = TaskStream.from_arrays(tasks, preparation=RAW)
    assert (len(stream), stream.class_names) == (2, ("off", "on"))
    tf.debugging.assert_equal(all_of(stream[0].train).targets, all_of(numbers[0].train).targets)


def test_classes_of_a_dataset_may_be_names():
    dataset = tf.data.Dataset.from_tensor_slices((np.ones((6, 2)), ["b", "a", "c"] * 2))
    stream = TaskStream.from_datasets([dataset], class_names=["c", "b", "a"])
    assert (stream.class_names, stream.num_outputs) == (("c", "b", "a"), 3)


def test_datasets_that_do_not_fit_are_named():
    numbers = tf.data.Dataset.range(4)
    for dataset, message in (
        (numbers, r"task 'task0', train: examples must be \(sequence, label\), two tensors"),
        ((1, 2), r"task 'task0', train must be a tf.data.Dataset of \(sequence, label\). Received: tuple"),
        (tf.data.Dataset.zip((numbers, numbers)).repeat(), "the dataset must end"),
        (tf.data.Dataset.zip((numbers, numbers)).take(0), "must hold at least one sequence. Received: 0."),
    ):
        with pytest.raises(ConfigurationError, match=message):
            TaskStream.from_datasets([dataset])


def test_numbers_are_learned_and_served_in_their_units(tmp_path):
    x = draws().normal(50.0, 10.0, size=(300, 4, 1))
    y = 1000.0 + 30.0 * (x[:, -1] - 50.0)
    stream = TaskStream.from_arrays([(x, y)])
    trainer, matrix = train(stream, 250)
    explained = matrix.rows[0][0].metrics["explained_variance"]
    assert 90 < explained <= 100
    path = export_task(trainer.model, stream, 0, tmp_path)
    served = tf.saved_model.load(str(path)).signatures["raw"]
    values = served(inputs=tf.constant(x, tf.float32), lengths=tf.fill([300], 4))["values"].numpy()
    assert values.shape == (300, 1)
    of_rest = 1 - np.square(values - y).mean() / y.var()
    assert of_rest == pytest.approx(explained / 100, abs=0.05)


def test_classes_are_served_by_name_from_raw_sequences(tmp_path):
    x, y = draws().normal(20.0, 5.0, size=(200, 3, 1)), np.zeros(200, int)
    y[x[:, 0, 0] > 20] = 1
    x[::7, 1] = np.nan
    stream = TaskStream.from_arrays(
        [(x, y)], class_names=["low", "high"], preparation=Preparation(missing="previous", missing_flags=True)
    )
    trainer, matrix = train(stream, 120)
    assert matrix.final()[0] > 85
    served = tf.saved_model.load(str(export_task(trainer.model, stream, 0, tmp_path))).signatures["raw"]
    answers = served(inputs=tf.constant(x, tf.float32), lengths=tf.fill([200], 3))
    assert answers["labels"].shape == (200,) and answers["probabilities"].shape == (200, 2)
    assert np.mean(answers["labels"].numpy() == np.where(y, b"high", b"low")) > 0.85
