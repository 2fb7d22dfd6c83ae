"""Split AudioSet: shards, archives, the published rule for classes, and what is wrong with files."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import sound_events, split_audioset
from data_pipelines.audio_clips import AudioClips, limited, read_npz, write_npz
from data_pipelines.audioset_classes import classes_of_clips, most_frequent, read_candidates
from data_pipelines.audioset_shards import read_shards
from data_pipelines.split_audioset import Config, classes_of_tasks, make_stream, stratified

NAMES = ("Purr", "Bell", "Horn", "Drum", "Rain")
"""Classes of the test data; in the ontology they stand in another order, and Drum may not be used."""


def entry(name, restrictions=(), children=()):
    return {"id": f"/m/{name}", "name": name, "restrictions": list(restrictions), "child_ids": list(children)}


def write_lists(folder):
    """The three files that come with AudioSet: Rain's labels were found right too rarely, Drum is restricted."""
    order = [entry("Sounds", children=["/m/Horn"]), *map(entry, ("Horn", "Purr", "Rain")), entry("Drum", ["blacklist"])]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ontology.json").write_text(json.dumps([*order, entry("Bell")]))
    with (folder / "class_labels_indices.csv").open("w", newline="") as file:
        rows = [(number, f"/m/{name}", name) for number, name in enumerate(NAMES)]
        csv.writer(file).writerows([("index", "mid", "display_name"), *rows])
    quality = {"Purr": "70%", "Bell": "100%", "Horn": "90%", "Drum": "100%", "Rain": "69%", "Sounds": "-"}
    (folder / "confidence_data.csv").write_text("".join(f"{name}\t{value}\t1,0\n" for name, value in quality.items()))


def clip(labels, frames=10, width=128, value=0):
    context = tf.train.Features(
        feature={"labels": tf.train.Feature(int64_list=tf.train.Int64List(value=labels))},
    )
    one = tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes([value] * width)]))
    lists = tf.train.FeatureLists(feature_list={"audio_embedding": tf.train.FeatureList(feature=[one] * frames)})
    return tf.train.SequenceExample(context=context, feature_lists=lists).SerializeToString()


def write_shard(path, clips):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in clips:
            writer.write(record)
    return path


def shards(folder):
    """Two shards. Purr (0): 6 clips that count, Bell (1): 8, Horn (2): 5."""
    write_lists(folder)
    pairs = [clip([0, 1], value=99), clip([0], frames=9), clip([4]), clip([3, 4])]  # none of these counts
    write_shard(folder / "eval" / "b.tfrecord", [*(clip([0, 4], value=v) for v in range(6)), *pairs])
    bells = [clip([1], value=20 + v) for v in range(8)]
    write_shard(folder / "bal_train" / "a.tfrecord", [*bells, *(clip([2, 3], value=40 + v) for v in range(5))])
    return folder


def archive(path, **changes):
    rng = np.random.default_rng(0)
    clips = AudioClips(
        rng.integers(0, 256, (24, 10, 128)).astype(np.uint8),
        np.tile(np.arange(4, dtype=np.int32), 6),
        np.arange(16),
        np.arange(16, 24),
        ("a", "b", "c", "d"),
    )
    write_npz(path, clips)
    if changes:
        np.savez(path, **{**dict(np.load(path)), **changes})
    return path


def error(make):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_candidates_are_unrestricted_leaves_of_good_quality_in_the_order_of_the_ontology(tmp_path):
    write_lists(tmp_path)
    candidates = read_candidates(tmp_path)
    assert candidates.names == ("Horn", "Purr", "Bell")
    assert candidates.numbers.tolist() == [2, 0, 1]
    assert candidates.num_labels == 5


def test_a_clip_that_lost_out_for_a_class_that_is_not_chosen_comes_back():
    rows, labels = np.array([0, 1, 1, 2, 3, 3]), np.array([5, 5, 6, 7, 7, 8])
    among_all = classes_of_clips(rows, labels, np.array([7, 5, 6]), 4)
    assert among_all.tolist() == [1, -1, 0, 0]
    chosen = most_frequent(among_all, 3, 2)
    assert chosen.tolist() == [0, 1]
    assert classes_of_clips(rows, labels, np.array([7, 5]), 4).tolist() == [1, 1, 0, 0]
    assert "data.num_classes must be at most 2" in error(lambda: most_frequent(among_all, 3, 3))


