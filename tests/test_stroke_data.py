"""Strokes of digits: files of every kind, what is wrong with them, and how images become strokes."""

import dataclasses
import gzip
import importlib.util
import tarfile
import types

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import digit_images, stroke_mnist
from data_pipelines.digit_images import read_idx
from data_pipelines.stroke_digits import StrokeData, joined, read_npz, write_npz
from data_pipelines.stroke_sources import STARTER, read_strokes
from data_pipelines.stroke_text import read_text
from data_pipelines.stroke_tracing import shortest_strokes, trace

needs_scikit_image = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="scikit-image is not installed"
)


def digit(label, length=6):
    """Steps of a made-up digit that say which one it is."""
    steps = np.zeros((length, 4), int)
    steps[0, :2] = label + 1, 5
    steps[1:-1, 0] = 1
    steps[-1, 2:] = 1
    return steps


def data(num_train=40, num_test=20):
    labels = [np.arange(number) % 10 for number in (num_train, num_test)]
    return StrokeData(*(joined([digit(label, 5 + label) for label in part], part) for part in labels))


def assert_same(one, other):
    for mine, theirs in zip(one, other, strict=True):
        for field in ("steps", "lengths", "labels"):
            np.testing.assert_array_equal(getattr(mine, field), getattr(theirs, field))


