"""Experiment trackers get every value once, also of a run that is stopped and resumed. Without a network."""

import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording import tracking
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.mlflow_recorder import MLflowRecorder
from clrnn_tf.recording.trackers import TRACKERS
from clrnn_tf.recording.wandb_recorder import WandbRecorder
from tests import tiny
from tests.test_recording import FACTS, create, matrix_of, record

ROWS = [[80.0, 40.0], [70.0, 90.0]]


class Kept(tracking.TrackingRecorder):
    """A tracker that keeps what it gets."""

    def __init__(self, run, store):
        super().__init__(run, tiny.experiment())
        self.store = store

    def open(self, stream):
        return max((step for _, step, _ in self.store), default=-1)

    def send(self, values, step):
        self.store += [(name, step, value) for name, value in values.items()]

    def close(self, files, error):
        self.closed = [path.name for path in files], error


def test_a_tracker_gets_the_series_on_one_axis_of_steps(tmp_path):
    run, store = create(tmp_path / "run"), []
    record(run, matrix_of(ROWS))
    tracker = record(None, matrix_of(ROWS), observer=Kept(run, store))
    assert [entry[1:] for entry in store if entry[0] == "train/loss"] == [(20, 2.0), (40, 2.0), (60, 2.0), (80, 2.0)]
    assert [entry[1:] for entry in store if entry[0] == "result/mean_final_accuracy"] == [(40, 80.0), (80, 80.0)]
    assert [entry[1:] for entry in store if entry[0] == "tasks_learned"] == [(40, 1), (80, 2)]
    assert tracker.closed == (["config.yaml", "results.json", "results.csv"], None)


def test_what_a_resumed_run_repeats_is_not_sent_again(tmp_path):
    run, store = create(tmp_path / "run"), []
    recorded = record(None, matrix_of(ROWS[:1]), observer=Kept(run, store)).recorded()
    record(None, matrix_of(ROWS), first_task=1, observer=Kept(run, store), recorded=recorded)
    straight = []
    record(None, matrix_of(ROWS), observer=Kept(run, straight))
    assert store == straight
    record(None, matrix_of(ROWS), observer=Kept(run, store), recorded={})  # from the start, as after a lost checkpoint
    assert store == straight


def test_a_run_that_fails_is_closed_with_its_error(tmp_path):
    tracker, error = Kept(create(tmp_path / "run"), []), KeyboardInterrupt()
    tracker.run_failed(error)
    assert tracker.closed == ([], error)


def test_the_identity_of_a_run_is_its_own_and_stays(tmp_path):
    run, other = create(tmp_path / "run"), create(tmp_path / "other")
    identity = Kept(run, []).identity
    assert identity == Kept(run, []).identity != Kept(other, []).identity
    assert len(identity) == 16


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_a_tracker_that_is_not_installed_is_named(name, tmp_path, monkeypatch):
    from importlib import import_module

    def missing(wanted):
        if wanted == name:
            raise ImportError(wanted)
        return import_module(wanted)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ConfigurationError, match="is not installed. Install it: pip install"):
        TRACKERS[name](create(tmp_path / "run"), tiny.experiment())


def test_mlflow_has_one_run_with_settings_series_and_files(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is the extra 'mlflow'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri, run = (tmp_path / "store").as_uri(), create(tmp_path / "run")
    record(run, matrix_of(ROWS[:1]), observer=FileRecorder(run, tiny.experiment(), FACTS))
    tracker = MLflowRecorder(run, tiny.experiment(), uri)
    recorded = record(None, matrix_of(ROWS[:1]), observer=tracker).recorded()
    record(None, matrix_of(ROWS), first_task=1, observer=MLflowRecorder(run, tiny.experiment(), uri), recorded=recorded)
    client = mlflow.MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert (found.data.params["train.steps"], found.data.params["hnet.strength"]) == ("40", "0.01")
    assert found.data.metrics["result/mean_final_accuracy"] == 80.0
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert sorted(entry.step for entry in history) == [20, 40, 60, 80]
    names = {entry.path for entry in client.list_artifacts(found.info.run_id)}
    assert names == {"config.yaml", "results.json", "results.csv"}


def test_a_run_of_mlflow_that_was_stopped_is_called_killed(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is the extra 'mlflow'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    tracker = MLflowRecorder(create(tmp_path / "run"), tiny.experiment(), uri)
    tracker.run_began(tiny.stream(2), 0, matrix_of([]))
    tracker.run_failed(KeyboardInterrupt())
    client = mlflow.MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert found.info.status == "KILLED"


def test_weights_and_biases_keeps_a_run_offline(tmp_path):
    wandb = pytest.importorskip("wandb", reason="Weights & Biases is the extra 'wandb'")
    run = create(tmp_path / "run")
    tracker = WandbRecorder(run, tiny.experiment(), mode="offline", directory=tmp_path)
    tracker.run_began(tiny.stream(2), 0, matrix_of([]))
    live = wandb.run
    assert (live.id, live.name, live.group, live.project) == (tracker.identity, "run", "tiny", "clrnn_tf")
    assert live.config["hnet"]["strength"] == 0.01
    tracker.send({"train/loss": 2.0}, 20)
    tracker.send({"result/mean_final_accuracy": 80.0, "tasks_learned": 1}, 40)
    tracker.run_ended(matrix_of(ROWS))
    assert wandb.run is None
    (stored,) = (tmp_path / "wandb").glob(f"offline-run-*-{tracker.identity}/run-{tracker.identity}.wandb")
    assert b"train/loss" in stored.read_bytes() and b"tasks_learned" in stored.read_bytes()
