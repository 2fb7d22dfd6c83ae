import dataclasses
import json
import math

import numpy as np
import pytest
import yaml

from clrnn_tf import durable_files
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.events import TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from tests import tiny

FACTS = {"num_parameters": 10, "num_main_network_weights": 20}


def evaluation(accuracy, loss=1.0, classes=2):
    return Evaluation(loss, accuracy, np.array([[3, 1], [2, 4]]) if classes else None)


def matrix_of(rows, classes=2):
    matrix = ResultMatrix(("t0", "t1"), initial=[evaluation(50.0, classes=classes)] * 2)
    for row in rows:
        matrix.add([evaluation(accuracy, classes=classes) for accuracy in row])
    return matrix


def create(path, **options):
    return RunDirectory.create(path, tiny.experiment(), {"data_source": "somewhere"}, **options)


def record(run, matrix, stream=None, first_task=0, observer=None, recorded=None):
    """Tell a recorder about two logs and a validation of each task, and about the rows of `matrix`."""
    stream = stream or tiny.stream(2)
    recorder = observer or FileRecorder(run, tiny.experiment(), FACTS)
    if recorded is not None:
        recorder.rewind(recorded)
    so_far = ResultMatrix(matrix.task_names, matrix.initial, matrix.rows[:first_task])
    recorder.run_began(stream, first_task, so_far)
    for row, task in list(zip(matrix.rows, stream, strict=False))[first_task:]:
        for step in (20, 40):
            recorder.trained(TrainingLog(task, step, 40, {"total": 2.0, "task": 1.5}, 60.0 + step, 0.5, 0.01))
        recorder.validated(ValidationLog(task, 40, evaluation(70.0)))
        so_far.add(row)
        result = TaskResult(task, row, 1.0, 0.5, 40, {"teacher": 100 * task.task_id}, 3.0, 0.25)
        recorder.task_learned(result, so_far)
    recorder.run_ended(so_far)
    return recorder


def test_facts_about_the_data_stand_in_the_results(tmp_path):
    facts = {"coverage": {"t0": {"train": 0.5}}, "fingerprint": "ab"}
    for name, stream in (("with", dataclasses.replace(tiny.stream(2), data_facts=facts)), ("without", None)):
        run = create(tmp_path / name)
        record(run, matrix_of([[80.0, 40.0]]), stream)
        assert json.loads(run.results.read_text()).get("data") == (facts if stream else None)


@pytest.mark.parametrize("classes", [0, 2])
def test_results_come_back_as_they_were(tmp_path, classes):
    run = create(tmp_path / "run")
    assert run.load() is None
    matrix = matrix_of([[80.0, 40.0], [70.5, 90.0]], classes)
    record(run, matrix)
    loaded = run.load()
    assert loaded.task_names == matrix.task_names
    assert loaded.further_metrics == ("weighted_f1",) * bool(classes)
    for metric in matrix.initial[0].metrics:
        np.testing.assert_array_equal(loaded.scores(metric), matrix.scores(metric))
    assert loaded.summary() == matrix.summary()


def test_results_hold_what_they_promise(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of([[80.0, 40.0], [70.0, 90.0]]))
    results = json.loads(run.results.read_text())
    assert results["schema_version"] == 1
    assert (results["mean_during_accuracy"], results["mean_final_accuracy"]) == (85.0, 80.0)
    assert (results["forgetting"], results["worst_final_accuracy"]) == (10.0, 70.0)
    assert results["during_accuracy"] == [80.0, 90.0]
    assert results["final_accuracy"] == [70.0, 90.0]
    assert results["data_source"] == "generated for tests"
    assert results["versions"]["tensorflow"]
    assert results["kept_bytes"] == [{"teacher": 0}, {"teacher": 100}]
    assert results["timing"]["tasks"][1] == {"task": "t1", "train_seconds": 1.0, "eval_seconds": 0.5, "steps": 40}
    assert (results["timing"]["compile_seconds"], results["timing"]["compile_share"]) == (3.0, 0.25)
    assert run.table.read_text() == "after,t0,t1\nt0,80.0000,40.0000\nt1,70.0000,90.0000\n"


def test_results_after_the_first_task_are_unfinished_and_have_no_nan(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of([[80.0, 40.0]], classes=0))
    results = json.loads(run.results.read_text(), parse_constant=pytest.fail)
    assert results["finished"] is False
    assert results["forgetting"] is None
    assert math.isnan(run.load().forgetting())


def test_settings_are_complete(tmp_path):
    run = create(tmp_path / "run")
    stored = yaml.safe_load(run.config.read_text())
    provenance = stored.pop("provenance")
    assert stored == tiny.experiment().to_dict()
    assert provenance["data_source"] == "somewhere"
    assert set(provenance["versions"]) == {"clrnn_tf", "tensorflow", "keras"}


ROWS = [[80.0, 40.0], [70.0, 90.0]]


def test_a_continued_run_drops_entries_that_are_later_than_its_checkpoint(tmp_path):
    straight, killed = create(tmp_path / "straight"), create(tmp_path / "killed")
    record(straight, matrix_of(ROWS))
    recorded = record(killed, matrix_of(ROWS[:1])).recorded()
    with killed.metrics.open("a") as file:
        file.write('{"kind": "train", "task_id": 1}\n{"kind": "train", "task_id": 1, "st')  # killed inside a line
    record(killed, matrix_of(ROWS), first_task=1, recorded=recorded)
    assert killed.metrics.read_text() == straight.metrics.read_text()
    assert killed.results.read_text() == straight.results.read_text()


