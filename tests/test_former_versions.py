"""Runs of former versions: their results are read, their settings migrated, their checkpoints refused with the reason.

Results have been of schema version 1 from the beginning, and entries that came later may be missing. Checkpoints were
files of TensorFlow until 0.1.0; they hold no place inside a task, no optimizer, and no facts about the run.
"""

import json

import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.comparisons import comparisons_from
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.runs import load_run
from trainers import copy_task
from trainers.run import main

SETTINGS = """\
benchmark: copy_task
method: si
seed: 0
network: {cell: elman, hidden_sizes: [4]}
train: {steps: 2, batch_size: 4, jit: 'off', clip_norm: 1.0, orthogonal_strength: 1.0}
method_options: {strength: 0.5}
data: {num_tasks: 2, num_train: 8, num_test: 4, num_validation: 0}
provenance:
  preset: si_permuted
  data_source: SOURCE
  versions: {clrnn_tf: 0.1.0}
"""
RESULTS = {
    "schema_version": 1,
    "finished": False,
    "num_tasks": 2,
    "task_names": ["task0", "task1"],
    "mean_during_accuracy": 61.0,
    "mean_final_accuracy": 55.5,
    "worst_final_accuracy": 50.0,
    "forgetting": None,
    "backward_transfer": None,
    "forward_transfer": None,
    "during_accuracy": [61.0, None],
    "final_accuracy": [61.0, 50.0],
    "initial_accuracy": [49.0, 50.0],
    "initial_loss": [0.7, 0.69],
    "accuracy": [[61.0, 50.0]],
    "loss": [[0.5, 0.69]],
    "num_parameters": 60,
    "num_main_network_weights": 60,
    "benchmark": "copy_task",
    "method": "si",
    "seed": 0,
    "data_source": "SOURCE",
    "versions": {"clrnn_tf": "0.1.0"},
    "timing": {
        "tasks": [{"task": "task0", "train_seconds": 1.0, "eval_seconds": 0.5, "steps": 2}],
        "total_seconds": 1.5,
    },
}
"""What the first version wrote after the first of two tasks; SOURCE is what the data say about themselves."""


@pytest.fixture
def old_run(tmp_path):
    data = copy_task.BENCHMARK.pipeline
    stream = data.make_stream(data.Config(num_tasks=2, num_train=8, num_test=4, num_validation=0))
    path = tmp_path / "run"
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text(SETTINGS.replace("SOURCE", json.dumps(stream.data_source)))
    results = {**RESULTS, "data_source": stream.data_source, "task_names": [task.name for task in stream]}
    (path / "results.json").write_text(json.dumps(results))
    entry = {"kind": "train", "task_id": 0, "task": "task0", "step": 2, "losses": {"total": 0.6}, "accuracy": 60.0}
    (path / "metrics.jsonl").write_text(json.dumps(entry) + "\n")
    for name in ("checkpoint", "task000.index", "task000.data-00000-of-00001"):
        (path / "checkpoints" / name).write_bytes(b"of TensorFlow")
    return path


def test_results_of_the_first_version_are_read_compared_and_reported(old_run):
    matrix = RunDirectory(old_run).load()
    assert (matrix.rows[0][0].accuracy, matrix.joint, matrix.finished) == (61.0, False, False)
    (row,) = comparisons_from(old_run)
    assert (row.method, row.final) == ("si", 55.5)
    assert write_report(old_run).read_text().endswith("</html>\n")


def test_settings_of_the_first_version_are_migrated_and_its_checkpoints_refused(old_run, capsys):
    before = {path: path.read_bytes() for path in old_run.rglob("*") if path.is_file()}
    assert main(copy_task.BENCHMARK, ["--out", str(old_run), "--resume"]) == 2
    reason = (
        f"the checkpoints in {old_run / 'checkpoints'} are of an earlier version. Use that version of clrnn_tf, or "
        "start the run anew with --overwrite."
    )
    assert capsys.readouterr().err == f"error: {reason}\n"
    with pytest.raises(ConfigurationError) as refused:
        load_run(old_run)
    assert str(refused.value) == reason
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("version", [0, 2, None, "1", [1]])
def test_results_of_other_schema_versions_are_refused_with_the_version(old_run, version):
    (old_run / "results.json").write_text(json.dumps({**RESULTS, "schema_version": version}))
    with pytest.raises(ConfigurationError) as refused:
        RunDirectory(old_run).load()
    wanted = f"{old_run / 'results.json'} must be of schema version 1. Received: {version}. Use the version of clrnn_tf"
    assert str(refused.value).startswith(wanted)
