import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.training.learning import learn
from data_pipelines import pos_tagging
from export import saved_model
from export.saved_model import ExportDiffersError, Exporter, export_task, largest_difference
from tests import tiny
from tests.data_files import sentence, write_files


@pytest.mark.parametrize("method", ["fine_tuning", "hnet"])
@pytest.mark.parametrize(("loss", "ngrams"), [("softmax", True), ("sigmoid", False), ("linear", False)])
def test_the_export_equals_the_model(tmp_path, method, loss, ngrams):
    stream = tiny.stream(2, loss=loss, ngrams=ngrams)
    trainer = build_trainer(tiny.experiment(method), stream)
    trainer.fit(stream[0])
    path = export_task(trainer.model, stream, 1, tmp_path)
    assert largest_difference(trainer.model, stream, 1, path) < 1e-5
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    batch = next(iter(stream[1].test.in_order(5, 1)))
    outputs = served(inputs=batch.inputs, lengths=batch.lengths)
    logits = outputs["logits"].numpy()
    if loss == "softmax":
        np.testing.assert_array_equal(outputs["classes"], logits.argmax(-1))
        np.testing.assert_allclose(tf.reduce_sum(outputs["probabilities"], -1), 1, rtol=1e-5)
    elif loss == "sigmoid":
        np.testing.assert_array_equal(outputs["bits"], logits >= 0)
    assert set(outputs) >= {"logits"}


def test_an_export_does_not_change_with_further_training(tmp_path):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    trainer.fit(stream[0])
    assert largest_difference(trainer.model, stream, 0, path) > 1e-3


def test_a_finished_run_has_one_verified_model_for_each_task(tmp_path):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(train={"steps": 5}), stream)
    exporter = Exporter(trainer.model, tmp_path)
    trainer.observers.append(exporter)
    learn(stream, trainer)
    assert sorted(path.parent.parent.name for path in tmp_path.glob("*/1/saved_model.pb")) == ["all-tasks", "t0", "t1"]
    assert exporter.largest_difference < 1e-5


def test_a_model_that_differs_from_the_trained_one_is_not_left_to_be_served(tmp_path, monkeypatch):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(train={"steps": 2}), stream)
    trainer.observers.append(Exporter(trainer.model, tmp_path))
    monkeypatch.setattr(saved_model, "largest_difference_of_all", lambda *_: 0.5)
    with pytest.raises(
        ExportDiffersError, match="all-tasks/1 differed from the model by 0.5 in its logits, and was rem"
    ):
        learn(stream, trainer)
    assert sorted(path.parent.parent.name for path in tmp_path.glob("*/1/saved_model.pb")) == ["t0", "t1"]


def test_an_export_holds_the_weights_of_its_task_only(tmp_path):
    stream = tiny.stream(2, ngrams=True)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    loaded = tf.saved_model.load(str(path))
    shapes = sorted(tuple(variable.shape) for variable in loaded.signatures["serving_default"].variables)
    assert (8, 3) in shapes  # this task's n-gram table
    assert (16, 3) not in shapes
    stored = {tuple(shape) for _, shape in tf.train.list_variables(str(path / "variables" / "variables"))}
    assert (16, 3) not in stored


LOADER = """
import sys
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
outputs = served(inputs=tf.zeros([2, 3, 3]), lengths=tf.constant([3, 1]))
assert not any(name.split(".")[0] in ("clrnn_tf", "export") for name in sys.modules), "our code was loaded"
print(sorted(outputs))
"""


def test_the_export_loads_without_our_code(tmp_path):
    stream = tiny.stream(1)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['classes', 'logits', 'probabilities']"


class Spelled(tf.Module):
    """Words of the tiny stream: `a`, `b`, `c` are its symbols."""

    def __call__(self, words):
        return tf.cast(words[..., tf.newaxis] == tf.constant(["a", "b", "c"]), tf.float32)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """The path of an exported model that takes words, and its trainer."""
    stream = dataclasses.replace(tiny.stream(2), word_encoder=lambda task_id: Spelled(), data_facts={"fingerprint": 7})
    trainer = build_trainer(tiny.experiment(), stream)
    trainer.fit(stream[0])
    return export_task(trainer.model, stream, 1, tmp_path_factory.mktemp("models"), accuracy=97.5), trainer


