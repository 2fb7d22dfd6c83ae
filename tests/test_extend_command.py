"""`--extend RUN`: a run that goes on from another one, its certificate, and what is published of it."""

import contextlib
import io
import json
import math

import numpy as np
import pytest

from clrnn_tf.extension.certifier import RegressionError
from clrnn_tf.recording.certificates import Certificate, OldTask, read_certificate
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.runs import load_run
from export import export_all_tasks, saved_model
from export.releases import served
from trainers import execute
from trainers.copy_task import BENCHMARK
from trainers.run import main

SMALL = (
    "--preset hnet_permuted --network.heads single --network.hidden-sizes 8 --data.num-tasks 2 --data.num-train 300 "
    "--data.num-test 40 --data.num-validation 0 --data.input-length 2 --train.steps 60 --train.jit off "
    "--train.learning-rate 0.01 --train.log-every 30 --hypernetwork.hidden-sizes 10"
)
ONE_MORE = "--data.num-tasks 3 --train.steps 4"


def run(arguments):
    """Exit code, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(BENCHMARK, arguments.split())
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run without exports, which an extension does not need."""
    path = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "Exporter", NoExporter)
        code, _, err = run(f"{SMALL} --out {path}")
    assert code == 0, err
    return path


class NoExporter(Observer):
    """Exports nothing."""

    largest_difference = 0.0

    def __init__(self, model, directory):
        pass


@pytest.fixture(scope="module")
def extended(trained):
    """A run that was stopped as soon as it had begun, continued, and published."""
    path = trained.parent / "extended"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "learn", stopped)
        assert run(f"--extend {trained} {ONE_MORE} --out {path} --max-drop 100")[0] == 130
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "Exporter", ExporterOfAllInOne)
        code, out, err = run(f"--resume --out {path} --publish {path.parent / 'served'}")
    assert code == 0, err
    assert "exported 3 tasks" in out
    assert "published copy_task, version 1" in out
    return path


class ExporterOfAllInOne(NoExporter):
    """Exports only the model of all tasks, which is what is published."""

    def __init__(self, model, directory):
        self.model, self.directory = model, directory

    def run_began(self, stream, first_task, matrix):
        self.stream = stream

    def run_ended(self, matrix):
        export_all_tasks(self.model, self.stream, self.directory, matrix.final())


def stopped(*_, **__):
    raise KeyboardInterrupt


def test_the_results_have_a_new_row_and_a_new_column(trained, extended):
    before, after = (RunDirectory(path).load() for path in (trained, extended))
    assert after.task_names == ("task0", "task1", "task2")
    assert after.finished
    np.testing.assert_array_equal(after.scores()[:2, :2], before.scores())
    assert math.isnan(after.scores()[0, 2])  # nobody knows any more
    assert np.isfinite(after.scores()[1:, 2]).all()
    assert all(math.isfinite(number) for number in after.summary().values() if number is not None)
    assert [entry["task"] for entry in RunDirectory(extended).read_results()["timing"]["tasks"]] == [
        "task0",
        "task1",
        "task2",
    ]
    tasks = [json.loads(line)["task"] for line in (extended / "metrics.jsonl").read_text().splitlines()]
    assert tasks == ["task0", "task0", "task1", "task1", "task2"]


def test_the_certificate_compares_old_tasks(trained, extended):
    certificate = read_certificate(extended)
    matrix = RunDirectory(extended).load()
    assert [old.task for old in certificate.old_tasks] == ["task0", "task1"]
    for number, old in enumerate(certificate.old_tasks):
        assert (old.before, old.after) == tuple(matrix.scores()[1:, number])
        assert old.drop == old.before - old.after
        assert 0.0 < old.change_of_weights < 0.2
        assert old.change_of_outputs > 0.0
    assert certificate.max_drop == 100.0 and certificate.passed
    assert (
        "task2" in (extended / "report.html").read_text() and "One more task" in (extended / "report.html").read_text()
    )