def save_npz(path, **changes):
    write_npz(path, data())
    arrays = dict(np.load(path)) | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def write_text(folder, listed=True):
    """The text release: a file of steps for each digit, and labels in one file or in a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, digits in zip(("train", "test"), data(), strict=True):
        if listed:
            (folder / f"{split}labels.txt").write_text("\n".join(map(str, digits.labels)) + "\n")
        for number, label in enumerate(digits.labels):
            lines = [" ".join(map(str, row)) for row in digit(label, 5 + label)]
            (folder / f"{split}img-{number}-inputdata.txt").write_text("\n".join(lines) + "\n")
            code = " ".join(str(int(k == label)) for k in range(10))
            if not listed:
                (folder / f"{split}img-{number}-targetdata.txt").write_text(f"{code} 1 0 0 0\n{code} 0 0 1 1\n")
    return folder


def write_idx(folder, num_train=4, cut=0):
    folder.mkdir(exist_ok=True)
    for split, number in (("train", num_train), ("t10k", 3)):
        images = np.zeros((number, 28, 28), np.uint8)
        images[:, 5:20, 12:14] = 250
        header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress((header + images.tobytes())[: -cut or None])
        )
        labels = bytes([0, 0, 8, 1]) + np.array([number], ">u4").tobytes() + bytes(range(number))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(labels)
    return folder


def error(make):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_archive_is_read_as_it_was_written(tmp_path):
    write_npz(tmp_path / "stroke_mnist.npz", data())
    assert_same(read_npz(tmp_path / "stroke_mnist.npz"), data())


@pytest.mark.parametrize("listed", [True, False])
def test_the_text_release_gives_the_same_digits_as_an_archive(tmp_path, listed):
    folder = write_text(tmp_path / "sequences", listed)
    assert_same(read_text(folder), data())
    with tarfile.open(tmp_path / "sequences.tar.gz", "w:gz") as archive:
        archive.add(folder, "sequences")
    assert_same(read_text(tmp_path / "sequences.tar.gz"), data())
    assert_same(read_strokes(tmp_path, "text").data, data())


def test_strokes_from_text_are_kept_for_the_next_run(tmp_path):
    folder, cache = write_text(tmp_path / "sequences"), tmp_path / "kept" / "strokes.npz"
    first = read_strokes(tmp_path, cache=cache)
    for path in folder.iterdir():
        path.unlink()
    assert_same(read_strokes(tmp_path, cache=cache).data, first.data)


STEPS = data().train.steps.astype(float)
ROWS = np.arange(len(STEPS))[:, np.newaxis]
BAD_ARCHIVES = {
    "no labels": ({"train_y": None}, "must hold train_x, train_len, train_y"),
    "three columns": ({"train_x": STEPS[:, :3]}, r"train: steps must be \[steps, 4\]"),
    "lengths do not add up": ({"train_len": data().train.lengths[:-1]}, "a length and a label for each digit"),
    "too few steps": ({"test_x": np.zeros((5, 4), np.int8)}, "test: lengths must be above 0 and add up to the 5 steps"),
    "a label out of range": ({"train_y": np.where(np.arange(40) == 3, 11, 0)}, "digit 3: labels must be 0 to 9"),
    "not a number": ({"train_x": np.where(ROWS == 6, np.nan, STEPS)}, "digit 1, step 1: a step must be"),
    "a jump off the page": ({"train_x": np.where(ROWS == 0, 90, STEPS)}, "digit 0, step 0: a step must be"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_what_is_wrong_with_an_archive_is_said_with_the_digit(tmp_path, name):
    changes, wanted = BAD_ARCHIVES[name]
    path = save_npz(tmp_path / "stroke_mnist.npz", **changes)
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        read_npz(path)
    assert str(caught.value).startswith(str(path))


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    path = save_npz(tmp_path / "stroke_mnist.npz")
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut off" in error(lambda: read_npz(path))


def test_what_is_wrong_with_a_text_file_is_said_with_its_name(tmp_path):
    folder = write_text(tmp_path)
    file = folder / "trainimg-7-inputdata.txt"
    good = file.read_text()
    for text, wanted in (
        (good[:-3], "must hold four numbers a line. Received: 47 numbers"),
        (good.replace("1 0 0 0", "x 0 0 0", 1), "line 2: whole numbers are wanted. Received: 'x'."),
        ("", "must hold four numbers a line. Received: 0 numbers"),
    ):
        file.write_text(text)
        assert f"{file.name}" in error(lambda: read_text(folder)) and wanted in error(lambda: read_text(folder))
    file.write_text(good)
    (folder / "trainlabels.txt").write_text("0\n1\n12\n" + "3\n" * 37)
    assert "trainlabels.txt, line 3: labels must be 0 to 9. Received: 12." in error(lambda: read_text(folder))
    (folder / "trainlabels.txt").write_text("0\n1\n")
    assert "trainimg-2: its label is missing" in error(lambda: read_text(folder))


def test_a_directory_without_strokes_is_refused_with_what_was_wanted(tmp_path):
    assert "stroke_mnist.npz" in error(lambda: read_strokes(tmp_path))
    assert "train-images-idx3-ubyte" in error(lambda: read_strokes(tmp_path, "images"))
    assert "--data-dir" in error(lambda: read_strokes(None, "text"))


def test_a_digit_that_is_missing_is_named(tmp_path):
    labels = np.where(data().train.labels == 7, 6, data().train.labels)
    save_npz(tmp_path / "stroke_mnist.npz", train_y=labels)
    config = stroke_mnist.Config(num_validation=0)
    assert "there is no 7 among the training digits" in error(lambda: stroke_mnist.make_stream(config, tmp_path))
    fewer = dataclasses.replace(config, num_tasks=1, num_validation=8)
    assert "data.num_validation must be below 8" in error(lambda: stroke_mnist.make_stream(fewer, tmp_path))


def test_a_line_is_one_stroke_and_a_ring_is_visited_once():
    line = {(5, column) for column in range(4, 9)}
    assert shortest_strokes(line) == [sorted(line)]
    ring = {(r, c) for r in range(4, 9) for c in range(4, 9) if r in (4, 8) or c in (4, 8)}
    ((*pixels,),) = shortest_strokes(ring)
    assert set(pixels) == ring and len(pixels) == len(ring)


def test_a_cross_takes_two_strokes_and_the_pen_goes_straight_on_at_the_junction():
    cross = {(9, column) for column in range(4, 15)} | {(row, 9) for row in range(4, 15)}
    strokes = shortest_strokes(cross)
    assert len(strokes) in (2, 3) and sum(map(len, strokes)) == len(cross)
    assert max(map(len, strokes)) == 11


@needs_scikit_image
def test_a_thick_ring_keeps_its_loop_and_ends_in_the_bits_of_a_digit():
    rows, columns = np.mgrid[:28, :28]
    radius = np.hypot(rows - 14, columns - 14)
    steps = trace(255.0 * ((radius > 5) & (radius < 9)))
    points = steps[:, :2].cumsum(axis=0)[steps[:, 2] == 0] - 1
    assert np.abs(np.hypot(*(points - 14).T) - 7).max() < 1.6
    assert steps[:, 2].sum() == 1 and steps[-1].tolist() == [0, 0, 1, 1]
    assert np.abs(points[0] - points[-1]).max() <= 2


@needs_scikit_image
def test_images_of_mnist_become_strokes_and_damage_is_named(tmp_path):
    strokes = read_idx(write_idx(tmp_path))
    assert strokes.train.labels.tolist() == [0, 1, 2, 3]
    assert (strokes.train.steps[:, 2] == 1).sum() == 4
    assert "must hold 3136 bytes after its header. Received: 3127" in error(
        lambda: read_idx(write_idx(tmp_path, cut=9))
    )
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 77]))
    assert "labels must be 0 to 9" in error(lambda: read_idx(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0]))
    assert "must begin with a header of 8 bytes. Received: 6 bytes" in error(lambda: read_idx(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert "no train-labels-idx1-ubyte" in error(lambda: read_idx(tmp_path))


@needs_scikit_image
def test_an_empty_image_is_named():
    images = digit_images.Images(np.zeros((2, 28, 28), np.uint8), np.array([0, 1]))
    assert "somewhere, image 0: an image must show a digit" in error(lambda: digit_images.traced(images, "somewhere"))


@needs_scikit_image
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.slow
def test_the_embedded_strokes_are_those_of_the_digits_of_scikit_learn():
    assert_same(read_npz(STARTER), digit_images.read_scikit_learn())


def test_the_embedded_strokes_look_like_digits():
    train, test = read_npz(STARTER)
    assert (len(train.labels), len(test.labels)) == (1437, 360)
    assert np.bincount(train.labels).min() > 130
    assert 25 < train.lengths.mean() < 45
    assert 1.0 < train.steps[:, 2].sum() / len(train.labels) < 2.0


@needs_scikit_image
def test_images_of_tfds_become_strokes(monkeypatch):
    image = np.zeros((28, 28, 1), np.uint8)
    image[5:20, 12:14] = 250
    asked = []

    def examples(download, split, features):
        asked.append((download.dataset, split, features))
        found = {"image": np.stack([image] * 2), "label": np.array([1, 7])}
        return tf.data.Dataset.from_tensor_slices(found)

    monkeypatch.setattr(digit_images, "builder", lambda name: types.SimpleNamespace(url_infos={}))
    monkeypatch.setattr(digit_images, "examples", examples)
    strokes = read_strokes(None, "tfds")
    assert asked == [("mnist", split, ("image", "label")) for split in ("train", "test")]
    assert strokes.data.test.labels.tolist() == [1, 7]
    assert strokes.source == "TFDS mnist, traced as strokes"


def test_only_the_source_tfds_is_downloaded():
    assert "Received: data.source auto." in error(lambda: stroke_mnist.download(stroke_mnist.Config()))
