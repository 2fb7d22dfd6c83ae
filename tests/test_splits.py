import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.streams.splits import ArraySplit, DatasetSplit, batches_of_any_length, bucketed_length, first_batches
from clrnn_tf.streams.tasks import Batch

NUM_EXAMPLES, TIME = 10, 7
LENGTHS = np.array([3, 1, 7, 2, 5, 4, 6, 1, 2, 3], np.int32)
IDS = np.tile(np.arange(1, NUM_EXAMPLES + 1)[:, np.newaxis], (1, TIME)) * (np.arange(TIME) < LENGTHS[:, np.newaxis])


def make_batch(fields):
    """Example n (from 1 on) is recognised by its targets, which are n on every real step."""
    ids = fields["ids"]
    weights = tf.cast(ids > 0, tf.float32)
    inputs = tf.cast(ids, tf.float32)[..., tf.newaxis]
    return Batch(inputs, ids, weights, weights, fields["lengths"], task_id=tf.constant(-1))


def array_source(buckets=()):
    return ArraySplit({"ids": IDS.astype(np.int32), "lengths": LENGTHS}, make_batch, buckets)


def examples_of(ids, lengths):
    """Single examples as `DatasetSplit` wants them, cut to their lengths."""

    def example(row, length):
        row = row[:length]
        return Batch(
            tf.cast(row, tf.float32)[:, tf.newaxis], row, tf.ones([length]), tf.ones([length]), length, tf.constant(-1)
        )

    return tf.data.Dataset.from_tensor_slices((ids.astype(np.int32), lengths)).map(example)


def dataset_source(shuffle_buffer=NUM_EXAMPLES, buckets=()):
    return DatasetSplit(lambda: examples_of(IDS, LENGTHS), NUM_EXAMPLES, shuffle_buffer, buckets)


SOURCES = pytest.mark.parametrize("make_source", [array_source, dataset_source])


def batches(source, number, batch_size=4, seed=0, task_id=0, start_step=0):
    return list(source.batches(batch_size, seed, task_id, start_step).take(number).as_numpy_iterator())


def order(source, number=5, **options):
    """Examples in the order of training."""
    return np.concatenate([batch.targets[:, 0] for batch in batches(source, number, **options)])


def assert_equal_batches(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        for field in one._fields:
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field), err_msg=field)


@SOURCES
@pytest.mark.parametrize("start_step", [1, 3, 8])
def test_a_later_start_drops_the_batches_before(make_source, start_step):
    straight = batches(make_source(), 10)
    assert_equal_batches(straight[start_step:], batches(make_source(), 10 - start_step, start_step=start_step))


@SOURCES
def test_batches_depend_on_nothing_but_seed_task_and_step(make_source):
    source = make_source()
    straight = batches(source, 4)
    for global_seed in (0, 1, 5):
        tf.random.set_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002
        tf.random.uniform([])
        assert_equal_batches(straight, batches(source, 4))
        assert_equal_batches(straight, batches(make_source(), 4))


@SOURCES
def test_a_dataset_can_be_read_twice(make_source):
    dataset = make_source().batches(4, 0, 0).take(4)
    assert_equal_batches(list(dataset.as_numpy_iterator()), list(dataset.as_numpy_iterator()))


@SOURCES
def test_batches_of_any_length_are_the_same_ones_and_have_no_tuning_thread_to_wait_for(make_source):
    dataset = make_source().batches(4, 0, 0)
    relaxed = batches_of_any_length(dataset)
    assert relaxed.element_spec.inputs.shape[1] is None
    assert relaxed.options().autotune.enabled is False
    assert batches_of_any_length(dataset, axes=(0, 1)).element_spec.inputs.shape[:2].as_list() == [None, None]
    assert_equal_batches(list(dataset.take(6).as_numpy_iterator()), list(relaxed.take(6).as_numpy_iterator()))


@SOURCES
@pytest.mark.parametrize("count", [3, 40])  # made one by one, or by a dataset
def test_first_batches_are_those_that_training_sees(make_source, count):
    source = make_source(buckets=(4,))
    taken = [Batch(*(field.numpy() for field in batch)) for batch in first_batches(source, count, 3, 5, 2)]
    assert_equal_batches(taken, batches(source, count, batch_size=3, seed=5, task_id=2))


