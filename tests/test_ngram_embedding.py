import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.model import drop_steps
from clrnn_tf.ngram_embedding import NgramEmbedding, look_up
from clrnn_tf.streams.inputs import NgramInputs

BUCKETS, FEATURES, SIZE = 11, 2, 3


def embedding(num_features=FEATURES, mixed=False, **kept):
    ngrams = NgramInputs(BUCKETS, 2, num_features, initial_std=0.1, **kept)
    return NgramEmbedding(ngrams, SIZE, num_tasks=3, seed=5, mixed=mixed)


def inputs():
    """Two sequences of two steps: features, then buckets; bucket 0 is none."""
    return tf.constant([[[0.5, -1.0, 4, 7], [1.5, 2.0, 4, 0]], [[0.0, 0.0, 1, 2], [3.0, 1.0, 0, 0]]])


def expected(table, task_rows):
    values = inputs().numpy()
    embedded = np.zeros([2, 2, SIZE], np.float32)
    for b, t in np.ndindex(2, 2):
        buckets = [int(bucket) for bucket in values[b, t, FEATURES:] if bucket]
        if buckets:
            embedded[b, t] = sum(table[task_rows[b] * BUCKETS + bucket] for bucket in buckets) / np.sqrt(len(buckets))
    return np.concatenate([values[..., :FEATURES], embedded], axis=-1)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("task_id", [0, 2])
def test_a_step_is_its_features_and_the_scaled_sum_of_its_rows(mixed, task_id):
    made = embedding(mixed=mixed)
    wanted = expected(made.tables.numpy(), [task_id, task_id])
    np.testing.assert_allclose(made(inputs(), tf.constant(task_id)), wanted, rtol=1e-6)
    alone = look_up(NgramInputs(BUCKETS, 2, FEATURES), made.table(task_id), inputs())
    np.testing.assert_allclose(alone, wanted, rtol=1e-6)


def test_examples_of_several_tasks_have_the_rows_of_their_task():
    made = embedding()
    np.testing.assert_allclose(made(inputs(), tf.constant([2, 1])), expected(made.tables.numpy(), [2, 1]), rtol=1e-6)


def test_buckets_alone_are_integers():
    made = embedding(num_features=0)
    buckets = tf.cast(inputs()[..., FEATURES:], tf.int32)
    embedded = made(buckets, tf.constant(1))
    assert embedded.shape == (2, 2, SIZE) and np.all(embedded[1, 1] == 0)


def test_only_the_task_in_training_changes_and_is_kept():
    made = embedding()
    before = made.tables.numpy()
    made.begin(1)
    (table,) = made.trainable_variables
    assert table.shape == (BUCKETS, SIZE)  # a step costs the same for any number of tasks
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made(inputs(), tf.constant(1)))
    gradient = tf.convert_to_tensor(tape.gradient(loss, table)).numpy()
    assert set(np.flatnonzero(gradient.any(axis=1))) == {1, 2, 4, 7}
    table.assign_add(tf.ones_like(table))
    np.testing.assert_array_equal(made.table(1).numbers, before[BUCKETS : 2 * BUCKETS] + 1)
    np.testing.assert_array_equal(made.table(2).numbers, before[2 * BUCKETS :])
    with tf.GradientTape() as tape:
        other = tf.reduce_sum(made(inputs(), tf.constant(0)))
    gradient = tape.gradient(other, table)
    assert gradient is None or not np.any(tf.convert_to_tensor(gradient).numpy())
    made.end()
    after = made.tables.numpy()
    np.testing.assert_array_equal(after[BUCKETS : 2 * BUCKETS], before[BUCKETS : 2 * BUCKETS] + 1)
    np.testing.assert_array_equal(after[:BUCKETS], before[:BUCKETS])
    np.testing.assert_array_equal(made.table(1).numbers, after[BUCKETS : 2 * BUCKETS])


