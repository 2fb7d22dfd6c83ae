"""Odd files of a user's own sequences: what is refused, in one line, and what is read all the same."""

import re
import time

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import ConfigurationError, TaskStream
from clrnn_tf.errors import reason_of
from data_pipelines.own_data import Config, find_tasks
from data_pipelines.own_data_tables import feature_names, records_of
from data_pipelines.storage import DataWarning
from data_pipelines.table_files import read_table
from tests.test_own_data import ARRAYS, GOOD, error_of, sequence_example, stream_of, text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.csv": ",sequence,label,x1\n0,1,a,1\n"},
            "DIR/a.csv: column 1 has no name. Name it, or write the table without row numbers.",
        ),
        (
            {"a/manifest.csv": "file,label\nx.csv,1\ny.csv,2\n", "a/x.csv": "u,v\n1,2\n", "a/y.csv": "u,w\n1,2\n"},
            "DIR/a/y.csv: column 'v' is missing. Its columns: u, w.",
        ),
        (
            {
                "a.csv": GOOD,
                "b/manifest.csv": "file,label\nx.csv,a\ny.csv,b\n",
                "b/x.csv": "x2\n1\n",
                "b/y.csv": "x2\n1\n",
            },
            "DIR/b/manifest.csv: column 'x1' is missing, which DIR/a.csv has.",
        ),
        (
            {"a.csv": "sequence,label,step,x1\n1,a,1,1\n1,a,,1\n"},
            "DIR/a.csv, sequence '1' (line 2): every row needs a 'step'.",
        ),
        (
            {"a.csv": "sequence,label,step,x1\n1,a,2,1\n2,b,1,1\n1,a,2,1\n"},
            "DIR/a.csv, sequence '1' (line 2): column 'step' must differ from row to row. "
            "Received: 2 in line 2 and line 4.",
        ),
        (
            {"a.csv": GOOD, "b.csv": "sequence,label,x1\n1,0.5,1\n2,1.0,1\n3,2.0,1\n"},
            "labels must be of one kind. Received: numbers in DIR/b.csv, as 0.5, and names in DIR/a.csv, as 'a'. "
            "Set data.outputs to softmax if all are classes.",
        ),
        (
            {"a.csv": "sequence,label,x1\n1,a,1_000\n"},
            "DIR/a.csv, line 2: column 'x1' must hold numbers. Received: '1_000'.",
        ),
        (
            {"a/manifest.csv": "file,label\nx.csv,1\ny.csv,2\n", "a/x.csv": "1,2\n3,4\n", "a/y.csv": "1,2\n"},
            "DIR/a/x.csv: the first row must name the columns. Received: 1, 2.",
        ),
        (
            {"a.csv": "version https://git-lfs.github.com/spec/v1\n"},
            "DIR/a.csv is a pointer of Git LFS and not the file itself. Fetch it with git lfs pull.",
        ),
        (
            {"a.csv": "sequence,label,split,x1\n1,a,trian,1\n"},
            "DIR/a.csv, line 2: column 'split' must be one of train, test, validation. Received: 'trian'.",
        ),
    ],
)
def test_odd_tables_are_refused(tmp_path, files, message):
    for path, content in files.items():
        text(tmp_path / path, content)
    assert error_of(tmp_path) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("sequence,label,x1\n1,a,1\n\n\n2,b,far\n", "DIR/a.csv, line 5: column 'x1' must hold numbers."),
        ('sequence,label,x1\n1,"a\nb",1\n2,b,far\n', "DIR/a.csv, line 4: column 'x1' must hold numbers."),
        ("sequence,label,x1\r\n\r\n1,a\r\n", "DIR/a.csv, line 3: a row must have 3 fields."),
        ("sequence,label,x1\n\n1,a,nan\n2,b,1\n3,a,1\n", "DIR/a.csv, sequence '1' (line 3): inputs must be finite."),
    ],
)
def test_lines_are_counted_as_an_editor_counts_them(tmp_path, table, message):
    (tmp_path / "a.csv").write_bytes(table.encode())
    assert error_of(tmp_path).startswith(message)


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 3), ("cp1252", 3)])
def test_text_that_is_not_utf8_is_named_by_line(tmp_path, encoding, line):
    (tmp_path / "a.csv").write_bytes("sequence,label,x1\r\n1,a,1\r\n2,gr\u00fcn,1\r\n".encode(encoding))
    assert (
        error_of(tmp_path) == f"DIR/a.csv, line {line} must be UTF-8 text. Received: the byte 0xfc. Convert the file."
    )