def test_words_go_in_and_tags_come_out(tagger):
    path, trainer = tagger
    tag = tf.saved_model.load(str(path)).signatures["tag"]
    words = tf.constant([["b", "a", "", ""], ["", "", "", ""], ["c", "", "a", "b"]])
    outputs = {name: value.numpy() for name, value in tag(words=words).items()}
    logits = trainer.model(Spelled()(words), tf.constant([2, 0, 4]), tf.constant(1)).logits.numpy()
    real = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)  # an empty word inside of a row is a word
    np.testing.assert_array_equal(outputs["classes"], np.where(real, logits.argmax(-1), -1))
    np.testing.assert_array_equal(outputs["tags"], np.array([b"", b"a", b"b", b"c"])[outputs["classes"] + 1])
    expected = np.where(real[..., np.newaxis], tf.nn.softmax(logits), 0)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_no_words_have_no_tags(tagger, shape):
    outputs = tf.saved_model.load(str(tagger[0])).signatures["tag"](words=tf.zeros(shape, tf.string))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "tags": shape,
        "classes": shape,
        "probabilities": (*shape, 3),
    }


def test_a_row_of_ten_thousand_words_is_tagged(tagger):
    tags = tf.saved_model.load(str(tagger[0])).signatures["tag"](words=tf.fill([1, 10_000], "a"))["tags"].numpy()
    assert tags.shape == (1, 10_000) and b"" not in tags


def test_an_export_says_what_it_is(tagger):
    path, _ = tagger
    assert (path / "labels.txt").read_text() == "a\nb\nc\n"
    said = json.loads((path / "metadata.json").read_text())
    assert (said["task"], said["benchmark"], said["signatures"]) == ("t1", "tiny", ["serving_default", "tag"])
    assert said["class_names"] == ["a", "b", "c"] and said["test_accuracy"] == 97.5
    assert said["data_source"] == "generated for tests" and said["fingerprint"] == 7
    assert said["inputs"] == {"serving_default": {"width": 3, "dtype": "float32"}, "tag": "words"}
    assert said["versions"]["tensorflow"] == tf.__version__


def test_a_model_that_takes_no_words_has_the_numeric_signature_alone(tmp_path):
    stream = tiny.stream(1)
    path = export_task(build_trainer(tiny.experiment(), stream).model, stream, 0, tmp_path)
    assert list(tf.saved_model.load(str(path)).signatures) == ["serving_default"]
    assert json.loads((path / "metadata.json").read_text())["signatures"] == ["serving_default"]


TAGGER = """
import sys
import tensorflow as tf
tag = tf.saved_model.load(sys.argv[1]).signatures["tag"]
tags = tag(words=tf.constant([["Das", "ist", "gut", "."], ["Ja", "", "", ""]]))["tags"]
ours = ("clrnn_tf", "data_pipelines", "export", "trainers")
assert not any(name.split(".")[0] in ours for name in sys.modules), "our code was loaded"
print([[bool(tag) for tag in row] for row in tags.numpy().tolist()])
"""


def test_a_tagger_with_its_vocabulary_answers_without_our_code(tmp_path):
    rng = np.random.default_rng(0)
    lines = "".join(f"{word} {rng.normal():.3f} {rng.normal():.3f}\n" for word in ("Das", "ist", "gut", "."))
    text = sentence("Das", "ist", "gut", ".")
    folder = "UD_German-Small/de_small-ud"
    write_files(tmp_path, {f"{folder}-train.conllu": text, f"{folder}-test.conllu": text, "wordvec/de.vec": lines})
    stream = pos_tagging.make_stream(pos_tagging.Config(letters=True, ngram_dim=4, num_buckets=50), tmp_path)
    path = export_task(build_trainer(tiny.experiment(), stream).model, stream, 0, tmp_path / "models")
    moved = tmp_path / "elsewhere"
    shutil.move(path, moved)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", TAGGER, str(moved)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[[True, True, True, True], [True, False, False, False]]"