def test_tables_of_learned_tasks_are_bytes_that_differ_by_at_most_half_a_step():
    made, floats = embedding(table_bytes=1), embedding()
    assert made.tables.dtype == tf.int8 and made.num_bytes == 3 * BUCKETS * SIZE + 3 * SIZE * 4
    assert floats.num_bytes == 4 * 3 * BUCKETS * SIZE
    made.begin(1)
    (table,) = made.trainable_variables
    trained = np.random.default_rng(0).normal(size=(BUCKETS, SIZE)).astype(np.float32)
    trained[:, 1] = 0.0
    table.assign(trained)
    in_training = made(inputs(), tf.constant(1)).numpy()
    made.end()
    kept = made.table(1)
    values = kept.rows(tf.range(BUCKETS)).numpy()
    assert np.all(np.abs(values - trained) <= np.abs(trained).max(axis=0) / 127 / 2 + 1e-7)
    assert np.any(values != trained) and not np.any(values[:, 1])
    after = made(inputs(), tf.constant(1)).numpy()
    np.testing.assert_allclose(after, in_training, atol=0.05)
    np.testing.assert_allclose(after, look_up(NgramInputs(BUCKETS, 2, FEATURES), kept, inputs()), rtol=1e-6)
    mixed_ids = made(inputs(), tf.constant([1, 2])).numpy()
    np.testing.assert_allclose(mixed_ids[0], after[0], rtol=1e-6)
    np.testing.assert_allclose(mixed_ids[1], made(inputs(), tf.constant(2)).numpy()[1], rtol=1e-6)
    assert [variable.dtype for variable in made.state_variables()] == [tf.int8, tf.float32]


def test_a_shared_table_is_one_for_all_tasks_and_is_trained_with_each():
    made = embedding(tables="shared")
    assert made.is_shared and made.tables.shape == (BUCKETS, SIZE)
    one, other = made(inputs(), tf.constant(0)), made(inputs(), tf.constant([1, 2]))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, expected(made.tables.numpy(), [0, 0]), rtol=1e-6)
    made.begin(1)
    (table,) = made.trainable_variables
    assert table is made.tables
    made.end()
    np.testing.assert_array_equal(made.table(0).numbers, made.table(2).numbers)


def test_squares_of_single_sequences_are_those_of_automatic_differentiation():
    made = embedding(tables="shared")
    factors = tf.constant(np.random.default_rng(1).normal(size=(2, 2, FEATURES + SIZE)), tf.float32)
    expected_squares = np.zeros((BUCKETS, SIZE), np.float32)
    for sequence in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((made(inputs(), tf.constant(0)) * factors)[sequence])
        expected_squares += np.square(tf.convert_to_tensor(tape.gradient(loss, made.tables)).numpy())
    np.testing.assert_allclose(made.squared_gradients(inputs(), factors), expected_squares, rtol=1e-5)
    assert set(np.flatnonzero(expected_squares.any(axis=1))) == {1, 2, 4, 7}


def test_features_and_letters_are_dropped_apart_and_by_key():
    embedded = tf.ones([50, 40, 5])
    dropped = drop_steps(embedded, 0.3, tf.constant([1, 2]), num_features=2).numpy()
    features, letters = dropped[..., :2], dropped[..., 2:]
    for part in (features, letters):
        assert set(np.unique(part)) == {0.0, 1.0}
        assert np.all(part.min(axis=-1) == part.max(axis=-1))  # a step as a whole
        assert abs(np.mean(part == 0) - 0.3) < 0.03
    assert np.mean((features[..., 0] == 0) == (letters[..., 0] == 0)) < 0.7  # not the same steps
    again = drop_steps(embedded, 0.3, tf.constant([1, 2]), num_features=2).numpy()
    other = drop_steps(embedded, 0.3, tf.constant([1, 3]), num_features=2).numpy()
    np.testing.assert_array_equal(dropped, again)
    assert np.any(dropped != other)


def test_without_letters_whole_steps_are_dropped():
    dropped = drop_steps(tf.ones([20, 30, 4]), 0.5, tf.constant([0, 0]), num_features=None).numpy()
    assert np.all(dropped.min(axis=-1) == dropped.max(axis=-1)) and 0.4 < dropped.mean() < 0.6