@SOURCES
@pytest.mark.parametrize("batch_size", [4, 10, 13])
def test_every_epoch_visits_each_example_once(make_source, batch_size):
    epochs = 4
    found = order(make_source(), -(-epochs * NUM_EXAMPLES // batch_size), batch_size=batch_size)
    for epoch in found[: epochs * NUM_EXAMPLES].reshape(epochs, NUM_EXAMPLES):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(1, NUM_EXAMPLES + 1))


@SOURCES
def test_tasks_seeds_and_epochs_are_ordered_differently(make_source):
    source = make_source()
    orders = [
        tuple(epoch)
        for seed, task_id in ((0, 0), (0, 1), (1, 0), (1, 1))
        for epoch in order(source, 3, batch_size=NUM_EXAMPLES, seed=seed, task_id=task_id).reshape(3, NUM_EXAMPLES)
    ]
    assert len(set(orders)) == len(orders)
    assert tuple(range(1, NUM_EXAMPLES + 1)) not in orders


def epoch_indices(num_examples, num_epochs, seed=1, task_id=2):
    """Indices [epochs, num_examples] of whole epochs, as a source of `num_examples` examples draws them."""
    source = ArraySplit({"ids": np.ones((num_examples, 1)), "lengths": np.ones(num_examples)}, make_batch)

    order = tf.function(lambda epoch: source.epoch_order(epoch, seed, task_id, 32))
    return np.stack([order(tf.constant(epoch, tf.int64)).numpy() for epoch in range(num_epochs)])


def test_every_example_comes_first_equally_often():
    firsts = epoch_indices(NUM_EXAMPLES, 800)[:, 0]
    np.testing.assert_allclose(np.bincount(firsts, minlength=NUM_EXAMPLES) / 800, 0.1, atol=0.035)


def test_neighbours_are_parted_and_epochs_unrelated():
    for seed in range(3):
        for task_id in range(3):
            orders = epoch_indices(1000, 4, seed, task_id)
            for epoch in orders:
                assert (np.abs(np.diff(epoch)) == 1).mean() < 0.01  # expected: 0.002
                assert np.bincount(np.abs(np.diff(epoch))).max() / 999 < 0.02  # no step prevails
            assert np.abs(np.corrcoef(orders) - np.eye(4)).max() < 0.15


def pooled(num_examples, pool):
    lengths = np.random.default_rng(0).integers(1, 60, num_examples).astype(np.int32)
    ids = np.tile(np.arange(num_examples, dtype=np.int32)[:, None], (1, 60))
    return ArraySplit({"ids": ids, "lengths": lengths}, make_batch).with_length_pool(pool)


@pytest.mark.parametrize("num_examples", [640, 645])
def test_batches_of_a_length_pool_hold_similar_lengths_and_every_example_once(num_examples):
    taken = batches(pooled(num_examples, pool=20), 5 * num_examples // 32, batch_size=32, seed=1, task_id=0)
    spans = np.array([np.ptp(batch.lengths) for batch in taken])
    assert (spans > 10).sum() <= 10  # where epochs meet; of 60 lengths in 20 batches, 3 meet in one
    assert np.median(spans) <= 4
    lengths = np.concatenate([batch.lengths for batch in taken])[: 4 * num_examples].reshape(4, num_examples)
    np.testing.assert_array_equal(np.sort(lengths, axis=1), np.tile(np.sort(lengths[0]), (4, 1)))
    means = [batch.lengths.mean() for batch in taken[:20]]
    assert means != sorted(means)  # batches are shuffled


def test_a_length_pool_is_the_same_from_any_step_on():
    source = pooled(70, pool=3)
    whole = batches(source, 20, batch_size=8, seed=3, task_id=1)
    for start in (1, 8, 9, 17):
        later = source.batches(8, 3, 1, start_step=start).take(20 - start).as_numpy_iterator()
        assert_equal_batches(list(later), whole[start:])


def test_a_pool_of_less_than_no_batches_is_refused():
    with pytest.raises(ConfigurationError, match="at least 0 batches. Received: -1"):
        pooled(10, pool=-1)


def test_one_example_fills_every_batch():
    source = ArraySplit({"ids": np.ones((1, 3), np.int32), "lengths": np.array([3], np.int32)}, make_batch)
    np.testing.assert_array_equal(order(source, 3), 1)


@SOURCES
def test_task_id_is_filled_in(make_source):
    source = make_source()
    for dataset in (source.batches(4, 0, 3), source.in_order(4, 3)):
        for batch in dataset.take(3).as_numpy_iterator():
            np.testing.assert_array_equal(batch.task_id, np.full(4, 3, np.int32))


@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_the_first_batch_in_order_is_that_of_the_dataset(batch_size):
    source = array_source()
    expected = next(iter(source.in_order(batch_size, 3)))
    for received, field in zip(source.first_in_order(batch_size, 3), expected, strict=True):
        np.testing.assert_array_equal(received, field)


@SOURCES
@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_in_order_scores_each_example_once(make_source, batch_size):
    found = list(make_source().in_order(batch_size, 0).as_numpy_iterator())
    assert {len(batch.lengths) for batch in found} == {min(batch_size, NUM_EXAMPLES)}
    scored = np.concatenate([batch.targets[batch.eval_weights.any(axis=1), 0] for batch in found])
    np.testing.assert_array_equal(np.sort(scored), np.arange(1, NUM_EXAMPLES + 1))
    total = sum(batch.loss_weights.sum() for batch in found)
    assert total == sum(batch.eval_weights.sum() for batch in found) == LENGTHS.sum()


@SOURCES
def test_filling_is_real_examples_of_weight_zero(make_source):
    last = list(make_source().in_order(4, 0).as_numpy_iterator())[-1]
    np.testing.assert_array_equal(last.eval_weights.any(axis=1), [True, True, False, False])
    assert not last.loss_weights[2:].any()
    assert (last.lengths[2:] >= 1).all()
    assert (last.targets[2:, 0] >= 1).all()


def test_arrays_in_order_are_sorted_by_length():
    lengths = np.concatenate([batch.lengths for batch in array_source().in_order(5, 0).as_numpy_iterator()])
    np.testing.assert_array_equal(lengths, np.sort(LENGTHS))


def test_datasets_in_order_keep_their_order():
    found = np.concatenate([batch.targets[:, 0] for batch in dataset_source().in_order(4, 0).as_numpy_iterator()])
    np.testing.assert_array_equal(found, [*range(1, 11), 1, 2])


@pytest.mark.parametrize(("longest", "expected"), [(1, 4), (4, 4), (5, 6), (6, 6), (7, 9), (9, 9), (10, 10)])
def test_bucketed_length(longest, expected):
    assert bucketed_length(tf.constant(longest), (6, 9, 4)) == expected


def test_lengths_may_be_of_any_whole_type_and_0():
    lengths = LENGTHS.astype(np.int64)
    lengths[0] = 0
    batch = next(iter(ArraySplit({"ids": IDS, "lengths": lengths}, make_batch, (3,)).in_order(2, 0)))
    np.testing.assert_array_equal(batch.lengths, [0, 1])
    assert batch.lengths.dtype == tf.int32


def test_arrays_without_buckets_keep_their_time():
    assert array_source().batches(4, 0, 0).element_spec.inputs.shape.as_list() == [4, TIME, 1]


def test_batches_of_arrays_are_cut_to_buckets():
    times = set()
    for batch in batches(array_source((4, 2, 100)), 40, batch_size=2):
        times.add(batch.inputs.shape[1])
        longest = batch.lengths.max()
        assert batch.inputs.shape[1] == (2 if longest <= 2 else 4 if longest <= 4 else TIME)
        assert_holds_examples(batch)
    assert times == {2, 4, TIME}


def test_batches_of_datasets_are_padded_to_buckets():
    times = set()
    for batch in batches(dataset_source(buckets=(4, 2)), 40, batch_size=2):
        times.add(batch.inputs.shape[1])
        longest = batch.lengths.max()
        assert batch.inputs.shape[1] == (2 if longest <= 2 else 4 if longest <= 4 else longest)
        assert_holds_examples(batch)
    assert len(times) > 2


def assert_holds_examples(batch):
    """All fields are those of the examples that the batch names, and zero beyond their lengths."""
    time = batch.inputs.shape[1]
    rows = batch.targets[:, 0] - 1
    expected = np.pad(IDS, ((0, 0), (0, 1)))[rows][:, :time]
    np.testing.assert_array_equal(batch.lengths, LENGTHS[rows])
    np.testing.assert_array_equal(batch.targets, expected)
    np.testing.assert_array_equal(batch.inputs[..., 0], expected)
    np.testing.assert_array_equal(batch.loss_weights, expected > 0)
    np.testing.assert_array_equal(batch.eval_weights, expected > 0)


@SOURCES
def test_batches_hold_the_examples_they_name(make_source):
    for batch in batches(make_source(), 5):
        assert_holds_examples(batch)


def test_both_kinds_of_source_score_the_same():
    arrays, datasets = (
        {
            int(n): weights.sum()
            for batch in make().in_order(10, 0).as_numpy_iterator()
            for n, weights in zip(batch.targets[:, 0], batch.eval_weights, strict=True)
        }
        for make in (array_source, dataset_source)
    )
    assert arrays == datasets


def test_small_shuffle_buffer_still_visits_each_example_once():
    found = order(dataset_source(shuffle_buffer=3), 5)
    np.testing.assert_array_equal(np.sort(found.reshape(2, NUM_EXAMPLES)), [np.arange(1, 11)] * 2)


@pytest.fixture
def record_files(tmp_path):
    """Two TFRecord files with the examples of `IDS` as tf.train.Example."""
    paths = []
    for name, rows in (("a", range(6)), ("b", range(6, NUM_EXAMPLES))):
        paths.append(str(tmp_path / f"{name}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for row in rows:
                values = IDS[row, : LENGTHS[row]]
                feature = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                writer.write(tf.train.Example(features=tf.train.Features(feature={"id": feature})).SerializeToString())
    return paths


def record_source(paths, **options):
    def parse(record):
        ids = tf.io.parse_single_example(record, {"id": tf.io.RaggedFeature(tf.int64)})["id"]
        ids = tf.cast(ids, tf.int32)
        weights = tf.ones_like(ids, tf.float32)
        return Batch(tf.cast(ids, tf.float32)[:, tf.newaxis], ids, weights, weights, tf.size(ids), tf.constant(0))

    return DatasetSplit(lambda: tf.data.TFRecordDataset(paths).map(parse), NUM_EXAMPLES, **options)


def test_records_are_read_in_order_and_padded(record_files):
    found = list(record_source(record_files, length_buckets=(8,)).in_order(4, 2).as_numpy_iterator())
    assert [batch.inputs.shape for batch in found] == [(4, 8, 1)] * 3
    for batch in found[:2]:
        assert_holds_examples(batch)
    np.testing.assert_array_equal(np.concatenate([batch.targets[:, 0] for batch in found])[:10], np.arange(1, 11))


def test_records_are_trained_on_as_examples_in_memory_are(record_files):
    source = record_source(record_files, shuffle_buffer=NUM_EXAMPLES)
    straight = batches(source, 8, batch_size=3)
    assert_equal_batches(straight, batches(dataset_source(), 8, batch_size=3))
    assert_equal_batches(straight[5:], batches(source, 3, batch_size=3, start_step=5))
    epoch = np.concatenate([batch.targets[:, 0] for batch in straight])[10:20]  # straddles batches 3 to 6
    np.testing.assert_array_equal(np.sort(epoch), np.arange(1, 11))


@pytest.mark.parametrize("promised", [NUM_EXAMPLES - 1, NUM_EXAMPLES + 1])
def test_a_dataset_with_another_number_of_examples_is_refused(promised):
    source = DatasetSplit(lambda: examples_of(IDS, LENGTHS), promised)
    with pytest.raises(tf.errors.FailedPreconditionError, match=f"expected to contain {promised} elements"):
        list(source.in_order(1, task_id=0))
    with pytest.raises(tf.errors.FailedPreconditionError, match=f"expected to contain {promised} elements"):
        batches(source, NUM_EXAMPLES + 2, batch_size=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArraySplit({"ids": IDS}, make_batch), r"arrays must hold 'lengths' \[N\]\. Received: \['ids'\]\."),
        (
            lambda: ArraySplit({"ids": IDS, "lengths": LENGTHS[:3]}, make_batch),
            r"arrays must have one first dimension N\. Received: \{'ids': 10, 'lengths': 3\}\.",
        ),
        (lambda: ArraySplit({"ids": IDS[:0], "lengths": LENGTHS[:0]}, make_batch), "needs at least one example"),
        (lambda: ArraySplit({"ids": IDS[:, :6], "lengths": LENGTHS}, make_batch), r"in \[0, 6\].*Received: 1 to 7\."),
        (lambda: ArraySplit({"ids": IDS, "lengths": -LENGTHS}, make_batch), r"in \[0, 7\].*Received: -7 to -1\."),
        (lambda: ArraySplit({"ids": IDS, "lengths": LENGTHS / 2}, make_batch), "whole numbers.*Received: float64"),
        (lambda: ArraySplit({"ids": IDS, "lengths": IDS}, make_batch), r"Received: int64 of shape \(10, 7\)\."),
        (lambda: ArraySplit({"ids": LENGTHS, "lengths": LENGTHS}, make_batch), r"must be \[N, T, \.\.\.\]"),
        (lambda: ArraySplit({"ids": IDS, "y": IDS[:, :3], "lengths": LENGTHS}, make_batch), "with one T"),
        (lambda: DatasetSplit(lambda: None, 0), r"num_examples must be above 0\. Received: 0\."),
        (lambda: DatasetSplit(lambda: None, 1, 0), r"shuffle_buffer must be above 0\. Received: 0\."),
    ],
)
def test_errors_say_what_was_wanted(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