def test_splits_and_endings_are_known_by_other_names(tmp_path):
    rows = "".join(f"{number},{'ab'[number % 2]},{number}\n" for number in range(4))
    for name in ("Train.csv", "TEST.CSV", "val.csv"):
        text(tmp_path / "task" / name, f"sequence,label,x1\n{rows}")
    text(tmp_path / "other.CSV", "sequence,label,split,x1\n1,a,Train,1\n2,b,training,1\n3,a,dev,1\n4,b,Test,1\n")
    stream = stream_of(tmp_path)
    assert [task.name for task in stream] == ["other", "task"]
    assert all(task.validation is not None for task in stream)


@pytest.mark.parametrize("missing", ["", "NaN", "NA", "n/a", "NULL", "None", "?"])
def test_what_stands_for_a_missing_number_is_missing(tmp_path, missing):
    rows = "".join(f"{number},{number % 2},{number}\n{number},{missing},{missing}\n" for number in range(8))
    text(tmp_path / "a.csv", f"sequence,label,x1\n{rows}")
    stream = stream_of(tmp_path, missing="mean", labels_per="step")
    assert stream.class_names == ("0", "1")


def test_na_is_a_class_among_words(tmp_path):
    rows = "".join(f"{number},{('NA', 'NO', 'NE')[number % 3]},{number}\n" for number in range(9))
    text(tmp_path / "a.csv", f"sequence,label,x1\n{rows}")
    assert stream_of(tmp_path).class_names == ("NA", "NE", "NO")


def test_words_that_python_takes_for_numbers_are_classes(tmp_path):
    rows = "".join(f"{number},1_{number % 2},{number}\n" for number in range(6))
    text(tmp_path / "a.csv", f"sequence,label,x1\n{rows}")
    assert stream_of(tmp_path).class_names == ("1_0", "1_1")


def test_numbers_that_may_be_classes_are_named(tmp_path):
    rows = "".join(f"{number},{number % 2}.0,{number}\n" for number in range(6))
    text(tmp_path / "a.csv", f"sequence,label,x1\n{rows}")
    with pytest.warns(DataWarning, match=re.escape("labels 0.0, 1.0 are taken for numbers; data.outputs softmax")):
        assert stream_of(tmp_path).outputs == "linear"
    assert stream_of(tmp_path, outputs="softmax").class_names == ("0.0", "1.0")


def test_files_of_no_task_are_named(tmp_path):
    rows = "".join(f"{number},{'ab'[number % 2]},{number}\n" for number in range(6))
    for name in ("a.csv", "b/part1.csv", "b/part2.csv.gz", ".b/train.csv", "README.md"):
        text(tmp_path / name, f"sequence,label,x1\n{rows}")
    with pytest.warns(DataWarning, match=r"holds files that are not read: b/part1\.csv, b/part2\.csv\.gz\."):
        assert [task.name for task in stream_of(tmp_path)] == ["a"]


