"""What every benchmark's stream promises. A new benchmark adds a small stream to STREAMS."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import Preparation, TaskStream
from clrnn_tf.streams.checks import check_stream
from data_pipelines import (
    cognitive_tasks,
    copy_task,
    pos_tagging,
    sequential_stroke_mnist,
    speech_commands,
    split_audioset,
    stroke_mnist,
    student_teacher,
)

COPY = {"num_tasks": 2, "num_train": 40, "num_test": 11, "num_validation": 7}
STREAMS = {
    "copy, permuted": lambda: copy_task.make_stream(copy_task.Config(**COPY)),
    "copy, growing": lambda: copy_task.make_stream(
        copy_task.Config(**COPY, permute_time=False, length_step=7, length_variability=2)
    ),
    "copy, padded xor": lambda: copy_task.make_stream(
        copy_task.Config(**COPY, input_length=9, pattern_length=4, permute_xor=True, output_width=3)
    ),
    "tagging, starter treebank": lambda: pos_tagging.make_stream(
        pos_tagging.Config(languages=("fi", "hi"), num_buckets=500, ngram_dim=8, max_sentences=20), None
    ),
    "tagging, fixed vectors": lambda: pos_tagging.make_stream(
        pos_tagging.Config(languages=("fi", "hi"), ngrams="frozen", num_buckets=500, ngram_dim=8, max_sentences=20)
    ),
    "strokes, pairs of digits": lambda: stroke_mnist.make_stream(stroke_mnist.Config(num_tasks=2, num_validation=9)),
    "strokes, sequences": lambda: sequential_stroke_mnist.make_stream(
        sequential_stroke_mnist.Config(num_digits=3, num_tasks=2, num_train=40, num_test=11, num_validation=8)
    ),
    "sounds": lambda: split_audioset.make_stream(
        split_audioset.Config(num_tasks=2, classes_per_task=3, clips_per_class=10, scaled=True)
    ),
    "tagging, letters": lambda: pos_tagging.make_stream(
        pos_tagging.Config(languages=("fi", "hi"), letters=True, num_buckets=500, ngram_dim=8, max_sentences=20)
    ),
    "student and teacher": lambda: student_teacher.make_stream(
        student_teacher.Config(num_tasks=2, num_train=40, num_test=11, num_validation=7, output_steps=12)
    ),
    "cognitive": lambda: cognitive_tasks.make_stream(
        cognitive_tasks.Config(tasks=("delayanti", "multidm"), ring_size=8, num_train=40, num_test=11, num_validation=7)
    ),
    "own, a label for each sequence": lambda: own_stream(one_label=True),
    "own, numbers for each step": lambda: own_stream(one_label=False),
    "spoken words": lambda: speech_commands.make_stream(
        speech_commands.Config(num_tasks=2, words_per_task=3, clips_per_word=7)
    ),
}
BATCH_SIZE = 6


def own_stream(one_label):
    """Two tasks of 40 sequences of 3 to 9 steps, with missing values and missing labels."""
    tasks = []
    for task in range(2):
        draws = np.random.default_rng(task)
        x, lengths = draws.normal(size=(40, 9, 3)), draws.integers(3, 10, 40)
        x[draws.uniform(size=x.shape) < 0.1] = np.nan
        y = draws.integers(0, 4, 40) if one_label else draws.normal(size=(40, 9, 2))
        if not one_label:
            y[::3, 1] = np.nan
        tasks.append((x, y, lengths))
    preparation = Preparation(missing="previous", missing_flags=True, validation_share=0.2)
    return TaskStream.from_arrays(tasks, preparation=preparation)


@functools.cache
def made(name):
    return STREAMS[name]()


def splits(task):
    return [split for split in (task.train, task.test, task.validation) if split is not None]


def first(dataset, number=2):
    return list(dataset.take(number).as_numpy_iterator())


def assert_equal_batches(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        for field in one._fields:
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)


def check_batch(stream, task, batch, batch_size):
    time = batch.inputs.shape[1]
    assert batch.inputs.shape == (batch_size, time, stream.input_width)
    assert batch.inputs.dtype == stream.input_dtype.as_numpy_dtype
    classes = stream.outputs == "softmax"
    assert batch.targets.shape == ((batch_size, time) if classes else (batch_size, time, stream.num_outputs))
    assert batch.targets.dtype == (np.int32 if classes else np.float32)
    assert batch.loss_weights.shape == batch.eval_weights.shape == (batch_size, time)
    assert batch.loss_weights.dtype == batch.eval_weights.dtype == np.float32
    assert batch.lengths.shape == batch.task_id.shape == (batch_size,)
    assert batch.lengths.dtype == batch.task_id.dtype == np.int32
    assert (batch.task_id == task.task_id).all()
    check_values(stream, batch)


def check_values(stream, batch):
    assert ((batch.lengths >= 1) & (batch.lengths <= batch.inputs.shape[1])).all()
    beyond = np.arange(batch.inputs.shape[1]) >= batch.lengths[:, np.newaxis]
    for weights in (batch.loss_weights, batch.eval_weights):
        assert (weights >= 0).all()
        assert not weights[beyond].any()
    assert not batch.inputs[beyond].any()
    assert np.isfinite(batch.inputs).all()
    if stream.ngrams:
        assert ((batch.inputs >= 0) & (batch.inputs < stream.ngrams.num_buckets)).all()
    if stream.outputs == "softmax":
        assert ((batch.targets >= 0) & (batch.targets < stream.num_outputs)).all()
    elif stream.outputs == "sigmoid":
        assert ((batch.targets >= 0) & (batch.targets <= 1)).all()
    else:
        assert np.isfinite(batch.targets).all()


@pytest.mark.parametrize("name", STREAMS)
def test_training_batches(name):
    for task in made(name):
        for batch in first(task.train.batches(BATCH_SIZE, 0, task.task_id)):
            check_batch(made(name), task, batch, BATCH_SIZE)
            assert batch.loss_weights.any()
            assert batch.eval_weights.any()


@pytest.mark.parametrize("name", STREAMS)
def test_every_split_in_order(name):
    task = made(name)[-1]
    for split in splits(task):
        size = min(BATCH_SIZE, split.num_examples)
        batches = list(split.in_order(BATCH_SIZE, task.task_id).as_numpy_iterator())
        assert len(batches) == -(-split.num_examples // size)
        for batch in batches:
            check_batch(made(name), task, batch, size)
        scored = sum(int(batch.eval_weights.any(axis=1).sum()) for batch in batches)
        assert 0 < scored <= split.num_examples


@pytest.mark.parametrize("name", STREAMS)
def test_splits_are_objects_of_their_own(name):
    sources = [split for task in made(name) for split in splits(task)]
    assert len({id(source) for source in sources}) == len(sources)


@pytest.mark.parametrize("name", STREAMS)
def test_datasets_can_be_read_twice(name):
    task = made(name)[0]
    for dataset in (task.train.batches(BATCH_SIZE, 0, 0), task.test.in_order(BATCH_SIZE, 0)):
        assert_equal_batches(first(dataset), first(dataset))


@pytest.mark.parametrize("name", STREAMS)
def test_the_same_settings_give_the_same_data(name):
    other = STREAMS[name]()
    tf.random.set_seed(7)  # nothing may depend on it
    for mine, theirs in zip(made(name), other, strict=True):
        dataset, again = (task.train.batches(BATCH_SIZE, 3, task.task_id, 2) for task in (mine, theirs))
        assert_equal_batches(first(dataset), first(again))
    mine, theirs = (stream[0].test.in_order(BATCH_SIZE, 0) for stream in (made(name), other))
    assert_equal_batches(first(mine), first(theirs))


@pytest.mark.parametrize("name", STREAMS)
def test_a_run_can_be_continued_at_every_step(name):
    check_stream(made(name), batch_size=15, num_steps=3, seed=5)  # more than an epoch


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_says_what_it_is(name):
    stream = made(name)
    assert stream.data_source
    assert all(task.name.replace("_", "").isalnum() for task in stream)
    if stream.class_names:
        assert len(stream.class_names) == stream.num_outputs
