import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.streams.own import Preparation
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.task_inference import TaskInference
from export.all_tasks import ALL_TASKS, AllTasks, export_all_tasks, largest_difference_of_all
from export.parts import Parts
from export.probes import mixed_batch
from export.reload import check
from export.row_blocks import RowBlocks
from export.saved_model import FrozenTask
from tests import tiny
from tests.test_export import Spelled

TOLERANCE = 1e-5
NETWORKS = {
    "forward": {"cell": "lstm"},
    "deep, both directions": {
        "cell": "lstm",
        "direction": "bidirectional",
        "hidden_sizes": (5, 7),
        "dense_before": (4,),
        "dense_after": (6,),
    },
    "backward, one head": {"cell": "elman", "direction": "backward", "heads": "single"},
    "two biases": {"cell": "lstm", "direction": "bidirectional", "biases": "two"},
}


def made(method="hnet", network=None, words=False, num_tasks=3, **options):
    """A model and its stream, whose inputs are words where `words` is set. Its networks differ by task untrained."""
    stream = tiny.stream(num_tasks, **options)
    if words:
        stream = dataclasses.replace(stream, word_encoder=lambda task_id: Spelled())
    return build_trainer(tiny.experiment(method, network=network), stream).model, stream


@pytest.fixture(scope="module")
def tagger():
    return made(words=True)


@pytest.fixture(scope="module")
def servable(tagger, tmp_path_factory):
    """The path of the SavedModel of three tasks that take words, and the loaded model."""
    path = export_all_tasks(*tagger, tmp_path_factory.mktemp("models"), [90.0, 91.0, 92.5])
    return path, tf.saved_model.load(str(path))


def ask(functions, signature, **inputs):
    """The answer of a signature, as arrays."""
    return {name: value.numpy() for name, value in functions[signature](**inputs).items()}


def expected_logits(model, batch):
    """Of each row, by the model of its task alone."""
    rows = zip(*map(tf.constant, batch), strict=True)
    return np.stack([model(x[tf.newaxis], length[tf.newaxis], k).logits[0] for x, length, k in rows])


def at_real_steps(batch, values):
    real = np.arange(values.shape[1]) < batch.lengths[:, np.newaxis]
    return np.where(real[..., np.newaxis], values, 0)