@pytest.mark.parametrize("damage", [lambda log: log[:100], lambda log: bytes(len(log)), lambda log: b"[" * len(log)])
def test_a_damaged_log_is_named_and_a_missing_one_begun_anew(tmp_path, damage):
    run = create(tmp_path / "run")
    recorder = record(run, matrix_of(ROWS[:1]))
    recorded = recorder.recorded()
    run.metrics.write_bytes(damage(run.metrics.read_bytes()))
    with pytest.raises(ConfigurationError, match=r"metrics.jsonl is damaged \(.*\)\. Remove it to go on\."):
        recorder.rewind(recorded)
    run.metrics.unlink()
    with pytest.warns(UserWarning, match="metrics.jsonl is missing; curves in the report have gaps"):
        record(run, matrix_of(ROWS), first_task=1, recorded=recorded)
    assert {json.loads(line)["task_id"] for line in run.metrics.read_text().splitlines()} == {1}


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    durable_files.write_text(path, "old")
    monkeypatch.setattr(durable_files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        durable_files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_directories_that_are_there_are_kept(tmp_path):
    path = tmp_path / "run"
    create(path)
    with pytest.raises(ConfigurationError, match="--resume.*--out.*--overwrite"):
        create(path)
    (path / "results.json").touch()
    create(path, overwrite=True)
    assert not (path / "results.json").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").touch()
    with pytest.raises(ConfigurationError, match="no run of ours"):
        create(other, overwrite=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    create(empty)


def test_a_setting_that_is_newer_than_a_run_has_its_default(tmp_path):
    run = RunDirectory.create(tmp_path / "run", tiny.experiment(), {"data_source": "generated for tests"})
    settings = yaml.safe_load(run.config.read_text())
    del settings["train"]["output_dropout"], settings["hnet"]["targets"]
    run.config.write_text(yaml.safe_dump(settings))
    RunDirectory.open(run.path, tiny.experiment())
    with pytest.raises(ConfigurationError, match=r"train.output_dropout \(stored 0.0, now 0.5\)"):
        RunDirectory.open(run.path, tiny.experiment(train={"output_dropout": 0.5}))


def test_a_run_is_continued_with_its_own_settings_and_data_only(tmp_path):
    create(tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run", tiny.experiment())
    stream = dataclasses.replace(tiny.stream(), data_source="somewhere")
    run.require_same_data(stream)
    with pytest.raises(ConfigurationError, match="began with data: somewhere. Received: elsewhere"):
        run.require_same_data(dataclasses.replace(stream, data_source="elsewhere"))
    stored = yaml.safe_load(run.config.read_text())
    stored["provenance"]["fingerprint"] = "abc"
    run.config.write_text(yaml.safe_dump(stored))
    run.require_same_data(dataclasses.replace(stream, data_facts={"fingerprint": "abc"}))
    with pytest.raises(ConfigurationError, match=r"have changed .* \(fingerprint abc\). Received: fingerprint xyz"):
        run.require_same_data(dataclasses.replace(stream, data_facts={"fingerprint": "xyz"}))
    with pytest.raises(ConfigurationError, match=r"train.steps \(stored 40, now 41\)"):
        RunDirectory.open(tmp_path / "run", tiny.experiment(train={"steps": 41}))
    with pytest.raises(ConfigurationError, match="no run to continue"):
        RunDirectory.open(tmp_path / "nowhere", tiny.experiment())


def test_damaged_results_are_named(tmp_path):
    run = create(tmp_path / "run")
    run.results.write_text('{"half": ')
    with pytest.raises(ConfigurationError, match="results.json is damaged"):
        run.load()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_parameters", None, "num_parameters is no number"),
        ("num_parameters", 10**400, "num_parameters is no number"),
        ("kept_bytes", [1, 2], "kept_bytes is of another kind"),
        ("seed", True, "seed is of another kind"),
        ("timing", {"tasks": [], "total_seconds": "long"}, "timing is of another kind"),
        ("train_seconds", math.inf, "timing does not hold the seconds of tasks"),
    ],
)
def test_results_of_another_kind_are_refused(tmp_path, name, value, said):
    run = create(tmp_path / "run")
    record(run, matrix_of([[81.25, 40.0], [70.5, 90.0]]))
    results = json.loads(run.results.read_text())
    (results if name in results else results["timing"]["tasks"][1])[name] = value
    run.results.write_text(json.dumps(results))
    with pytest.raises(ConfigurationError, match=rf"results.json is damaged \({said}\)"):
        write_report(run.path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("task_id", 2), ("task_id", None), ("step", -1), ("step", "1"), ("accuracy", "1"), ("losses", {"total": []})],
)
def test_a_log_of_another_kind_is_refused(tmp_path, name, value):
    run = create(tmp_path / "run")
    record(run, matrix_of([[81.25, 40.0], [70.5, 90.0]]))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    lines[0][name] = value
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigurationError, match=r"metrics.jsonl is damaged \(a line is no entry of a log\)"):
        write_report(run.path)