def test_the_model_of_all_tasks_is_published_with_its_certificate(extended):
    directory = extended.parent / "served"
    assert served(directory) == {"copy_task": 1}
    version = directory / "copy_task" / "1"
    assert json.loads((version / "certificate.json").read_text())["passed"]
    card = (version / "MODEL_CARD.md").read_text()
    assert "## One more task" in card and "| task1 |" in card
    assert json.loads((version / "metadata.json").read_text())["tasks"] == ["task0", "task1", "task2"]


def test_an_extended_run_is_extended_again_and_keeps_old_tasks_bit_for_bit(extended, tmp_path, monkeypatch):
    before = load_run(extended)
    monkeypatch.setattr(saved_model, "Exporter", NoExporter)
    changes = {"data": {"num_tasks": 4}, "train": {"steps": 4}}
    after = before.extend(tmp_path / "again", changes, keep_exact=True, max_drop=0.0)
    assert after.learned == ("task0", "task1", "task2", "task3")
    assert read_certificate(after.path).are_exact
    np.testing.assert_array_equal(after.matrix.scores()[3, :3], before.matrix.scores()[2])
    assert load_run(after.path).matrix.num_learned == 4


def test_nothing_is_exported_past_the_threshold(trained, tmp_path):
    out = tmp_path / "worse"
    spoil = f"--train.learning-rate 1.0 --hnet.strength 0 --publish {tmp_path / 'served'}"
    code, _, err = run(f"--extend {trained} {ONE_MORE} {spoil} --out {out}")
    assert code == 1
    assert err.count("\n") == 1 and "lost" in err and "--max-drop allows 1, so nothing is exported" in err
    assert not (out / "export").exists() and not (tmp_path / "served").exists()
    assert not read_certificate(out).passed
    assert "must not be published" in (out / "report.html").read_text()
    again, _, err = run(f"--resume --out {out}")
    assert again == 1 and "lost" in err


@pytest.mark.slow
def test_a_regression_is_an_error_in_python_too(trained, tmp_path):
    changes = {"data": {"num_tasks": 3}, "train": {"steps": 2, "learning_rate": 1.0}, "hnet": {"strength": 0.0}}
    with pytest.raises(RegressionError, match="lost"):
        load_run(trained).extend(tmp_path / "worse", changes)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--data.num-tasks 2", "needs the 2 tasks of"),
        ("--data.num-tasks 4", "and one more, the last one"),
        ("--data.num-tasks 3 --data.data-seed 7", "other test data"),
        ("--data.num-tasks 3 --network.hidden-sizes 9", "another network.hidden_sizes"),
        ("--data.num-tasks 3 --seed 1", "Received: --seed; leave it out"),
        ("--data.num-tasks 3 --max-drop -1", "at least 0"),
    ],
)
def test_what_is_no_extension_is_refused_before_anything_is_written(trained, tmp_path, more, message):
    code, _, err = run(f"--extend {trained} {more} --out {tmp_path / 'new'}")
    assert code == 2 and message in err and err.count("\n") == 1
    assert not (tmp_path / "new" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--extend {run} --data.num-tasks 3", "--extend needs --out"),
        ("--extend {run}/none --out x", "no run to extend"),
        ("--keep-exact", "--keep-exact is for --extend"),
        ("--max-drop 2", "--max-drop is for --extend"),
    ],
)
def test_flags_of_an_extension_are_checked(trained, arguments, message):
    code, _, err = run(arguments.format(run=trained))
    assert code == 2 and message in err


def certificate(max_drop=1.0, keep_exact=False):
    old = OldTask("en", 93.0, 91.5, 1.5, 2.0, 0.3, 0.01)
    kept = OldTask("de", 90.0, 90.0, 0.0, 0.0, 0.0, 0.0)
    return Certificate("sv", 94.0, "accuracy", (kept, old), max_drop, keep_exact)


def test_a_certificate_is_as_good_as_its_worst_task(tmp_path):
    assert certificate().worst.task == "en" and not certificate().passed
    assert certificate(max_drop=1.5).passed
    assert "keep-exact" in certificate(max_drop=1.5, keep_exact=True).fault
    certificate().write(tmp_path)
    assert read_certificate(tmp_path) == certificate()
    (tmp_path / "certificate.json").write_text("{}")
    with pytest.raises(Exception, match="damaged"):
        read_certificate(tmp_path)
    assert read_certificate(tmp_path / "none") is None
