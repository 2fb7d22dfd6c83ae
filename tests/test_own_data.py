"""A directory of a user's own sequences."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines.own_data import Config, make_stream, quick
from data_pipelines.table_files import read_table
from tests.test_from_arrays import all_of
from trainers.own_data import BENCHMARK
from trainers.run import main

RAW = {"standardize": "none"}


def write_csv(path, rows, header=("sequence", "label", "x1", "x2"), delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def steps(number, names=("up", "down"), seed=0):
    """Rows of sequences of 2 to 4 steps, whose first input says what they are."""
    draws = np.random.default_rng(seed)
    for sequence in range(number):
        kind = sequence % len(names)
        for _ in range(2 + sequence % 3):
            yield sequence, names[kind], f"{draws.normal(3.0 * kind, 0.5):.4f}", f"{draws.normal():.4f}"


def stream_of(directory, **options):
    return make_stream(Config(**{**RAW, **options}), directory)


def error_of(directory, **options):
    with pytest.raises(ConfigurationError) as caught:
        stream_of(directory, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(directory), "DIR")


def test_a_table_has_a_row_for_each_step(tmp_path):
    rows = [("b", "yes", 1, 2), ("a", "no", 3, 4), ("b", "yes", 5, 6), ("a", "no", 7, 8), ("b", "", 9, 10)]
    write_csv(tmp_path / "one" / "train.csv", rows)
    write_csv(tmp_path / "one" / "test.csv", rows)
    stream = stream_of(tmp_path)
    batch = all_of(stream[0].test)
    assert batch.lengths.tolist() == [2, 3]
    np.testing.assert_array_equal(batch.inputs[0, :2], [[3, 4], [7, 8]])
    np.testing.assert_array_equal(batch.inputs[1], [[1, 2], [5, 6], [9, 10]])
    assert stream.class_names == ("no", "yes")
    assert (batch.targets[0, 1], batch.targets[1, 2]) == (0, 1)
    np.testing.assert_array_equal(batch.loss_weights, [[0, 1, 0], [0, 0, 1]])
    assert stream.data_facts["features"] == ["x1", "x2"] and len(stream.data_facts["fingerprint"]) == 16


def test_columns_have_names_order_and_splits(tmp_path):
    rows = [(1, 1, "train", 5.0, 30), (1, 0, "train", 4.0, 20), (2, 0, "test", 7.0, 10), (3, 0, "train", 1.0, 20)]
    write_csv(tmp_path / "t.tsv", rows, ("id", "t", "part", "speed", "kind"), "\t")
    names = {"sequence_column": "id", "step_column": "t", "split_column": "part", "label_columns": ("kind",)}
    stream = stream_of(tmp_path, **names, labels_per="step", classes=("10", "20", "30"))
    batch = all_of(stream[0].train)
    np.testing.assert_array_equal(batch.inputs[..., 0], [[1, 0], [4, 5]])
    np.testing.assert_array_equal(batch.targets, [[1, 0], [1, 2]])
    assert stream[0].test.num_examples == 1
    message = error_of(tmp_path, **names, labels_per="sequence")
    assert message.startswith("DIR/t.tsv, sequence '1' (line 2) has the labels 20 and 30. If labels are of steps,")


def test_labels_that_change_within_a_sequence_are_of_steps_and_may_be_missing(tmp_path):
    rows = [(1, 0, 1, 1), (1, 1, 1, 1), (1, "", 1, 1), (2, 0, 1, 1), (2, 0, 1, 1)]
    for split in ("train", "test"):
        write_csv(tmp_path / "a" / f"{split}.csv", rows)
    batch = all_of(stream_of(tmp_path)[0].test)
    np.testing.assert_array_equal(batch.loss_weights, [[1, 1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(batch.targets, [[0, 0, 0], [0, 1, 0]])


def test_several_labels_at_once_and_numbers(tmp_path):
    header = ("sequence", "fever", "cough", "x1")
    write_csv(tmp_path / "bits" / "a.csv", [(k, k % 2, int(k > 2), k) for k in range(8)], header)
    stream = stream_of(tmp_path / "bits", label_columns=("fever", "cough"))
    assert (stream.outputs, stream.num_outputs, stream.class_names) == ("sigmoid", 2, ())
    write_csv(tmp_path / "numbers" / "a.csv", [(k, 0.5 * k, 100 + k, k) for k in range(8)], header)
    stream = stream_of(tmp_path / "numbers", label_columns=("fever", "cough"))
    assert (stream.outputs, stream.num_outputs, stream.num_features) == ("linear", 2, 1)
    values = all_of(stream[0].train).targets[:, 0]
    inputs = all_of(stream[0].train).inputs[:, 0, 0]
    np.testing.assert_allclose(values, np.stack([0.5 * inputs, 100 + inputs], 1), rtol=1e-6)
    assert stream_of(tmp_path / "numbers", label_columns=("fever",), feature_columns=("x1",)).outputs == "linear"


def test_whole_numbers_are_classes_in_order_of_size_unless_said_otherwise(tmp_path):
    write_csv(tmp_path / "a.csv", [(k, (2, 10, 9)[k % 3], k, k) for k in range(20)])
    stream = stream_of(tmp_path)
    assert (stream.outputs, stream.class_names) == ("softmax", ("2", "9", "10"))
    assert stream_of(tmp_path, outputs="linear").num_outputs == 1


def test_every_format_gives_the_same_stream(tmp_path):
    rows = list(steps(12, ("0", "1")))
    write_csv(tmp_path / "csv" / "a.csv", rows)
    sequences = [np.array([row[2:] for row in rows if row[0] == k], np.float32) for k in range(12)]
    labels = np.arange(12) % 2

    folder = tmp_path / "npz"
    folder.mkdir()
    x = np.full((12, 4, 2), np.nan, np.float32)
    for k, sequence in enumerate(sequences):
        x[k, : len(sequence)] = sequence
    np.savez(folder / "a.npz", x=x, y=labels, lengths=[len(sequence) for sequence in sequences])

    (tmp_path / "tfrecord").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "tfrecord" / "a.tfrecord")) as writer:
        for sequence, label in zip(sequences, labels, strict=True):
            writer.write(sequence_example(sequence, label).SerializeToString())

    files = tmp_path / "manifest" / "a"
    files.mkdir(parents=True)
    for k, sequence in enumerate(sequences):
        if k % 2:
            np.save(files / f"{k}.npy", sequence)
        else:
            write_csv(files / f"{k}.csv", sequence.tolist(), ("x1", "x2"))
    names = [(f"{k}.npy" if k % 2 else f"{k}.csv", labels[k]) for k in range(12)]
    write_csv(files / "manifest.csv", names, ("file", "label"))

    formats = ["csv", "npz", "tfrecord", "manifest"]
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        pass
    else:
        (tmp_path / "parquet").mkdir()
        columns = {"sequence": [row[0] for row in rows], "label": [int(row[1]) for row in rows]}
        columns |= {f"x{k}": [float(row[1 + k]) for row in rows] for k in (1, 2)}
        pq.write_table(pa.table(columns), tmp_path / "parquet" / "a.parquet")
        formats.append("parquet")

    expected = make_stream(Config(), tmp_path / "csv")
    for name in formats:
        stream = make_stream(Config(), tmp_path / name)
        assert stream.class_names == ("0", "1"), name
        for split in ("train", "test"):
            ours, others = (all_of(getattr(one[0], split)) for one in (stream, expected))
            for field, other in zip(ours, others, strict=True):
                np.testing.assert_allclose(field, other, rtol=1e-5, atol=1e-6, err_msg=name)


def sequence_example(sequence, label=None):
    def floats(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    context = {} if label is None else {"label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
    lists = {"inputs": tf.train.FeatureList(feature=[floats(step) for step in sequence])}
    return tf.train.SequenceExample(
        context=tf.train.Features(feature=context), feature_lists=tf.train.FeatureLists(feature_list=lists)
    )


def test_tasks_are_files_and_folders_in_natural_order(tmp_path):
    for name in ("task10", "task9", "week-1"):
        write_csv(tmp_path / f"{name}.csv", steps(6))
    write_csv(tmp_path / "folder" / "train.csv", steps(6))
    write_csv(tmp_path / "folder" / "test.csv", steps(6))
    (tmp_path / "notes.txt").write_text("not a task")
    (tmp_path / "pictures").mkdir()
    assert [task.name for task in stream_of(tmp_path)] == ["folder", "task9", "task10", "week_1"]
    assert [task.name for task in stream_of(tmp_path, tasks=("week_1", "task10"))] == ["week_1", "task10"]


def test_missing_values_of_a_table(tmp_path):
    rows = [(k, k % 2, "" if k == 3 else k, k) for k in range(8)]
    write_csv(tmp_path / "a.csv", rows)
    message = error_of(tmp_path)
    assert message == (
        "DIR/a.csv, sequence '3' (line 5): inputs must be finite. Received: nan at step 0, feature 0. "
        "Set data.missing to mean or previous to allow missing values."
    )
    stream = stream_of(tmp_path, missing="mean", missing_flags=True)
    assert stream.num_features == 4


def test_quick_reads_a_part(tmp_path):
    write_csv(tmp_path / "a.csv", steps(60))
    stream = stream_of(tmp_path, max_sequences=20)
    assert (stream[0].train.num_examples, stream[0].test.num_examples) == (16, 4)
    assert quick(Config()).max_sequences == 200 and quick(Config(max_sequences=9)).max_sequences == 9


def test_numbers_in_text_files_are_read_as_written(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(1, 0, "1e-3", " -4.5 ")], delimiter=";")
    table = read_table(path)
    assert table.numbers("x1")[0] == np.float32(1e-3) and table.numbers("x2")[0] == -4.5


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


GOOD = "sequence,label,x1\n1,a,1\n2,b,2\n3,a,3\n"
BAD_FILES = {
    "no tasks": (
        {},
        "DIR holds no tasks: no file that ends in .csv, .tsv, .parquet, .npz, .tfrecord, and no folder of",
    ),
    "empty": ({"a.csv": ""}, "DIR/a.csv is empty."),
    "empty npz": ({"a.npz": ""}, "DIR/a.npz is empty."),
    "blank": ({"a.csv": "\n"}, "DIR/a.csv is empty."),
    "header only": ({"a.csv": "sequence,label,x1\n"}, "DIR/a.csv has no rows below its header."),
    "missing label": (
        {"a.csv": "sequence,x1\n1,2\n"},
        "DIR/a.csv: column 'label' is missing. Its columns: sequence, x1.",
    ),
    "missing sequence": (
        {"a.csv": "label,x1\n1,2\n"},
        "DIR/a.csv: column 'sequence' is missing. Its columns: label, x1.",
    ),
    "no inputs": (
        {"a.csv": "sequence,label\n1,2\n"},
        "DIR/a.csv: there is no column of inputs beside sequence, label.",
    ),
    "missing input": (
        {
            "a.csv": GOOD.replace("x1", "x1,x2")
            .replace("\n1,a", "\n1,a,0")
            .replace(",b", ",b,0")
            .replace("3,a", "3,a,0"),
            "b.csv": GOOD,
        },
        "DIR/b.csv: column 'x2' is missing, which DIR/a.csv has.",
    ),
    "another input": (
        {"a.csv": GOOD, "b.csv": "sequence,label,x1,z\n1,a,1,1\n"},
        "DIR/b.csv: column 'z' is not in DIR/a.csv. Name the inputs in data.feature_columns.",
    ),
    "short row": ({"a.csv": GOOD + "4,a\n"}, "DIR/a.csv, line 5: a row must have 3 fields. Received: 2."),
    "text input": ({"a.csv": GOOD + "4,a,far\n"}, "DIR/a.csv, line 5: column 'x1' must hold numbers. Received: 'far'."),
    "infinite": (
        {"a.csv": GOOD + "4,a,inf\n"},
        "DIR/a.csv, sequence '4' (line 5): inputs must be finite. Received: inf",
    ),
    "no label": ({"a.csv": GOOD + "4,,1\n"}, "DIR/a.csv, sequence '4' (line 5) has no label."),
    "no id": ({"a.csv": GOOD + ",a,1\n"}, "DIR/a.csv, line 5: column 'sequence' must not be empty."),
    "one class": (
        {"a.csv": GOOD.replace(",b,", ",a,")},
        "DIR/a.csv: labels must be of at least two classes. Received: a.",
    ),
    "unknown class": (
        {"a/train.csv": GOOD, "a/test.csv": GOOD.replace(",b,", ",c,")},
        "DIR/a/test.csv, sequence '2' (line 3): label 'c' is none of the classes a, b.",
    ),
    "not utf-8": ({"a.csv": b"sequence,label,x1\n1,\xff,1\n"}, "DIR/a.csv, line 2 must be UTF-8 text."),
    "repeated column": (
        {"a.csv": "sequence,x1,x1\n1,1,1\n"},
        "DIR/a.csv: names of columns must differ. Received twice: x1.",
    ),
    "bad split": (
        {"a.csv": "sequence,label,x1,split\n1,a,1,held\n"},
        "DIR/a.csv, line 2: column 'split' must be one of train, test, validation. Received: 'held'.",
    ),
    "no training data": (
        {"a/test.csv": GOOD},
        "DIR/a holds no training data: there is no file train, as in train.csv.",
    ),
    "two files of a split": (
        {"a/train.csv": GOOD, "a/train.tsv": GOOD},
        "DIR/a holds DIR/a/train.csv and DIR/a/train.tsv.",
    ),
    "two tasks of a name": ({"a-b.csv": GOOD, "a_b.csv": GOOD}, "DIR holds two tasks of the name 'a_b'. Rename one."),
    "too few": (
        {"a.csv": "sequence,label,x1\n1,a,1\n1,b,1\n"},
        "DIR/a.csv must hold more than 1 sequences, since test",
    ),
    "no file of a manifest": (
        {"a/manifest.csv": "file,label\nx.npy,1\n"},
        "DIR/a/manifest.csv, line 2: there is no file DIR/a/x.npy.",
    ),
    "npz that is none": ({"a.npz": "text"}, "DIR/a.npz cannot be read as an archive of arrays: "),
    "tfrecord that is none": ({"a.tfrecord": "text" * 9}, "DIR/a.tfrecord, record 0 cannot be read: "),
    "parquet that is none": ({"a.parquet": "text" * 9}, "DIR/a.parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_their_record(tmp_path, name):
    files, message = BAD_FILES[name]
    for path, content in files.items():
        text(tmp_path / path, content)
    assert error_of(tmp_path).startswith(message)


ARRAYS = {"x": np.ones((4, 3, 2)), "y": np.array([0, 1, 0, 1])}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": None}, "DIR/a.npz: array 'y' is missing. Its arrays: x."),
        ({"x": np.ones(4)}, "DIR/a.npz: x must hold numbers [N, T, F] (or [N, T]). Received: float64 of shape (4,)."),
        ({"y": np.arange(3)}, "DIR/a.npz: y must have an entry for each of the 4 sequences. Received: (3,)."),
        (
            {"y": np.zeros((4, 7, 1))},
            "DIR/a.npz: y must be [N], [N, n], [N, T] or [N, T, n] with T = 3. Received: (4, 7, 1).",
        ),
        (
            {"lengths": np.array([3, 4, 1, 1])},
            "DIR/a.npz, sequence 1: its length must be a whole number in [1, 3]. Received: 4.",
        ),
        (
            {"split": np.array(["train", "held", "", ""])},
            "DIR/a.npz, sequence 1: split must be one of train, test, validation.",
        ),
        (
            {"x": np.where(np.arange(4) == 2, np.nan, 1)[:, None, None] * np.ones((4, 3, 2))},
            "DIR/a.npz, sequence 2: inputs must be",
        ),
        ({"y": np.array([0, 1, -1, 1])}, "DIR/a.npz, sequence 2 has no label."),
        ({"y": np.array([0.5, np.nan, 1.0, 0.2])}, "DIR/a.npz, sequence 1: labels must be finite. Received: nan."),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **{name: array for name, array in {**ARRAYS, **arrays}.items() if array is not None})
    assert error_of(tmp_path).startswith(message)


def test_damaged_records_are_named(tmp_path):
    path = tmp_path / "a.tfrecord"

    def write(*examples):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                writer.write(example if isinstance(example, bytes) else example.SerializeToString())

    good = sequence_example(np.ones((3, 2)), 1)
    write(good, good)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert error_of(tmp_path).startswith("DIR/a.tfrecord, record 1 cannot be read: ")
    write(good, sequence_example(np.ones((3, 2))))
    assert (
        error_of(tmp_path) == "DIR/a.tfrecord, record 1: 'label' is missing, in the context and in the feature lists."
    )
    write(good, sequence_example([[1, 2], [3]], 0))
    assert error_of(tmp_path) == "DIR/a.tfrecord, record 1: every step must hold 2 numbers. Received: 1 at step 1."
    write(good, tf.train.SequenceExample())
    assert error_of(tmp_path) == "DIR/a.tfrecord, record 1: feature list 'inputs' is missing. It has: none."


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    text(tmp_path / "data" / "a.csv", GOOD + "4,a,far\n")
    for words, message in (
        ([], "own_data needs a directory of tasks: --data-dir DIR."),
        ([str(tmp_path / "nowhere")], "no such directory: "),
        ([str(tmp_path / "data")], f"{tmp_path}/data/a.csv, line 5: column 'x1' must hold numbers. Received: 'far'."),
        ([str(tmp_path / "data"), "--data.tasks", "b"], f"there is no task 'b' in {tmp_path}/data. Known: a."),
        ([str(tmp_path / "data"), "--data.test-share", "1.5"], "data.test_share must be in [0, 1). Received: 1.5."),
    ):
        assert main(BENCHMARK, [*words, "--out", str(tmp_path / "run")]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"error: {message}"), lines


def test_the_command_learns_a_directory_and_serves_raw_sequences(tmp_path, capsys):
    for seed, name in enumerate(("first", "second")):
        write_csv(tmp_path / "data" / f"{name}.csv", steps(90, ("up", "down"), seed))
    words = [str(tmp_path / "data"), "--preset", "fine_tuning", "--out", str(tmp_path / "run"), "--train.steps", "60"]
    words += ["--train.jit", "off", "--train.learning-rate", "0.02", "--network.hidden-sizes", "8"]
    assert main(BENCHMARK, words) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["mean_during_accuracy"] > 90
    assert results["data_source"] == "data: 2 tasks, 180 sequences"
    printed = capsys.readouterr().out
    assert "labels: one of 2 classes for each sequence\n" in printed
    assert main(BENCHMARK, ["--out", str(tmp_path / "run"), "--resume"]) == 0  # it knows where the data are
    assert "nothing to do" in capsys.readouterr().out
    write_csv(tmp_path / "others" / "first.csv", steps(4, ("up", "down"), 0))
    assert main(BENCHMARK, [str(tmp_path / "others"), "--out", str(tmp_path / "run"), "--resume"]) == 2
    assert "began with data: data: 2 tasks, 180 sequences. Received: others: 1" in capsys.readouterr().err
    served = tf.saved_model.load(str(tmp_path / "run" / "export" / "second" / "1")).signatures["raw"]
    answers = served(
        inputs=tf.constant([[[0.1, 0.0], [-0.2, 1.0]], [[3.1, 0.0], [2.7, 1.0]]]), lengths=tf.constant([2, 2])
    )
    assert answers["labels"].numpy().tolist() == [b"up", b"down"]
    metadata = json.loads((tmp_path / "run" / "export" / "second" / "1" / "metadata.json").read_text())
    assert metadata["inputs"]["raw"] == {"width": 2, "dtype": "float32"}
