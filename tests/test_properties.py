"""What must hold for every input, tried on inputs that Hypothesis draws. The draws are the same in every run."""

import csv
import dataclasses
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig, updated
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.execution.batch_blocks import split_by_length
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import hnet, masking
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.results import confusions_of, matrix_of, scores_of
from clrnn_tf.recording.run_directory import as_json
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch
from clrnn_tf.training import checkpoint_files
from clrnn_tf.training.checkpoint_files import Position
from clrnn_tf.training.checkpoints import needed
from clrnn_tf.yaml_files import read_settings
from data_pipelines import copy_task
from data_pipelines.conllu_files import UPOS, read_sentences
from data_pipelines.table_files import read_table
from data_pipelines.word_vectors import read_vectors
from tests import tiny

some = settings(max_examples=60, deadline=None, derandomize=True, database=None)
few = settings(max_examples=15, deadline=None, derandomize=True, database=None)
sizes = st.lists(st.integers(1, 500), min_size=1, max_size=3).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.fixture(scope="module")
def path():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "file"


# Settings.

experiments = st.builds(
    Experiment,
    method=st.just("hnet"),
    seed=st.integers(0, 2_000_000_000),
    network=st.builds(NetworkConfig, hidden_sizes=sizes, cell=st.sampled_from(["elman", "lstm"])),
    hypernetwork=st.builds(HypernetworkConfig, hidden_sizes=sizes, chunk_size=st.integers(1, 10_000)),
    train=st.builds(
        TrainConfig,
        steps=st.integers(1, 10**6),
        learning_rate=st.floats(1e-8, 10.0),
        clip_norm=st.none() | st.floats(1e-3, 1e3),
        keep_best=st.booleans(),
    ),
    method_options=st.builds(hnet.Config, strength=st.floats(0, 1e6)),
    data=st.builds(copy_task.Config, num_tasks=st.integers(1, 9)),
)


@some
@given(experiment=experiments)
def test_settings_come_back_from_a_file_as_they_were(path, experiment):
    path.write_text(yaml.safe_dump(experiment.to_dict()))
    start = Experiment(method="hnet", method_options=hnet.Config(), data=copy_task.Config())
    assert updated(start, read_settings(path)) == experiment


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([field.name for field in dataclasses.fields(TrainConfig)])


@some
@given(values=st.dictionaries(names | st.text(max_size=8), anything, max_size=3))
def test_a_setting_is_taken_or_refused_in_one_line(values):
    try:
        taken = updated(TrainConfig(), values, "train")
    except ConfigurationError as error:
        assert len(str(error).splitlines()) == 1 or any("\n" in str(part) for part in values.items())
    else:
        assert updated(TrainConfig(), dataclasses.asdict(taken), "train") == taken


# Files.

forms = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12)
words = st.tuples(forms.filter(lambda form: form.strip() == form), st.sampled_from(UPOS))


