"""Builders of our own for TensorFlow Datasets: small archives are prepared and read back."""

import json

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines.tfds_builders import BUILDERS, prepare

tfds = pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is the extra 'datasets'")
pytest.importorskip("importlib_resources", reason="TensorFlow Datasets needs importlib_resources")


def stroke_archive(path, lengths=(3, 1, 2)):
    steps = np.arange(4 * sum(lengths), dtype=np.int8).reshape(-1, 4) - 9
    split = {"x": steps, "len": np.array(lengths, np.int16), "y": np.array([7, 0, 9], np.uint8)}
    np.savez(path, **{f"{name}_{key}": value for name in ("train", "test") for key, value in split.items()})
    return steps


def audio_archive(path):
    clips = np.random.default_rng(0).integers(0, 256, (5, 10, 128)).astype(np.uint8)
    names = [f"sound {number}" for number in range(100)]
    np.savez(
        path,
        x=clips,
        y=np.array([4, 4, 99, 0, 0], np.int16),
        train_idx=np.array([4, 0, 2]),
        test_idx=np.array([1, 3]),
        meta=np.frombuffer(json.dumps({"class_names": names}).encode(), np.uint8),
    )
    return clips


def test_strokes_are_read_back_in_the_order_of_the_archive(tmp_path):
    steps = stroke_archive(tmp_path / "strokes.npz")
    builder = prepare("stroke_mnist", tmp_path / "strokes.npz", tmp_path / "tfds")
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 3, "test": 3}
    examples = list(builder.as_dataset(split="train").as_numpy_iterator())
    assert [len(example["strokes"]) for example in examples] == [3, 1, 2]
    assert [example["label"] for example in examples] == [7, 0, 9]
    np.testing.assert_array_equal(np.concatenate([example["strokes"] for example in examples]), steps)
    assert examples[0]["strokes"].dtype == np.int8


def test_clips_are_read_back_with_their_classes_and_splits(tmp_path):
    clips = audio_archive(tmp_path / "audio.npz")
    builder = prepare("audioset_vggish", tmp_path / "audio.npz", tmp_path / "tfds")
    train, test = (list(builder.as_dataset(split=name).as_numpy_iterator()) for name in ("train", "test"))
    assert [example["label"] for example in train] == [0, 4, 99]
    assert [example["class_name"] for example in test] == [b"sound 4", b"sound 0"]
    np.testing.assert_array_equal([example["embedding"] for example in train], clips[[4, 0, 2]])


def test_a_prepared_data_set_is_found_by_name_without_its_archive(tmp_path):
    archive = tmp_path / "strokes.npz"
    stroke_archive(archive)
    prepare("stroke_mnist", archive, tmp_path / "tfds")
    archive.unlink()
    assert prepare("stroke_mnist", archive, tmp_path / "tfds").is_prepared()
    dataset = tfds.load(
        "stroke_mnist", split="test", data_dir=str(tmp_path / "tfds"), as_supervised=True, download=False
    )
    assert [int(label) for _, label in dataset] == [7, 0, 9]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_says_what_its_data_are(name, tmp_path):
    (stroke_archive if name == "stroke_mnist" else audio_archive)(tmp_path / "a.npz")
    info = prepare(name, tmp_path / "a.npz", tmp_path / "tfds").info
    assert info.description and info.homepage
    assert info.citation.startswith("@")
    assert info.redistribution_info.license.startswith("CC BY")
    assert info.supervised_keys[1] == "label"


def test_archives_that_are_missing_damaged_or_others_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", train_x=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:50])
    for file, message in (
        ("gone.npz", "no such file: .*gone.npz. Wanted: an archive of the arrays train_x, train_len"),
        ("other.npz", "other.npz must hold train_x, .* It lacks train_len, train_y, test_x"),
        ("cut.npz", "cut.npz is no archive of arrays"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            prepare("stroke_mnist", tmp_path / file, tmp_path / "tfds")
    assert not (tmp_path / "tfds").exists()
    with pytest.raises(ConfigurationError, match="the builders are stroke_mnist, audioset_vggish. Received: mnist."):
        prepare("mnist", tmp_path / "other.npz")
