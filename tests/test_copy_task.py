import dataclasses

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines import copy_patterns, copy_task
from data_pipelines.copy_task import Config

SPLITS = ("train", "test", "validation")
SMALL = {"num_tasks": 2, "seq_width": 4, "num_train": 20, "num_test": 6, "num_validation": 4}
VARIANTS = {
    "same": {"permute_time": False},
    "basic, growing length": {"permute_time": False, "length_step": 3, "length_variability": 2},
    "growing, one length a task": {"permute_time": False, "length_step": 3},
    "permuted time": {},
    "permuted width": {"permute_time": False, "permute_width": True},
    "permuted both": {"permute_width": True},
    "padded": {"input_length": 8, "pattern_length": 3},
    "padded, varying length": {
        "permute_time": False,
        "input_length": 6,
        "pattern_length": 3,
        "length_variability": 2,
        "length_step": 1,
    },
    "random pad": {"input_length": 8, "pattern_length": 3, "random_pad": True},
    "random pad, varying length": {
        "permute_time": False,
        "input_length": 6,
        "pattern_length": 3,
        "length_variability": 2,
        "random_pad": True,
    },
    "pad after stop": {"input_length": 8, "pattern_length": 3, "pad_after_stop": True},
    "pad after stop, varying length": {
        "permute_time": False,
        "input_length": 6,
        "pattern_length": 3,
        "length_variability": 2,
        "pad_after_stop": True,
    },
    "scatter": {"permute_time": False, "input_length": 9, "pattern_length": 4, "scatter": True},
    "scatter, permuted, xor": {"input_length": 9, "pattern_length": 4, "scatter": True, "permute_xor": True},
    "xor": {"permute_xor": True},
    "xor, pad after stop": {"input_length": 7, "pattern_length": 3, "pad_after_stop": True, "permute_xor": True},
    "xor, 3 iterations": {"permute_xor": True, "xor_iterations": 3},
    "xor, 4 iterations, both": {"permute_xor": True, "xor_iterations": 4, "permute_width": True},
    "xor, 3 separate": {"permute_xor": True, "xor_iterations": 3, "xor_separate": True},
    "pairwise, odd": {"pairwise": True},
    "revert": {"permute_time": False, "revert": True},
    "revert, varying length": {"permute_time": False, "revert": True, "length_variability": 2},
    "narrow": {"output_width": 2},
    "narrow, varying length": {"permute_time": False, "output_width": 3, "length_variability": 1},
}