def test_shards_give_the_clips_of_the_most_frequent_classes(tmp_path):
    clips = read_shards(shards(tmp_path), num_classes=2, most=5, seed=42)
    assert clips.class_names == ("Purr", "Bell")
    assert np.bincount(clips.labels).tolist() == [5, 5]
    assert np.bincount(clips.labels[clips.train]).tolist() == [4, 4]
    assert not np.intersect1d(clips.train, clips.test).size
    assert (clips.features == clips.features[:, :1, :1]).all()  # every clip of the test data has one value
    values = clips.features[:, 0, 0]
    assert set(values[clips.labels == 0]) < set(range(6)) and set(values[clips.labels == 1]) < set(range(20, 28))
    again = read_shards(tmp_path, num_classes=2, most=5, seed=42)
    np.testing.assert_array_equal(again.features, clips.features)


def test_clips_from_shards_are_kept_for_the_next_run(tmp_path):
    folder, cache = shards(tmp_path / "data"), tmp_path / "kept.npz"
    config = Config(num_tasks=1, classes_per_task=3, num_classes=3, num_validation=0, cache=cache)
    first = make_stream(config, folder)
    assert "2 shards" in first.data_source
    (folder / "eval" / "b.tfrecord").unlink()
    again = make_stream(config, folder)
    assert "kept.npz" in again.data_source
    fewer = Config(num_tasks=1, classes_per_task=2, num_classes=2, num_validation=0, cache=cache)
    assert "holds 3 classes. Received: data.num_classes 2" in error(lambda: make_stream(fewer, folder))
    for one, other in zip(
        *(stream[0].train.in_order(4, 0).as_numpy_iterator() for stream in (first, again)), strict=True
    ):
        np.testing.assert_array_equal(one.inputs, other.inputs)