@pytest.mark.parametrize(
    ("counts", "cost", "size"),
    [
        ([5], 1, 5),
        ([1, 1, 1], 1, 1),
        ([7, 1], 1, 4),
        ([7, 1], 9, 8),
        ([1, 6, 2, 2], 1, 2),
        ([3, 3], 1, 3),
        ([2, 2, *60 * [1]], 1, 1),
        ([2, 2, *60 * [1]], 50, 2),
        (20 * [3, 4], 1, 4),
    ],
)
def test_blocks_are_of_one_task_and_undone(counts, cost, size):
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)) * 2, counts)).astype(np.int32)
    blocks = RowBlocks.cut(tf.constant(ids), cost)
    assert blocks.rows.shape == (sum(-(-count // size) for count in counts), size)
    np.testing.assert_array_equal(blocks.undo(blocks.of(tf.constant(ids))), ids)
    of_blocks = blocks.distinct.numpy()[blocks.places.numpy()]
    for row, slot in enumerate(blocks.slots.numpy()):
        assert blocks.rows.numpy().ravel()[slot] == row
        assert of_blocks[slot // size] == ids[row]


KINDS = [{"loss": "sigmoid"}, {"ngrams": True}, {"loss": "linear"}, {}]


@pytest.mark.parametrize(("network", "kind"), zip(NETWORKS.values(), KINDS, strict=True), ids=NETWORKS)
def test_rows_of_several_tasks_are_answered_as_by_the_model_of_each(network, kind):
    model, stream = made(network=network, **kind)
    batch = mixed_batch(Parts(model, stream), range(3))
    assert len(set(batch.task_ids[:3])) == 3
    inputs, lengths, ids = map(tf.constant, batch)
    outputs = ask(AllTasks(model, stream).functions, "by_task_id", inputs=inputs, lengths=lengths, task_id=ids)
    expected = at_real_steps(batch, expected_logits(model, batch))
    np.testing.assert_allclose(at_real_steps(batch, outputs["logits"]), expected, atol=TOLERANCE)
    assert not outputs["error"].astype(bool).any()


def test_weights_of_all_tasks_are_kept_where_they_fit_and_else_made_for_each_request():
    model, stream = made(network=NETWORKS["deep, both directions"], loss="linear")
    numbers = sum(spec.head_size for spec in model.network.weight_specs)
    kept, made_each_time = AllTasks(model, stream), AllTasks(model, stream, most_kept_bytes=3 * 4 * numbers - 1)
    assert kept.weights.num_bytes == 3 * 4 * numbers and made_each_time.weights.num_bytes == 0
    request = dict(
        zip(
            ("inputs", "lengths", "task_id"), map(tf.constant, mixed_batch(Parts(model, stream), range(3))), strict=True
        )
    )
    answers = [ask(tasks.functions, "by_task_id", **request)["logits"] for tasks in (kept, made_each_time)]
    np.testing.assert_allclose(*answers, atol=TOLERANCE)
    model.source.kernels[-1].value.assign_add(tf.ones_like(model.source.kernels[-1].value))
    later = [ask(tasks.functions, "by_task_id", **request)["logits"] for tasks in (kept, made_each_time)]
    np.testing.assert_array_equal(later[0], answers[0])
    assert np.abs(later[1] - answers[1]).max() > 0.1


def test_weights_that_are_kept_are_in_memory_and_not_on_disk(servable, tagger, tmp_path):
    path, loaded = servable
    kept = json.loads((path / "metadata.json").read_text())["kept_weights_bytes"]
    assert kept == 3 * 4 * sum(spec.head_size for spec in tagger[0].network.weight_specs)
    stored = dict(tf.train.list_variables(str(path / "variables" / "variables")))
    on_disk = sum(int(np.prod(shape)) for name, shape in stored.items() if name.endswith("VARIABLE_VALUE"))
    trained = sum(int(tf.size(variable)) for variable in tagger[0].source.all_variables())
    assert on_disk == trained
    # what signatures read: not the hypernetwork, which only makes the weights when the model is loaded
    assert sum(int(tf.size(variable)) for variable in loaded.variables_read) == kept // 4


def test_step_by_step_is_as_all_at_once():
    for network in (
        {"cell": "lstm", "hidden_sizes": (5, 7), "biases": "two"},
        {"cell": "elman", "dense_after": (4,)},
    ):
        model, stream = made(network=network)
        tasks, batch = AllTasks(model, stream), mixed_batch(Parts(model, stream), range(3))
        state, logits = np.zeros([len(batch.lengths), tasks.state_size], np.float32), []
        names = tf.constant([stream[task_id].name for task_id in batch.task_ids])
        for t in range(batch.inputs.shape[1]):
            outputs = ask(tasks.functions, "step", inputs=tf.constant(batch.inputs[:, t]), state=state, task=names)
            state = outputs["state"]
            logits.append(outputs["logits"])
        expected = at_real_steps(batch, expected_logits(model, batch))
        np.testing.assert_allclose(at_real_steps(batch, np.stack(logits, 1)), expected, atol=TOLERANCE)


def test_a_network_that_reads_backward_has_no_steps():
    model, stream = made(network=NETWORKS["backward, one head"])
    tasks = AllTasks(model, stream)
    assert "step" not in tasks.functions and tasks.state_size is None


def test_the_task_is_inferred_as_in_training(servable, tagger):
    model, stream = tagger
    batch = mixed_batch(Parts(model, stream), range(3))
    inputs, lengths = tf.constant(batch.inputs), tf.constant(batch.lengths)
    outputs = ask(servable[1].signatures, "unknown_task", inputs=inputs, lengths=lengths)
    inferred = TaskInference(model, 3)(inputs, lengths)
    np.testing.assert_array_equal(outputs["task_id"], inferred.task_ids)
    assert outputs["task"].tolist() == [f"t{task_id}".encode() for task_id in outputs["task_id"]]
    expected = tf.reduce_max(tf.nn.softmax(-inferred.entropies, axis=0), axis=0)
    np.testing.assert_allclose(outputs["task_probability"], expected, rtol=1e-4)
    np.testing.assert_allclose(outputs["logits"], inferred.logits, atol=TOLERANCE)
    words = np.array([b"a", b"b", b"c"], object)[batch.inputs.argmax(-1)]
    tagged = ask(servable[1].signatures, "tag_unknown_task", words=tf.constant(words.tolist()), lengths=lengths)
    np.testing.assert_array_equal(tagged["task_id"], inferred.task_ids)


def test_tasks_without_entropies_are_not_inferred():
    model, stream = made(loss="linear")
    assert sorted(AllTasks(model, stream).functions) == ["by_task_id", "serving_default", "step"]
    model, stream = made(num_tasks=1)
    assert "unknown_task" not in AllTasks(model, stream).functions


def test_words_of_several_tasks_get_the_tags_of_their_tasks(servable, tagger):
    words = tf.constant([["b", "a", "", ""], ["b", "a", "", ""], ["c", "", "a", "b"], ["", "", "", ""]])
    lengths, model, names = [2, 2, 4, 0], tagger[0], tf.constant(["t0", "t2", "t1", "t0"])
    outputs = ask(servable[1].signatures, "tag", words=words, lengths=tf.constant(lengths), task=names)
    for row, (task_id, length) in enumerate(zip((0, 2, 1, 0), lengths, strict=True)):
        logits = model(Spelled()(words)[row : row + 1], tf.constant([length]), tf.constant(task_id)).logits[0]
        expected = [b"abc"[c : c + 1] for c in logits.numpy().argmax(-1)][:length] + [b""] * (4 - length)
        assert outputs["tags"][row].tolist() == expected
    assert outputs["probabilities"].shape == (4, 4, 3) and outputs["classes"][0, 2] == -1


def test_a_bad_row_gets_an_error_and_spoils_no_other(servable, tagger):
    batch = mixed_batch(Parts(*tagger), range(3))
    inputs, lengths = batch.inputs[:7].copy(), batch.lengths[:7].copy()
    lengths[:3] = [-1, inputs.shape[1] + 1, 0]
    inputs[3, 0] = np.nan
    inputs[4, lengths[4] :] = np.nan  # padding may hold anything
    names = np.array(["t0", "t0", "t0", "t1", "t1", "de", "t2"])
    functions = servable[1].signatures
    outputs = ask(functions, "serving_default", inputs=tf.constant(inputs), lengths=lengths, task=tf.constant(names))
    steps = inputs.shape[1]
    assert [error.decode() for error in outputs["error"]] == [
        f"lengths must be in [0, {steps}], the steps of the inputs. Received: -1.",
        f"lengths must be in [0, {steps}], the steps of the inputs. Received: {steps + 1}.",
        "",
        "inputs must be finite numbers. Received: NaN or infinity.",
        "",
        "unknown task 'de'. Known: t0, t1, t2.",
        "",
    ]
    is_bad = outputs["error"] != b""
    assert np.isnan(outputs["logits"][is_bad]).all() and (outputs["classes"][is_bad] == -1).all()
    for row, name in ((4, "t1"), (6, "t2")):
        alone = {"inputs": inputs[row : row + 1], "lengths": lengths[row : row + 1], "task": tf.constant([name])}
        expected = ask(functions, "serving_default", **{key: tf.constant(value) for key, value in alone.items()})
        real = slice(lengths[row])
        np.testing.assert_allclose(outputs["logits"][row, real], expected["logits"][0, real], atol=TOLERANCE)


def test_ids_and_words_of_bad_rows_get_errors(servable, tagger):
    functions, batch = servable[1].signatures, mixed_batch(Parts(*tagger), range(3))
    ids = np.array([-1, 3, 2], np.int32)
    outputs = ask(functions, "by_task_id", inputs=batch.inputs[:3], lengths=batch.lengths[:3], task_id=tf.constant(ids))
    assert outputs["error"].tolist() == [
        b"task_id must be in [0, 3). Received: -1.",
        b"task_id must be in [0, 3). Received: 3.",
        b"",
    ]
    words, names = tf.constant([[b"a", b"\xff"], [b"a", b"b"], [b"a", b"\xff"], [b"a", b"b"]]), tf.constant(["t0"] * 4)
    outputs = ask(functions, "tag", words=words, lengths=tf.constant([2, 2, 1, 3]), task=names)
    assert outputs["error"].tolist() == [
        b"words must be UTF-8. Received: other bytes.",
        b"",
        b"",
        b"lengths must be in [0, 2], the steps of the inputs. Received: 3.",
    ]
    assert [[bool(tag) for tag in row] for row in outputs["tags"]] == [
        [False] * 2,
        [True] * 2,
        [True, False],
        [False] * 2,
    ]
    names = tf.constant([b"\xff", ("\u00e9" * 1_000).encode()])
    outputs = ask(functions, "tag", words=words[1:3, :1], lengths=tf.constant([1, 1]), task=names)
    assert [error.decode() for error in outputs["error"]] == [
        "unknown task '\ufffd'. Known: t0, t1, t2.",
        f"unknown task '{60 * chr(233)}'. Known: t0, t1, t2.",
    ]


def test_buckets_that_no_table_has_are_errors():
    model, stream = made(ngrams=True)
    batch = mixed_batch(Parts(model, stream), range(3))
    inputs = batch.inputs.copy()
    inputs[0, 0, 0] = 8
    inputs[1, 0, 0] = -1
    outputs = ask(
        AllTasks(model, stream).functions,
        "by_task_id",
        inputs=tf.constant(inputs),
        lengths=tf.constant(batch.lengths),
        task_id=tf.constant(batch.task_ids),
    )
    assert [bool(error) for error in outputs["error"]] == [True, True] + [False] * (len(inputs) - 2)


def test_a_state_that_is_no_number_is_an_error_and_is_given_back(servable):
    state = np.zeros([2, 12], np.float32)
    state[0, 3] = np.inf
    names = tf.constant(["t0", "t0"])
    outputs = ask(servable[1].signatures, "step", inputs=tf.ones([2, 3]), state=tf.constant(state), task=names)
    assert [bool(error) for error in outputs["error"]] == [True, False]
    np.testing.assert_array_equal(outputs["state"][0], state[0])
    assert (outputs["state"][1] != 0).any()


@pytest.mark.parametrize(("batch", "time"), [(0, 0), (0, 3), (2, 0)])
def test_nothing_is_answered_by_nothing(servable, batch, time):
    for name in servable[1].signatures:
        if name == "step" and not time and batch:
            continue
        function, inputs = servable[1].signatures[name], {}
        for key, spec in function.structured_input_signature[1].items():
            sizes = (batch, time) if key in ("inputs", "words") and name != "step" else (batch,)
            inputs[key] = tf.zeros([*sizes, *spec.shape[len(sizes) :]], spec.dtype)
        for key, value in ask(servable[1].signatures, name, **inputs).items():
            assert value.shape[0] == batch, (name, key)
            if key in ("logits", "tags", "classes", "probabilities") and name != "step":
                assert value.shape[1] == time, (name, key)


def test_the_model_of_all_tasks_says_what_it_is(servable):
    said = json.loads((servable[0] / "metadata.json").read_text())
    assert servable[0].parent.name == ALL_TASKS
    assert said["tasks"] == ["t0", "t1", "t2"] and said["state_size"] == 12
    assert said["test_accuracy"] == {"t0": 90.0, "t1": 91.0, "t2": 92.5}
    assert said["signatures"] == sorted(servable[1].signatures)
    assert said["signatures"] == ["by_task_id", "serving_default", "step", "tag", "tag_unknown_task", "unknown_task"]


def test_the_model_of_all_tasks_gives_the_answers_that_were_recorded(servable, tagger):
    report = check(servable[0])
    assert report["problems"] == [] and report["largest_difference"] < TOLERANCE
    assert largest_difference_of_all(*tagger, servable[1].signatures["by_task_id"]) < TOLERANCE


def test_tasks_that_are_not_learned_are_not_served():
    model, stream = made(num_tasks=3, loss="linear")
    tasks = AllTasks(model, stream, num_tasks=2)
    assert tasks.names == ("t0", "t1")
    request = {"inputs": tf.zeros([1, 2, 3]), "lengths": tf.constant([2]), "task": tf.constant(["t2"])}
    outputs = ask(tasks.functions, "serving_default", **request)
    assert outputs["error"].tolist() == [b"unknown task 't2'. Known: t0, t1."]
    assert largest_difference_of_all(model, stream, tasks.functions["by_task_id"], num_tasks=2) < TOLERANCE


def test_of_the_model_only_what_is_read_is_stored():
    model, stream = made("from_scratch", num_tasks=2, loss="linear")
    tasks = AllTasks(model, stream)
    module, _ = tasks.storable()
    one_network = sum(spec.size for spec in model.network.weight_specs)
    with tasks.weights.stored():
        variables = {id(v): v for v in (*module.variables_read, *module.kept) if isinstance(v, tf.Variable)}
        stored = sum(int(tf.size(variable)) for variable in variables.values())
    assert stored == 3 * one_network + 1  # those of two tasks, those in training, and which task that is


@pytest.mark.slow
def test_of_many_odd_requests_each_row_gets_its_answer_or_an_error(servable):
    """Rows of random tasks, lengths and bytes, good and bad: the good ones are answered as if they came alone."""
    functions, generator = servable[1].signatures, np.random.default_rng(0)
    vocabulary = [
        b"a",
        b"b",
        b"c",
        b"",
        "\u00e9".encode(),
        b"\xff\xfe",
        b"\xc3",
        b"a" * 500,
        "\U0001f600".encode(),
        b"\0",
    ]
    names = [b"t0", b"t1", b"t2", b"", b"T0", b"\xff"]
    for _ in range(2_000):
        batch, time = generator.integers(1, 9), generator.integers(0, 12)
        words = generator.choice(np.array(vocabulary, object), (batch, time))
        lengths = generator.integers(-1, time + 2, batch).astype(np.int32)
        tasks = generator.choice(np.array(names, object), batch)
        request = {"words": tf.constant(words, tf.string), "lengths": lengths, "task": tf.constant(tasks, tf.string)}
        outputs = ask(functions, "tag", **request)
        for row in range(batch):
            real = words[row, : max(lengths[row], 0)]
            is_good = 0 <= lengths[row] <= time and tasks[row] in (b"t0", b"t1", b"t2")
            is_good &= not any(word in (b"\xff\xfe", b"\xc3") for word in real)
            assert (outputs["error"][row] == b"") == is_good
            tags = outputs["tags"][row]
            assert [bool(tag) for tag in tags] == [is_good and t < lengths[row] for t in range(time)]
        row = generator.integers(batch)
        if outputs["error"][row] == b"" and lengths[row]:
            expected = ask(functions, "tag", **{key: value[row : row + 1] for key, value in request.items()})
            assert outputs["tags"][row].tolist() == expected["tags"][0].tolist()


@pytest.mark.parametrize("per_step", [True, False], ids=["an answer for every step", "one for a sequence"])
@pytest.mark.parametrize("outputs", ["softmax", "linear"])
def test_rows_as_they_were_measured_are_standardised_by_their_task(per_step, outputs):
    draws = np.random.default_rng(0)
    sequences = [draws.normal(10.0 * k, 1.0 + k, size=(12, 4, 2)).astype(np.float32) for k in range(3)]
    shape = (12, 4) if per_step else (12,)
    labels = [draws.integers(0, 3, shape) for _ in sequences]
    if outputs == "linear":
        labels = [draws.normal(5.0 * k, 2.0, (*shape, 1)) for k in range(3)]
    stream = TaskStream.from_arrays(
        list(zip(sequences, labels, strict=True)),
        class_names=("a", "b", "c") if outputs == "softmax" else (),
        preparation=Preparation(missing="previous", missing_flags=True),
    )
    model = build_trainer(tiny.experiment("hnet"), stream).model
    asked = np.concatenate([of[:2] for of in sequences])
    asked[0, 1, 0] = asked[3, 0, 1] = np.nan
    lengths, names = np.array([4, 3, 4, 2, 1, 4], np.int32), np.repeat([task.name for task in stream], 2)
    functions = AllTasks(model, stream).functions
    answer = ask(functions, "raw", inputs=asked, lengths=lengths, task=names)
    assert not answer["error"].astype(bool).any()
    for row, length in enumerate(lengths):
        alone = FrozenTask(model, stream, row // 2).raw(asked[row : row + 1, :length], lengths[row : row + 1])
        for name, value in alone.items():
            mine = answer[name][row, :length] if per_step else answer[name][row]
            if value.dtype.is_floating:
                np.testing.assert_allclose(mine, value[0], atol=1e-4, err_msg=name)
            else:
                np.testing.assert_array_equal(mine, value[0].numpy(), err_msg=name)
    asked[1, 0, 0] = np.inf
    worse = ask(functions, "raw", inputs=asked, lengths=lengths, task=np.append(names[:5], "nobody"))
    assert worse["error"].astype(bool).tolist() == [False, True, False, False, False, True]
    np.testing.assert_array_equal(worse["logits"][[0, 2, 3, 4]], answer["logits"][[0, 2, 3, 4]])
    assert np.isnan(worse["logits"][[1, 5]]).all()
    for size in ((0, 3, 2), (2, 0, 2)):
        none = ask(
            functions,
            "raw",
            inputs=np.zeros(size, np.float32),
            lengths=np.zeros(size[0], np.int32),
            task=names[: size[0]],
        )
        assert none["logits"].shape[0] == size[0]