@some
@given(sentences=st.lists(st.lists(words, min_size=1, max_size=6), min_size=1, max_size=4))
def test_words_and_tags_of_a_treebank_are_read(path, sentences):
    lines = []
    for sentence in sentences:
        lines += [f"{i}\t{form}\t_\t{tag}\t_\t_\t_\t_\t_\t_" for i, (form, tag) in enumerate(sentence, 1)] + [""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    read = [[(word.form, UPOS[word.upos]) for word in sentence] for sentence in read_sentences(path)]
    assert read == sentences


@some
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_as_vectors_or_refused(path, content):
    for suffix in (".npz", ".vec", ".txt.gz", ".pkl"):
        file = path.with_suffix(suffix)
        file.write_bytes(content)
        try:
            read_vectors(file)
        except ConfigurationError as error:
            assert file.name in str(error)


@few
@given(table=st.dictionaries(st.text("abcdeäöü", min_size=1, max_size=6), st.lists(numbers, min_size=3, max_size=3)))
def test_vectors_come_back_from_text(path, table):
    if not table:
        return
    file = path.with_suffix(".vec")
    rows = [" ".join([word, *(f"{number!r}" for number in vector)]) for word, vector in table.items()]
    file.write_text(f"{len(table)} 3\n" + "\n".join(rows) + "\n", encoding="utf-8")
    read = read_vectors(file)
    for word, vector in table.items():
        np.testing.assert_array_equal(read.table[read.row(word)], np.array(vector, np.float32))


shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
arrays = st.builds(lambda shape, seed: np.random.default_rng(seed).normal(size=shape), shapes, st.integers(0, 99))


@some
@given(
    groups=st.dictionaries(st.sampled_from(["trained", "best", "sums"]), st.lists(arrays, min_size=1, max_size=12)),
    position=st.tuples(st.integers(0, 300), st.integers(0, 10**6)),
    score=st.floats(allow_nan=False),
)
def test_a_checkpoint_comes_back_as_it_was(path, groups, position, score):
    file = path.with_suffix(".npz")
    checkpoint_files.write(file, Position(*position), groups, {"score": score, "recorded": {"ä": 3}})
    read = checkpoint_files.read(file)
    assert (read.position, read.facts["score"], read.recorded) == (position, score, {"ä": 3})
    assert read.arrays.keys() == groups.keys()
    for group, values in groups.items():
        for value, other in zip(values, read.arrays[group], strict=True):
            np.testing.assert_array_equal(value, other)


@some
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3)).map(lambda pair: Position(*pair)), min_size=1))
def test_enough_checkpoints_are_kept_and_no_more(positions):
    newest = max(positions)
    kept = needed(sorted(positions), newest)
    assert newest in kept and kept <= positions
    assert min(2, len(positions)) <= len(kept) <= 3
    after_tasks = {position for position in positions if position.step == 0}
    assert not after_tasks or max(after_tasks) in kept


# Batches and scores.


def split_of(lengths):
    size, time = len(lengths), max(lengths)
    inputs = np.arange(size, dtype=np.float32)[:, None, None] * np.ones((1, time, 1), np.float32)

    def make_batch(fields):
        real = tf.sequence_mask(fields["lengths"], tf.shape(fields["inputs"])[1], tf.float32)
        targets = tf.zeros(tf.shape(real), tf.int32)
        return Batch(fields["inputs"], targets, real, real, fields["lengths"], tf.constant(0))

    return ArraySplit({"inputs": inputs, "lengths": np.array(lengths, np.int32)}, make_batch, length_buckets=(3,))


@few
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9), size=st.integers(1, 5), seed=st.integers(0, 10**9))
def test_every_epoch_trains_on_every_example_once(lengths, size, seed):
    split = split_of(lengths)
    batches = split.first_batches(2 * len(lengths), size, seed, task_id=1)
    order = np.concatenate([batch.inputs[:, 0, 0] for batch in batches])
    for epoch in range(2):
        assert sorted(order[epoch * len(lengths) : (epoch + 1) * len(lengths)]) == list(range(len(lengths)))
    scored = [batch.inputs[batch.eval_weights[:, 0] > 0, 0, 0] for batch in split.in_order(size, 1).as_numpy_iterator()]
    assert sorted(np.concatenate(scored)) == list(range(len(lengths)))


@few
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_padding_is_replaced_and_nothing_else(lengths):
    inputs = np.full((len(lengths), 5, 2), np.nan, np.float32)
    for row, length in enumerate(lengths):
        inputs[row, :length] = row + 1
    cleaned = without_padding(tf.constant(inputs), tf.constant(lengths)).numpy()
    for row, length in enumerate(lengths):
        assert (cleaned[row, :length] == row + 1).all() and (cleaned[row, length:] == 0).all()


percent = st.floats(0, 100) | st.just(float("nan"))