BAD_RECORDS = {
    "a frame of another size": (
        [clip([1]), clip([1], width=64)],
        "record 1: frames of audio_embedding must be 128 bytes",
    ),
    "a label out of range": (
        [clip([1]), clip([1]), clip([1, 5])],
        "record 2: labels must be in [0, 4]. Received: [5].",
    ),
    "no clip": (
        [clip([1]), b"what is this?"],
        "record 1: a SequenceExample with labels and audio_embedding was wanted",
    ),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_is_named_with_its_shard(tmp_path, name):
    records, wanted = BAD_RECORDS[name]
    path = write_shard(shards(tmp_path) / "unbal_train" / "c.tfrecord", records)
    assert f"{path}, {wanted}" in error(lambda: read_shards(tmp_path, 2, 5, 42))


def test_a_shard_that_is_cut_off_is_named(tmp_path):
    path = shards(tmp_path) / "eval" / "b.tfrecord"
    path.write_bytes(path.read_bytes()[:-700])
    assert f"{path}, record 9: the shard is damaged or cut off" in error(lambda: read_shards(tmp_path, 2, 5, 42))


def test_files_that_are_missing_or_damaged_are_named(tmp_path):
    assert "audioset_vggish*.npz or .tfrecord files were wanted" in error(lambda: make_stream(Config(), tmp_path))
    assert "--data-dir" in error(lambda: make_stream(Config(source="npz")))
    shards(tmp_path)
    (tmp_path / "confidence_data.csv").write_text("Purr\t70%\t1\nBell\tmany\t1\n")
    assert "confidence_data.csv, line 2: a name, a tab and percent are wanted" in error(
        lambda: read_candidates(tmp_path)
    )
    (tmp_path / "ontology.json").unlink()
    assert "has no ontology.json" in error(lambda: read_candidates(tmp_path))


def test_a_class_without_test_clips_is_named(tmp_path):
    shards(tmp_path)
    found = error(lambda: read_shards(tmp_path, 2, 2, 42))  # a fifth of two clips is none
    assert "every class needs test clips. Received: none of class 0 (Purr)" in found
    assert found.endswith("Get more shards, or take fewer classes (data.num_classes).")


BAD_ARCHIVES = {
    "a label out of range": (
        {"y": np.full(24, 4)},
        "y, clip 0: labels must be in [0, 3], the classes of meta.",
    ),
    "features of another size": ({"x": np.zeros((24, 10, 64), np.uint8)}, "x: clips must be [N, 10, 128] numbers"),
    "not a number": ({"x": np.full((24, 10, 128), np.nan)}, "x, clip 0: features must be in [0, 255]"),
    "fewer clips than labels": ({"x": np.zeros((23, 10, 128), np.uint8)}, "a label for each of 23 clips"),
    "an index out of range": ({"test_idx": np.arange(16, 25)}, "test_idx: indices must be in [0, 23]"),
    "a clip in both parts": ({"test_idx": np.arange(15, 24)}, "no clip may be in train_idx and test_idx"),
    "an empty class": ({"train_idx": np.arange(3)}, "every class needs training clips. Received: none of class 3 (d)"),
    "no names": ({"meta": np.frombuffer(b"{}", np.uint8)}, "must hold x, y, train_idx, test_idx, meta"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_what_is_wrong_with_an_archive_is_said_with_the_clip(tmp_path, name):
    changes, wanted = BAD_ARCHIVES[name]
    path = archive(tmp_path / "audioset_vggish.npz", **changes)
    assert (found := error(lambda: read_npz(path))).startswith(str(path)) and wanted in found


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    path = archive(tmp_path / "audioset_vggish.npz")
    path.write_bytes(path.read_bytes()[:-300])
    assert "cut off" in error(lambda: read_npz(path))


def test_fewer_clips_than_asked_for_are_refused_with_the_class(tmp_path):
    clips = read_npz(archive(tmp_path / "audioset_vggish.npz"))
    assert np.bincount(clips.labels[limited(clips, 5, "here").train]).tolist() == [4, 4, 4, 4]
    found = error(lambda: limited(clips, 10, "here"))
    assert found == ("here: data.clips_per_class 10 takes 8 training clips of each class. Received: 4 of class 0 (a).")
    many = Config(num_tasks=1, classes_per_task=4, num_validation=13)
    assert "data.num_validation must be at most 12" in error(lambda: make_stream(many, tmp_path))
    assert "must be at most 4, the classes of the data" in error(lambda: make_stream(Config(), tmp_path))


def test_classes_of_tasks_are_those_published_for_the_same_seed():
    rows = classes_of_tasks(Config(), 100)
    assert rows[0].tolist() == [83, 53, 70, 45, 44, 39, 22, 80, 10, 0]  # published for seed 42
    assert sorted(np.concatenate(rows)) == list(range(100))
    fewer = classes_of_tasks(Config(num_tasks=3, classes_per_task=4), 100)
    assert [row.tolist() for row in fewer] == [rows[number][:4].tolist() for number in range(3)]
    assert len(classes_of_tasks(Config(num_tasks=20, classes_per_task=5), 100)) == 20


def test_classes_are_numbered_by_their_place_in_the_row(tmp_path):
    archive(tmp_path / "audioset_vggish.npz")
    config = Config(num_tasks=2, classes_per_task=2, num_validation=2)
    stream = make_stream(config, tmp_path)
    rows = classes_of_tasks(config, 4)
    assert [(task.train.num_examples, task.validation.num_examples, task.test.num_examples) for task in stream] == [
        (6, 2, 4)
    ] * 2
    clips = read_npz(tmp_path / "audioset_vggish.npz")
    (batch,) = stream[1].test.in_order(4, 1).as_numpy_iterator()
    for inputs, targets, weights in zip(batch.inputs, batch.targets, batch.eval_weights, strict=True):
        number = next(n for n in clips.test if (clips.features[n] == inputs).all())
        assert rows[1][targets[9]] == clips.labels[number]
        assert weights.tolist() == [0.0] * 9 + [1.0]


def test_scaled_features_are_the_raw_ones_by_255(tmp_path):
    archive(tmp_path / "audioset_vggish.npz")
    raw, scaled = (
        next(iter(make_stream(Config(num_tasks=1, classes_per_task=4, scaled=s), tmp_path)[0].test.in_order(8, 0)))
        for s in (False, True)
    )
    np.testing.assert_allclose(scaled.inputs, raw.inputs / 255, rtol=1e-6)
    assert raw.inputs.numpy().max() > 200


def test_validation_clips_are_of_every_class_in_proportion():
    labels = np.repeat([0, 1, 2], [80, 40, 40])
    chosen = stratified(np.arange(160), labels, 20, np.random.RandomState(1))
    assert np.abs(np.bincount(labels[chosen]) - [10, 5, 5]).max() <= 1
    assert len(set(chosen)) == 20


def test_synthesised_sounds_have_the_form_of_the_real_clips_and_differ_by_class():
    clips = sound_events.synthesise([3, 70], 10, seed=1)
    assert clips.features.shape == (20, 10, 128) and clips.features.dtype == np.uint8
    assert (len(clips.train), len(clips.test)) == (16, 4)
    alone = sound_events.synthesise([70], 10, seed=1)
    np.testing.assert_array_equal(alone.features, clips.features[10:])
    means = clips.features.reshape(20, -1).astype(float)
    centres = np.stack([means[:8].mean(axis=0), means[10:18].mean(axis=0)])
    nearest = np.linalg.norm(means[:, None] - centres, axis=-1).argmin(axis=1)
    assert (nearest == clips.labels).mean() > 0.8


def test_the_input_model_asks_at_the_last_frame():
    assert split_audioset.last_frame(tf.zeros([2, 10, 128])).numpy().argmax(axis=1).tolist() == [9, 9]