def test_rows_of_parquet_are_counted_from_one(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = {"sequence": ["1", "2"], "label": ["a", "b"], "x1": ["1", "far"]}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    assert error_of(tmp_path).startswith("DIR/a.parquet, row 2: column 'x1' must hold numbers. Received: 'far'.")


def test_tasks_are_named_by_files_of_any_script(tmp_path):
    for name in ("Fräsen 2", "东", "京"):
        text(tmp_path / f"{name}.csv", GOOD)
    assert [task.name for task in stream_of(tmp_path)] == ["Frasen_2", "u4e1c", "u4eac"]
    named = find_tasks(tmp_path, ["京", "Fräsen 2"])
    assert [files.name for files in named] == ["u4eac", "Frasen_2"]
    with pytest.raises(ConfigurationError, match="names a task twice"):
        find_tasks(tmp_path, ["京", "u4eac"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"y": np.array([1, 1, -1, -1])},
            "DIR/a.npz: labels must be of at least two classes. Received: 1 and no label (-1).",
        ),
        (
            {"y": np.full((4, 3), -1)},
            "DIR/a.npz: labels must be of at least two classes. Received: no label (-1).",
        ),
        ({"y": np.zeros((4, 0))}, "DIR/a.npz: y must hold numbers or text. Received: float64 of shape (4, 0)."),
        ({"y": np.full((4, 3, 1), np.nan)}, "DIR/a.npz: at least one step must have a label. Received: none."),
        ({"y": np.array(list("abab"))}, "DIR/a.npz, sequence 0: labels must be numbers. Received: 'a'."),
        (
            {"lengths": np.array(["3"] * 4)},
            "DIR/a.npz: lengths must be whole numbers [N]. Received: <U1 of shape (4,).",
        ),
        ({"lengths": np.ones((4, 2), int)}, "DIR/a.npz: lengths must be whole numbers [N]. Received: int64 of shape"),
        ({"split": np.full((4, 2), "train")}, "DIR/a.npz: split must be text [N]. Received: <U5 of shape (4, 2)."),
    ],
)
def test_odd_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **{**ARRAYS, **arrays})
    options = {"outputs": "linear"} if "must be numbers" in message else {}
    assert error_of(tmp_path, **options).startswith(message)


def test_odd_records_are_refused_in_plain_words(tmp_path):
    path = tmp_path / "a.tfrecord"

    def write(*examples):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                writer.write(example.SerializeToString())

    good, without = sequence_example(np.ones((3, 2)), 1), sequence_example(np.ones((3, 2)))
    write(good, good)
    path.write_bytes(path.read_bytes()[:-5])
    assert re.fullmatch(r"DIR/a.tfrecord, record 1 cannot be read: truncated record at \d+\.", error_of(tmp_path))
    without.feature_lists.feature_list["label"].feature.extend([tf.train.Feature()] * 3)
    write(good, without)
    assert error_of(tmp_path) == "DIR/a.tfrecord, record 1: feature list 'label' is empty."
    spelled = tf.train.SequenceExample()
    words = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"one", b"two"]))
    spelled.feature_lists.feature_list["inputs"].feature.append(words)
    write(spelled)
    assert error_of(tmp_path) == "DIR/a.tfrecord, record 0: inputs must be numbers. Received: text at step 0."


def test_what_tensorflow_says_is_without_names_of_its_operations():
    assert reason_of("{{function_node __wrapped__Next}} cut off at 8 [Op:IteratorGetNext] name: ") == "cut off at 8"
    assert reason_of("first.\n\tsecond") == "first"
    assert reason_of("") == ""


def test_a_task_without_any_label_is_refused():
    x, y = np.ones((6, 3, 2)), np.arange(18).reshape(6, 3) % 2
    with pytest.raises(ConfigurationError, match="task 'task1', train: at least one step must have a label"):
        TaskStream.from_arrays([(x, y), (x, np.full((6, 3), -1))])


@pytest.mark.parametrize("name", ["tasks", "classes", "label_columns", "feature_columns"])
def test_names_that_are_given_twice_are_refused(name):
    with pytest.raises(ConfigurationError, match=f"data.{name} must differ. Received: a b a."):
        Config(**{name: ("a", "b", "a")})


@pytest.mark.parametrize(
    ("labels", "shown"), [(np.arange(4) % 2 * 1.0, "0.0"), (np.arange(4) % 2 == 1, "False"), (np.full(4, 0.5), "0.5")]
)
def test_numbers_in_one_file_and_names_in_another_are_refused(tmp_path, labels, shown):
    np.savez(tmp_path / "a.npz", x=ARRAYS["x"], y=labels)
    np.savez(tmp_path / "b.npz", x=ARRAYS["x"], y=np.array(list("pqpq")))
    assert f"Received: numbers in DIR/a.npz, as {shown}, and names in DIR/b.npz, as 'p'." in error_of(tmp_path)


def test_booleans_and_numbers_are_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.repeat(ARRAYS["x"], 2, axis=0), y=np.arange(8) % 2 == 1)
    np.savez(tmp_path / "b.npz", x=np.repeat(ARRAYS["x"], 2, axis=0), y=np.full(8, 0.3))
    assert stream_of(tmp_path).outputs == "linear"