@some
@given(data=st.data(), tasks=st.integers(1, 4), rows=st.integers(1, 4))
def test_results_come_back_from_their_files_as_they_were(data, tasks, rows):
    def row():
        return [
            Evaluation(data.draw(st.floats(0, 1e9)), data.draw(percent), further={"f": data.draw(percent)})
            for _ in range(tasks)
        ]

    matrix = ResultMatrix(tuple(f"t{k}" for k in range(tasks)), initial=row())
    for _ in range(min(rows, tasks)):
        matrix.add(row())
    buffer = io.BytesIO()
    np.savez(buffer, **confusions_of(matrix))
    read = matrix_of(json.loads(as_json(scores_of(matrix))), {})
    for metric in ("loss", "accuracy", "f"):
        np.testing.assert_array_equal(read.scores(metric), matrix.scores(metric))
    np.testing.assert_equal(read.summary(), matrix.summary())


# Tables, packing, masks, metrics.

fields = st.text("ab,;'\"\näé", max_size=5).map(str.strip)


@some
@given(rows=st.lists(st.lists(fields, min_size=2, max_size=2), min_size=1, max_size=5))
def test_a_csv_table_is_read_as_it_was_written(path, rows):
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["x", "y"], *rows])
    columns = read_table(path.with_suffix(".csv")).columns
    assert columns == {"x": [row[0] for row in rows], "y": [row[1] for row in rows]}


@few
@given(
    lengths=st.integers(1, 4).flatmap(lambda n: st.lists(st.integers(0, 20), min_size=2 * n, max_size=2 * n)),
    buckets=st.sampled_from([(), (5, 9)]),
)
def test_blocks_by_length_hold_every_step_of_every_sequence_once(lengths, buckets):
    inputs = tf.reshape(tf.range(1, len(lengths) * 20 + 1), [len(lengths), 20, 1])
    weights = tf.sequence_mask(lengths, 20, tf.float32)
    batch = Batch(inputs, inputs[..., 0], weights, weights, tf.constant(lengths), tf.zeros([len(lengths)], tf.int32))
    blocks = split_by_length(batch, 2, buckets)
    steps = [int(step) for block in blocks for step in block.inputs[..., 0][block.loss_weights > 0]]
    assert sorted(steps) == inputs[..., 0][weights > 0].numpy().tolist()
    assert max(blocks[0].lengths) <= min(blocks[1].lengths)


@few
@given(fraction=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 10**6), units=st.integers(1, 7))
def test_a_mask_switches_off_its_share_of_units_and_is_the_same_again(fraction, seed, units):
    def gains():
        options, network = masking.Config(fraction=fraction), {"hidden_sizes": (units,)}
        experiment = dataclasses.replace(tiny.experiment("masking", network=network), seed=seed)
        experiment = dataclasses.replace(experiment, method_options=options)
        source = build_trainer(experiment, tiny.stream(2)).method.source
        made = [source(tf.constant(task_id)) for task_id in range(2)]
        return [value.numpy() for of_task in made for name, value in of_task.items() if name.endswith("/gain")]

    first = gains()
    assert [int(np.sum(gain == 0)) for gain in first] == [int(fraction * units)] * 2
    assert all(set(gain) <= {0.0, 1.0} for gain in first)
    np.testing.assert_array_equal(first, gains())


@some
@given(data=st.data(), tasks=st.integers(2, 5))
def test_measures_of_forgetting_are_their_definitions(data, tasks):
    rows = [[data.draw(st.floats(0, 100)) for _ in range(tasks)] for _ in range(tasks)]
    matrix = ResultMatrix(
        tuple(map(str, range(tasks))), rows=[[Evaluation(0.0, score) for score in row] for row in rows]
    )
    last, old = rows[-1], range(tasks - 1)
    drops = [max(rows[i][j] for i in range(j, tasks - 1)) - last[j] for j in old]
    assert matrix.forgetting() == pytest.approx(sum(drops) / len(drops))
    assert matrix.backward_transfer() == pytest.approx(sum(last[j] - rows[j][j] for j in old) / len(drops))
    assert matrix.forgetting() >= -matrix.backward_transfer() - 1e-9