def permuted(state, config, pattern):
    """`pattern` [p, C] rearranged by a permutation drawn from `state`, written out cell by cell."""
    rows, columns = pattern.shape
    cells = np.arange(rows * columns).reshape(rows, columns)
    if config.permute_time and config.permute_width:
        cells = state.permutation(rows * columns).reshape(rows, columns)
    elif config.pairwise:
        cells = cells[[row if row == rows - 1 and rows % 2 else row ^ 1 for row in range(rows)]]
    elif config.permute_time:
        cells = cells[state.permutation(rows)]
    elif config.permute_width:
        cells = cells[:, state.permutation(columns)]
    return np.array([[pattern[cell // columns, cell % columns] for cell in row] for row in cells])


def expected_pattern(config, task_id, steps):
    """What is recalled of the input steps [L, w]."""
    seeds = np.random.RandomState(config.data_seed).randint(1000, size=config.num_tasks)
    scatter_seeds = np.random.RandomState(config.data_seed).randint(10**6, size=config.num_tasks)
    length = config.pattern_length or len(steps)
    chosen = np.arange(length)
    if config.scatter:
        state = np.random.RandomState(scatter_seeds[task_id])
        chosen = np.sort(state.choice(np.arange(len(steps)), length, replace=False))
    pattern = steps[chosen][:, : config.output_width]
    if config.revert:
        return pattern[::-1]
    if not config.permute_xor:
        return permuted(np.random.RandomState(seeds[task_id]), config, pattern)
    if config.xor_separate:
        state, result = np.random.RandomState(seeds[task_id]), pattern
        for _ in range(config.xor_iterations):
            result = result ^ permuted(state, config, pattern)
        return result
    for _ in range(config.xor_iterations):
        pattern = pattern ^ permuted(np.random.RandomState(seeds[task_id]), config, pattern)
    return pattern


def expected_split(config, task_id, rng, number):
    """Inputs, targets, windows and lengths of a split, one sequence at a time."""
    mean = config.input_length + task_id * config.length_step
    low, high = mean - config.length_variability, mean + config.length_variability
    time = high + 1 + (config.pattern_length or high)
    width = config.seq_width
    bits = (rng.rand(time, number, width) > 0.5).astype(int)
    inputs = np.zeros((number, time, width + 1))
    targets = np.zeros((number, time, config.output_width or width))
    windows, lengths = np.zeros((number, time)), np.zeros(number, int)
    for n in range(number):
        length = rng.randint(low, high + 1) if low != high else low
        pattern_length = config.pattern_length or length
        stop = pattern_length if config.pad_after_stop else length
        steps = bits[:length, n].copy()
        if not (config.scatter or config.random_pad):
            steps[pattern_length:] = 0
        inputs[n, :stop, :width] = steps[:stop]
        inputs[n, stop, width] = 1
        lengths[n] = length + 1 + pattern_length
        pattern = expected_pattern(config, task_id, steps)
        targets[n, lengths[n] - len(pattern) : lengths[n]] = pattern
        windows[n, stop + 1 : lengths[n]] = 1
    return inputs, targets, windows, lengths


def in_order(source, task_id=0, batch_size=None):
    """The fields of a split's batches, one after the other, without the padding to buckets of time."""
    batches = list(source.in_order(batch_size or source.num_examples, task_id).as_numpy_iterator())
    time = max(batch.inputs.shape[1] for batch in batches)
    padded = [
        [
            np.pad(field, [(0, 0), (0, time - field.shape[1]), *[(0, 0)] * (field.ndim - 2)])
            if field.ndim > 1
            else field
            for field in batch
        ]
        for batch in batches
    ]
    return batches[0]._make(np.concatenate(fields) for fields in zip(*padded, strict=True))


@pytest.mark.parametrize("name", VARIANTS)
def test_batches_equal_a_computation_sequence_by_sequence(name):
    config = Config(**SMALL, **VARIANTS[name])
    stream = copy_task.make_stream(config)
    rng = np.random.RandomState(config.data_seed)
    for split in SPLITS:  # drawn in the order train, test, validation
        expected = expected_split(config, 1, rng, getattr(config, f"num_{split}"))
        batch = in_order(getattr(stream[1], split), 1)
        inputs, targets, windows, lengths = (field[np.argsort(expected[3], kind="stable")] for field in expected)
        np.testing.assert_array_equal(batch.lengths, lengths)
        for field, values in (("inputs", inputs), ("targets", targets), ("loss_weights", windows)):
            found = getattr(batch, field)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, values[:, : found.shape[1]], err_msg=field)
            assert not values[:, found.shape[1] :].any()
        np.testing.assert_array_equal(batch.eval_weights, batch.loss_weights)


@pytest.mark.parametrize("name", VARIANTS)
def test_recall_is_found_from_the_inputs_alone(name):
    stream = copy_task.make_stream(Config(**SMALL, **VARIANTS[name]))
    for task in stream:
        batch = in_order(task.train, task.task_id)
        before_end = np.arange(batch.inputs.shape[1]) < batch.lengths[:, np.newaxis]
        noisy = 0.3 + 0.6 * batch.inputs  # the flag is the most likely one, not the only one
        np.testing.assert_array_equal(stream.input_model.loss_weights(noisy) * before_end, batch.loss_weights)


def test_without_input_there_is_no_recall():
    stream = copy_task.make_stream(Config(**SMALL))
    inputs = np.random.default_rng(0).random((2, 11, 5), np.float32)
    inputs[0, 0, -1], inputs[1, 9, -1] = 1.0, 1.0
    weights = stream.input_model.loss_weights(inputs)
    np.testing.assert_array_equal(weights[0], np.zeros(11))
    np.testing.assert_array_equal(weights[1], np.arange(11) > 9)  # the rest is beyond the end


def test_first_bits_and_orders_of_seed_42():
    stream = copy_task.make_stream(Config(num_train=3, num_test=1, num_validation=1))
    uniform = [0.3745, 0.9507, 0.7320, 0.5987, 0.1560, 0.1560, 0.0581]  # RandomState(42).rand(7)
    np.testing.assert_array_equal(in_order(stream[0].train).inputs[0, 0, :7], np.array(uniform) > 0.5)
    orders = [[1, 4, 2, 3, 0], [4, 0, 3, 1, 2], [2, 4, 0, 3, 1], [3, 1, 2, 4, 0], [0, 4, 1, 3, 2]]
    for task, order, sources in zip(stream, orders, copy_task.target_sources(Config()), strict=True):
        batch = in_order(task.test)
        np.testing.assert_array_equal(batch.targets[0, 6:], batch.inputs[0, order, :7])
        np.testing.assert_array_equal(sources.reshape(5, 7) // 8, np.array(order)[:, np.newaxis] * np.ones(7))


def test_task_seeds_of_seed_42():
    states = copy_patterns.task_states(42, 6, 1000)
    for state, seed in zip(states, [102, 435, 860, 270, 106, 71], strict=True):
        assert state.randint(10**9) == np.random.RandomState(seed).randint(10**9)


@pytest.mark.parametrize(
    ("variant", "time", "first", "end"),
    [
        ({"permute_time": False}, 11, 6, 11),
        ({"input_length": 25, "pattern_length": 5}, 31, 26, 31),
        ({"input_length": 25, "pattern_length": 5, "pad_after_stop": True}, 31, 6, 31),
    ],
)
def test_recall_window(variant, time, first, end):
    batch = in_order(copy_task.make_stream(Config(**SMALL, **variant))[0].test)
    assert batch.inputs.shape == (6, time, 5)
    np.testing.assert_array_equal(batch.loss_weights[0], [float(first <= t < end) for t in range(time)])
    np.testing.assert_array_equal(batch.lengths, time)


def test_targets_of_xor_are_parities_of_r_plus_1_bits():
    config = Config(**SMALL, permute_xor=True, xor_iterations=4, xor_separate=True)
    batch = in_order(copy_task.make_stream(config)[0].train)
    sources = copy_task.target_sources(config)[0]
    assert sources.shape == (5, 5 * 4)
    flat = batch.inputs.reshape(20, -1)
    np.testing.assert_array_equal(batch.targets[:, 6:].reshape(20, -1), flat[:, sources].sum(axis=1) % 2)
    np.testing.assert_array_equal(sources % 5, np.tile(np.arange(4), (5, 5)))  # time alone: bits of one channel


@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 5, 8])
def test_iterated_xor_is_a_parity(iterations):
    permutation = np.random.RandomState(3).permutation(11)
    bits = np.random.RandomState(4).randint(2, size=11)
    result = bits
    for _ in range(iterations):
        result = result[permutation] ^ result
    gathered = bits[copy_patterns.iterated_xor(permutation, iterations)]
    np.testing.assert_array_equal(gathered.sum(axis=0) % 2, result)
    assert len(gathered) == 2 ** bin(iterations).count("1")


def test_tasks_of_one_length_share_inputs_and_differ_in_targets():
    stream = copy_task.make_stream(Config(**{**SMALL, "num_tasks": 5}))
    batches = [in_order(task.test, task.task_id) for task in stream]
    for task, batch in zip(stream, batches, strict=True):
        np.testing.assert_array_equal(batch.inputs, batches[0].inputs)
        np.testing.assert_array_equal(batch.task_id, task.task_id)
        assert task.train._arrays["inputs"] is stream[0].train._arrays["inputs"]
    assert len({batch.targets.tobytes() for batch in batches}) == 5


def test_inputs_are_kept_compact():
    arrays = copy_task.make_stream(Config(**SMALL))[0].train._arrays
    assert {name: array.dtype for name, array in arrays.items()} == {"inputs": np.uint8, "lengths": np.int32}


def test_seeds():
    first, again, other = (
        in_order(copy_task.make_stream(Config(**SMALL, data_seed=seed))[1].train) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert (first.inputs != other.inputs).any()


def test_every_split_is_drawn_afresh():
    stream = copy_task.make_stream(Config(**{**SMALL, "seq_width": 9, "num_test": 20, "num_validation": 20}))
    rows = {split: {row.tobytes() for row in in_order(getattr(stream[0], split)).inputs} for split in SPLITS}
    assert all(len(rows[split]) == 20 for split in SPLITS)
    assert not (rows["train"] & rows["test"] | rows["train"] & rows["validation"] | rows["test"] & rows["validation"])


def test_no_validation():
    stream = copy_task.make_stream(Config(**{**SMALL, "num_validation": 0}))
    assert stream[0].validation is None
    full = copy_task.make_stream(Config(**SMALL))
    np.testing.assert_array_equal(in_order(stream[0].test).inputs, in_order(full[0].test).inputs)


def test_time_is_static_where_lengths_are_fixed_and_bucketed_where_they_vary():
    fixed = copy_task.make_stream(Config(**SMALL))[0].train.batches(3, 0, 0).element_spec
    assert [spec.shape.as_list() for spec in fixed] == [[3, 11, 5], [3, 11, 4], [3, 11], [3, 11], [3], [3]]
    config = Config(**SMALL, permute_time=False, input_length=12, length_variability=9)
    varying = copy_task.make_stream(config)[0].train
    times = {batch.inputs.shape[1] for batch in varying.batches(1, 0, 0).take(40).as_numpy_iterator()}
    assert times <= {8, 16, 24, 32, 40, 43}
    assert len(times) > 2


def test_stream_describes_itself():
    stream = copy_task.make_stream(Config(**SMALL, output_width=3))
    assert (stream.name, stream.outputs, stream.num_features, stream.num_outputs) == ("copy_task", "sigmoid", 5, 3)
    assert stream.data_source == "generated, data seed 42"
    assert [task.name for task in stream] == ["task0", "task1"]


def test_published_sizes_are_the_defaults():
    config = Config()
    assert (config.num_train, config.num_test, config.num_validation) == (100_000, 1000, 1000)
    assert (config.num_tasks, config.input_length, config.seq_width) == (5, 5, 7)


def test_quick_is_small_and_keeps_the_variant():
    config = Config(permute_xor=True, xor_iterations=2)
    small = copy_task.quick(config)
    assert (small.num_tasks, small.num_train) == (3, 2000)
    same = {name: getattr(config, name) for name in ("num_tasks", "num_train", "num_test", "num_validation")}
    assert dataclasses.replace(small, **same) == config
    assert copy_task.quick(Config(**SMALL)) == Config(**SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_tasks": 0}, r"data\.num_tasks must be at least 1\. Received: 0\."),
        ({"num_train": 0}, r"data\.num_train must be at least 1"),
        ({"xor_iterations": 0}, r"data\.xor_iterations must be at least 1"),
        ({"num_validation": -1}, r"data\.num_validation must not be negative\. Received: -1\."),
        ({"length_step": -1}, r"data\.length_step must not be negative"),
        ({"data_seed": -1}, r"data\.data_seed must be in \[0, 2\^32\)\. Received: -1\."),
        ({"length_variability": 5}, r"data\.length_variability must be below data\.input_length.*Received: 5 and 5\."),
        ({"pattern_length": 6}, r"data\.pattern_length must be in \[1, 5\].*Received: 6\."),
        ({"pattern_length": 0}, r"data\.pattern_length must be in \[1, 5\]"),
        ({"output_width": 8}, r"data\.output_width must be in \[1, 7\].*Received: 8\."),
        ({"length_step": 7}, r"data\.length_step and data\.length_variability must be 0 .*Received: 7 and 0\."),
        (
            {"permute_time": False, "scatter": True, "pattern_length": 3, "length_variability": 1},
            r"data\.length_step and data\.length_variability must be 0",
        ),
        ({"scatter": True}, r"data\.scatter needs data\.pattern_length"),
        ({"random_pad": True}, r"data\.random_pad needs data\.pattern_length"),
        ({"pad_after_stop": True}, r"data\.pad_after_stop needs data\.pattern_length"),
        ({"pad_after_stop": True, "random_pad": True, "pattern_length": 3}, r"no input steps for data\.random_pad"),
        ({"pad_after_stop": True, "scatter": True, "pattern_length": 3}, r"no input steps for data\.scatter"),
        ({"permute_time": False, "permute_xor": True}, r"data\.permute_xor needs data\.permute_time or"),
        ({"xor_iterations": 2}, r"data\.xor_iterations and data\.xor_separate need data\.permute_xor"),
        ({"xor_separate": True}, r"need data\.permute_xor\. Received: 1 and True\."),
        ({"pairwise": True, "permute_width": True}, r"data\.pairwise needs data\.permute_time and excludes"),
        ({"pairwise": True, "permute_time": False}, r"data\.pairwise needs data\.permute_time"),
        ({"revert": True}, r"data\.revert excludes data\.permute_time and data\.permute_width"),
        ({"permute_width": True, "output_width": 3}, r"data\.permute_width mixes all channels.*Received: 3\."),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Config(**settings)