def test_times_order_the_steps_whatever_their_size(tmp_path):
    rows = "".join(f"{n},{'ab'[n % 2]},{1700000000 + 1 - k},{k}\n" for n in range(8) for k in (0, 1))
    text(tmp_path / "a.csv", f"sequence,label,step,x1\n{rows}")
    table, columns = read_table(tmp_path / "a.csv"), Config().columns
    first = records_of(table, columns._replace(features=feature_names(table, columns)))[0]
    assert first.inputs.ravel().tolist() == [1, 0]


def test_labels_are_no_inputs():
    with pytest.raises(ConfigurationError, match="data.feature_columns must be no labels. Received: x."):
        Config(label_columns=("x", "z"), feature_columns=("x", "y"))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(4) % 3, "one of 3 classes for each sequence"),
        (np.arange(12).reshape(4, 3), "one of 12 classes for each step"),
        (np.zeros((4, 2), int), "2 bits, of which any may be 1, for each sequence"),
        (np.full((4, 3, 2), 0.5), "2 numbers for each step"),
        (np.full(4, 0.5), "one number for each sequence"),
    ],
)
def test_what_labels_were_taken_for_is_said(tmp_path, y, words):
    np.savez(tmp_path / "a.npz", x=np.repeat(ARRAYS["x"], 5, axis=0), y=np.repeat(y, 5, axis=0))
    assert stream_of(tmp_path).data_facts["labels"] == words


def test_too_few_labels_for_the_steps_are_counted(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((4, 3, 1)), y=np.zeros((4, 2), int))
    with pytest.raises(ConfigurationError, match="needs labels for each of its 3 steps, .* Received: 2 for all of it."):
        stream_of(tmp_path, labels_per="step")


def test_tables_of_a_manifest_may_have_their_columns_in_any_order(tmp_path):
    text(tmp_path / "a" / "manifest.csv", "file,label\nx.csv,p\ny.csv,q\nx.csv,q\n")
    text(tmp_path / "a" / "x.csv", "u,v\n1,2\n")
    text(tmp_path / "a" / "y.csv", "v,u\n20,10\n")
    table, columns = read_table(tmp_path / "a" / "manifest.csv"), Config().columns
    records = records_of(table, columns._replace(features=feature_names(table, columns)))
    assert [record.inputs.tolist() for record in records] == [[[1, 2]], [[10, 20]], [[1, 2]]]
    assert stream_of(tmp_path).data_facts["features"] == ["u", "v"]


def test_class_names_are_plain_text_and_large_numbers_stay_apart(tmp_path):
    np.savez(tmp_path / "a.npz", x=ARRAYS["x"], y=np.array([1e30, 2e30, 1e30, 2e30]))
    names = stream_of(tmp_path, outputs="softmax").class_names
    assert names == ("1e+30", "2e+30")
    assert {type(name) for name in names} == {str}


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_too_large_are_refused_without_a_warning(tmp_path):
    text(tmp_path / "a.csv", GOOD + "4,a,1e39\n")
    assert error_of(tmp_path) == "DIR/a.csv, line 5: column 'x1' must hold numbers up to 3.4e+38. Received: '1e39'."
    text(tmp_path / "a.csv", GOOD + "4,a,inf\n")
    assert error_of(tmp_path).startswith("DIR/a.csv, sequence '4' (line 5): inputs must be finite. Received: inf")


def test_text_of_parquet_may_be_bytes(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"sequence": [1, 2, 3, 4], "label": [b"up", b"down"] * 2, "x": [1.0, 2.0, 3.0, 4.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert stream_of(tmp_path).class_names == ("down", "up")


def test_many_columns_are_compared_quickly(tmp_path):
    names, zeros = ",".join(f"x{number}" for number in range(20_000)), ",".join(["0"] * 20_000)
    for task in "ab":
        rows = "".join(f"{sequence},{sequence % 2},{zeros}\n" for sequence in range(3))
        text(tmp_path / f"{task}.csv", f"sequence,label,{names}\n{rows}")
    before = time.process_time()
    assert stream_of(tmp_path).num_features == 20_000
    assert time.process_time() - before < 10  # four times as long where each name is compared with all
