"""Thousands of damaged files and odd command lines: each is read, or refused in one line; nothing else happens."""

import contextlib
import gzip
import hashlib
import io
import json
import random
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from clrnn_tf.config import Experiment, updated, with_present_names
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.methods import si
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.comparisons import comparisons_from
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.results import confusions_of, scores_of
from clrnn_tf.recording.run_directory import RunDirectory, as_json
from clrnn_tf.runs import load_run
from clrnn_tf.training import checkpoint_files
from clrnn_tf.training.checkpoint_files import Position
from clrnn_tf.yaml_files import read_settings
from data_pipelines import audio_clips, audioset_classes, copy_task, own_data, stroke_digits
from data_pipelines.audioset_shards import read_labels
from data_pipelines.digit_images import read_idx
from data_pipelines.stroke_text import read_text
from tests.fuzzing import in_time, mutated, nothing_runs, with_other_words
from trainers import clrnn
from trainers import run as trainers_run

QUICK = 15
SLOW = {"readers": 450, "run directory": 450, "commands": 3000}
"""Inputs; with those of `test_untrusted_files`, more than 20,000."""

# --- Data of benchmarks ----------------------------------------------------------------------------------------------


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def parquet():
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    columns = {"sequence": ["a", "a", "b", "b"], "x": [0.5, 1.0, None, 2.0], "label": ["u", "u", "v", "v"]}
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def tfrecord(path, *examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    return path.read_bytes()


def own_example(label):
    feature = tf.train.Feature
    steps = [feature(float_list=tf.train.FloatList(value=[0.5, step])) for step in range(3)]
    return tf.train.SequenceExample(
        context=tf.train.Features(feature={"label": feature(int64_list=tf.train.Int64List(value=[label]))}),
        feature_lists=tf.train.FeatureLists(feature_list={"inputs": tf.train.FeatureList(feature=steps)}),
    )


def clip_example(labels):
    feature = tf.train.Feature
    frames = [feature(bytes_list=tf.train.BytesList(value=[bytes(range(128))])) for _ in range(10)]
    return tf.train.SequenceExample(
        context=tf.train.Features(feature={"labels": feature(int64_list=tf.train.Int64List(value=labels))}),
        feature_lists=tf.train.FeatureLists(feature_list={"audio_embedding": tf.train.FeatureList(feature=frames)}),
    )


def archive_of(texts):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"sequences/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


DIGIT = b"1 0 0 0\n2 -1 0 0\n0 3 1 1\n"
STROKES = {
    "trainlabels.txt": b"3\n",
    "trainimg-0-inputdata.txt": DIGIT,
    "testlabels.txt": b"7\n",
    "testimg-0-inputdata.txt": DIGIT,
}
CSV = b"sequence,step,x,z,label,split\na,0,.5,1,up,train\na,1,1,2,up,train\nb,0,2,,down,test\nb,1,3,4,down,test\n"
X = np.arange(24.0).reshape(4, 3, 2)
STEPS = np.array([[1, 0, 0, 0], [2, -1, 0, 0], [0, 3, 1, 1]], np.int8)
CLIPS = {
    "x": np.zeros([4, 10, 128], np.uint8),
    "y": np.array([0, 0, 1, 1]),
    "train_idx": np.array([0, 2]),
    "test_idx": np.array([1, 3]),
    "meta": np.frombuffer(b'{"class_names": ["a", "b"]}', np.uint8),
}
ONTOLOGY = b'[{"id": "/m/0", "name": "Bark", "restrictions": [], "child_ids": []}]'
INDICES = b'index,mid,display_name\n0,/m/0,"Bark"\n'
QUALITY = b"Bark\t90.0%\t10\n"
IMAGES = b"\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c" + bytes(200) + bytes([255] * 40) + bytes(28 * 28 - 240)
LABELS = b"\0\0\x08\x01\0\0\0\x01\x05"


def own(name, content):
    """A reader of a directory with one task."""

    def read(folder):
        own_data.make_stream(own_data.Config(missing="mean"), folder)

    return {f"task/{name}": content}, f"task/{name}", read


def readers(folder):
    """By name: files by path, the one that is damaged, and what reads their folder."""
    clips, records = tfrecord(folder / "a", clip_example([0]), clip_example([0])), [own_example(k) for k in (0, 1)]
    audioset = dict(zip(audioset_classes.FILES, (ONTOLOGY, INDICES, QUALITY), strict=True))
    mnist = {"train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": LABELS}
    mnist |= {"t10k-images-idx3-ubyte.gz": gzip.compress(IMAGES, mtime=0), "t10k-labels-idx1-ubyte": LABELS}
    strokes = {f"{split}_{name}": array for split in ("train", "test") for name, array in _digits().items()}
    of_images = {
        f"images, {name[:12]}": (mnist, name, read_idx)
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz")
    }
    of_classes = {f"classes, {name}": (audioset, name, audioset_classes.read_candidates) for name in audioset}
    return {
        "csv": own("train.csv", CSV),
        "tsv": own("train.tsv", CSV.replace(b",", b"\t")),
        "npz": own("train.npz", saved(x=X, y=np.array([0, 1, 0, 1]), lengths=np.array([3, 2, 1, 3]))),
        "parquet": own("train.parquet", parquet()),
        "tfrecord": own("train.tfrecord", tfrecord(folder / "b", *records)),
        "a manifest": (
            {"task/manifest.csv": b"file,label\n" + 5 * b"s.npy,up\ns.npy,down\n", "task/s.npy": npy(X[0])},
            "task/s.npy",
            own("", b"")[2],
        ),
        "strokes": ({"s.npz": saved(**strokes)}, "s.npz", lambda folder: stroke_digits.read_npz(folder / "s.npz")),
        "strokes as text": (STROKES, "trainimg-0-inputdata.txt", read_text),
        "strokes in an archive": (
            {"s.tar.gz": archive_of(STROKES)},
            "s.tar.gz",
            lambda folder: read_text(folder / "s.tar.gz"),
        ),
        "clips": ({"c.npz": saved(**CLIPS)}, "c.npz", lambda folder: audio_clips.read_npz(folder / "c.npz")),
        "shards": ({"c.tfrecord": clips}, "c.tfrecord", lambda folder: read_labels([folder / "c.tfrecord"], 1)),
        **of_images,
        **of_classes,
    }


def _digits():
    return {"x": STEPS, "len": np.array([3]), "y": np.array([5])}


READERS = (
    *("csv", "tsv", "npz", "parquet", "tfrecord", "a manifest", "strokes", "strokes as text", "strokes in an archive"),
    *("clips", "shards", "images, train-images", "images, train-labels", "images, t10k-images-"),
    *(f"classes, {name}" for name in audioset_classes.FILES),
)


def refused_in_one_line(read):
    """Whether `read` refuses; then in one line that is not too long."""
    try:
        with in_time():
            read()
    except ConfigurationError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return True
    return False


def damaged(content, number, draw):
    """The next damage of a file; of text, every other one stays text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return mutated(content, draw)
    return with_other_words(content, draw) if number % 2 else mutated(content, draw)


def fuzz_readers(tmp_path, name, count, seed):
    (tmp_path / "made").mkdir()
    files, target, read = readers(tmp_path / "made")[name]
    folder, draw = tmp_path / "data", random.Random(seed)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    assert not refused_in_one_line(lambda: read(folder)), name  # as it is, it can be read
    with nothing_runs():
        refused = 0
        for number in range(count):
            (folder / target).write_bytes(damaged(files[target], number, draw))
            refused += refused_in_one_line(lambda: read(folder))
    assert refused > count / 20


@pytest.mark.parametrize("name", READERS)
def test_damaged_data_are_read_or_refused_in_one_line(tmp_path, name):
    fuzz_readers(tmp_path, name, QUICK, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_thousands_of_damaged_data_are_read_or_refused_in_one_line(tmp_path, name):
    fuzz_readers(tmp_path, name, SLOW["readers"], seed=1)


# --- Run directories -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """What a run of two tasks leaves, but for exports."""
    path = tmp_path_factory.mktemp("run") / "run"
    experiment = Experiment(benchmark="copy_task", method="si", method_options=si.Config(), data=copy_task.Config())
    run = RunDirectory.create(path, experiment, {"data_source": "somewhere", "preset": "si"})
    counts = np.eye(3, dtype=np.int64)
    row = [Evaluation(0.5, 60.0, counts, {}), Evaluation(0.7, 50.0, counts, {})]
    matrix = ResultMatrix(("a", "b"), initial=row, rows=[row, row])
    np.savez_compressed(run.confusion, **confusions_of(matrix))
    timing = {"tasks": [{"task": "a", "train_seconds": 1.0, "eval_seconds": 1.0, "steps": 3}] * 2, "total_seconds": 4.0}
    facts = {"num_parameters": 5, "num_main_network_weights": 5, "benchmark": "copy_task", "method": "si", "seed": 0}
    facts |= {"data_source": "somewhere", "versions": {"clrnn_tf": "0"}, "timing": timing}
    run.results.write_text(as_json({**scores_of(matrix), **facts}, indent=2))
    entry = {"kind": "train", "task_id": 0, "task": "a", "step": 1, "losses": {"total": 1.0}, "accuracy": 50.0}
    run.metrics.write_text("".join(json.dumps({**entry, "step": step}) + "\n" for step in (1, 2)))
    run.checkpoints.mkdir()
    arrays = {"trained": [np.arange(6.0)], "method": [np.zeros(2)]}
    facts = {"recorded": {"metrics.jsonl": 20}, "identity": {"settings": experiment.to_dict()}}
    checkpoint_files.write(run.checkpoints / "learned2.npz", Position(2, 0), arrays, facts)
    write_report(path)
    return path


def _settings(folder):
    start = Experiment(method="si", method_options=si.Config(), data=copy_task.Config())
    values = with_present_names(read_settings(folder / "config.yaml"), "si")
    values.pop("provenance", None)
    updated(start, values)


def _report(folder):
    before = (folder / "report.html").read_bytes()
    try:
        write_report(folder)
    finally:
        (folder / "report.html").write_bytes(before)


def _again(folder):
    """Load the run, unless it is whole: its data have another name."""
    with contextlib.suppress(AssertionError):
        load_run(folder)
        raise AssertionError


OF_RUNS = {
    "results.json": (lambda folder: RunDirectory(folder).load(), lambda folder: comparisons_from(folder), _report),
    "metrics.jsonl": (_report,),
    "confusion.npz": (lambda folder: RunDirectory(folder).load(),),
    "config.yaml": (_settings, lambda folder: RunDirectory.require_writable(folder, overwrite=True)),
    "checkpoints/learned2.npz": (lambda folder: checkpoint_files.read(folder / "checkpoints" / "learned2.npz"),),
}


def contents(folder):
    """A digest of every file, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def fuzz_run(run_directory, tmp_path, name, count, seed):
    folder, draw = shutil.copytree(run_directory, tmp_path / "run"), random.Random(seed)
    whole = (folder / name).read_bytes()
    for read in OF_RUNS[name]:
        assert not refused_in_one_line(lambda: read(folder))  # noqa: B023 - called at once
    with nothing_runs():
        for number in range(count):
            (folder / name).write_bytes(damaged(whole, number, draw))
            before = contents(folder) if number % 50 == 0 else None
            for read in OF_RUNS[name]:
                refused_in_one_line(lambda: read(folder))  # noqa: B023 - called at once
            assert before is None or contents(folder) == before
    (folder / name).write_bytes(whole)
    assert contents(folder) == contents(run_directory)


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_damaged_run_is_read_or_refused_in_one_line_and_stays_as_it_is(run_directory, tmp_path, name):
    fuzz_run(run_directory, tmp_path, name, QUICK, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_RUNS)
def test_thousands_of_damaged_runs_are_read_or_refused_in_one_line(run_directory, tmp_path, name):
    fuzz_run(run_directory, tmp_path, name, SLOW["run directory"], seed=1)


# --- The command line ------------------------------------------------------------------------------------------------

BENCHMARKS = [name.replace("_", "-") for name in clrnn.benchmarks()]
VALUES = (
    *("", "-1", "0", "1", "2.5", "1e3", "1e400", "nan", "inf", "-inf", "None", "null", "true", "False", "[1, 2]"),
    *("{a: 1}", "'", '"', "--", "-", "-h", "=", "\u0661", "\U0001f600", "\ud800", "a\nb", "\x1b[31m", "9" * 400),
    *("x" * 300, "../..", "/dev/null", "/dev/full", "/proc/self/mem", "~", "!!int abc", "2026-01-01", "hnet", "64 32"),
    *("1000000000000", "-2147483648", "0x10", "1_000", "auto", "lstm", "multi", "fi"),
)


def commands(draw, flags, folder):
    """Random words of a command."""
    words = []
    for _ in range(draw.choice((0, 1, 1, 2, 3, 6))):
        flag = draw.choice(flags)
        if draw.random() < 0.1:
            place = draw.randrange(len(flag) + 1)
            flag = flag[:place] + draw.choice(("", "-", "_", ".", "x", "=")) + flag[place:]
        words.append(flag)
        words += [draw.choice((*VALUES, str(folder / "run"))) for _ in range(draw.choice((0, 1, 1, 1, 2)))]
    return words


def test_the_flags_that_are_fuzzed_are_those_of_the_help():
    assert len(flags_of_help("copy-task")) > 60


def flags_of_help(name):
    """All flags that the help of a benchmark shows."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert clrnn.main([name, "--help"]) == 0
    words = (word.strip(",[]") for word in output.getvalue().split())
    return sorted({word for word in words if word.startswith("--")} - {"--help"})


def fuzz_commands(run_directory, tmp_path, monkeypatch, capfd, count, seed):
    """Everything is done up to the reading of data: settings, checks, and whether the directory may be written."""
    understood = []

    def execute(command):
        RunDirectory.require_writable(command.out, command.options.overwrite)
        command.experiment.to_dict()
        understood.append(command)
        return 0

    monkeypatch.setattr(trainers_run, "execute", execute)
    monkeypatch.setattr(trainers_run, "run_seeds", lambda plan: 0)
    monkeypatch.chdir(tmp_path)
    folder, draw = tmp_path / "runs", random.Random(seed)
    shutil.copytree(run_directory, folder / "run")
    before, flags = contents(folder), {name: flags_of_help(name) for name in BENCHMARKS}
    capfd.readouterr()
    with nothing_runs():
        for number in range(count):
            name = draw.choice(BENCHMARKS)
            words = commands(draw, flags[name], folder)
            if number % 5 == 0:
                path = folder / "settings.yaml"
                path.write_bytes(damaged((run_directory / "config.yaml").read_bytes(), number // 5, draw))
                words += ["--config", str(path)]
            with in_time():
                code = clrnn.main([name, *words])
            said = capfd.readouterr()
            assert code in (0, 2), (code, words)
            errors = [line for line in said.err.splitlines() if not line.startswith("warning: ")]
            assert len(errors) == (code == 2), (words, said.err)
            assert not errors or errors[0].startswith("error: ")
            assert "Traceback" not in said.err
    (folder / "settings.yaml").unlink(missing_ok=True)
    assert contents(folder) == before
    assert 0 < len(understood) < count


def test_odd_commands_are_understood_or_refused_in_one_line(run_directory, tmp_path, monkeypatch, capfd):
    fuzz_commands(run_directory, tmp_path, monkeypatch, capfd, 10 * QUICK, seed=0)


@pytest.mark.slow
def test_thousands_of_odd_commands_are_understood_or_refused_in_one_line(run_directory, tmp_path, monkeypatch, capfd):
    fuzz_commands(run_directory, tmp_path, monkeypatch, capfd, SLOW["commands"], seed=1)


def test_settings_of_the_fuzzed_run_are_those_of_a_run(run_directory):
    assert yaml.safe_load((run_directory / "config.yaml").read_text())["benchmark"] == "copy_task"
    assert Path(run_directory / "report.html").read_bytes().endswith(b"</html>\n")
