"""TensorBoard's own backend reads what runs have written: one row for each run, one axis of steps, nothing twice."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as GetExperiment
from tensorboard.plugins.hparams.list_session_groups import Handler as ListSessionGroups
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client
from werkzeug.wrappers import Response

from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.events import TaskResult, TrainingLog
from clrnn_tf.recording.projector import coordinates
from clrnn_tf.recording.tensorboard import TensorBoardRecorder
from clrnn_tf.training.learning import learn
from tests import tiny
from tests.interruptions import curves_at
from tests.test_recording import matrix_of, record

ROWS = [[80.0, 40.0], [70.0, 90.0]]


def write(directory, rows=ROWS, **options):
    recorder = TensorBoardRecorder(directory, tiny.experiment(**options))
    record(None, matrix_of(rows), observer=recorder)
    return directory


def accumulated(directory):
    events = EventAccumulator(str(directory), size_guidance={"tensors": 0})
    events.Reload()
    return events


def series(events, tag):
    return [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)]


def test_all_tasks_are_on_one_axis_of_steps(tmp_path):
    events = accumulated(write(tmp_path))
    assert series(events, "train/loss") == [(20, 2.0), (40, 2.0), (60, 2.0), (80, 2.0)]
    assert series(events, "train/task") == [(20, 1.0), (40, 1.0), (60, 2.0), (80, 2.0)]
    assert series(events, "validation/accuracy") == [(40, 70.0), (80, 70.0)]
    assert series(events, "result/mean_final_accuracy") == [(1, 80.0), (2, 80.0)]
    assert series(events, "test_accuracy/t0") == [(1, 80.0), (2, 70.0)]
    assert len(events.Tensors("result_matrix")) == 2
    assert "train/task_loss" not in events.Tags()["tensors"]  # it is the loss


def test_the_next_task_goes_on_where_an_early_stop_has_ended_the_last(tmp_path):
    recorder, stream, matrix = TensorBoardRecorder(tmp_path, tiny.experiment()), tiny.stream(2), matrix_of(ROWS[:1])
    recorder.run_began(stream, 0, matrix_of([]))
    recorder.task_learned(TaskResult(stream[0], matrix.rows[0], 1.0, 0.5, 25), matrix)
    assert "steps of learned tasks" in recorder.recorded()
    losses = {"total": 2.0, "task": 1.5, "output_regularizer": 0.5}
    recorder.trained(TrainingLog(stream[1], 10, 40, losses, 60.0, 0.5, 0.01))
    recorder.run_ended(matrix)
    events = accumulated(tmp_path)
    assert series(events, "train/loss") == [(35, 2.0)]
    assert series(events, "train/task_loss") == [(35, 1.5)]
    assert series(events, "train/output_regularizer") == [(35, 0.5)]


def test_a_run_that_begins_anew_in_its_directory_records_nothing_twice(tmp_path):
    write(tmp_path)
    once = curves_at(tmp_path)
    write(tmp_path)
    assert curves_at(tmp_path) == once


class Backend:
    """The HParams tab of a directory of runs."""

    def __init__(self, directory):
        multiplexer = EventMultiplexer(tensor_size_guidance={"tensors": 0})
        multiplexer.AddRunsFromDirectory(str(directory))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(directory))
        self.of_board = TBContext(data_provider=provider, logdir=str(directory), multiplexer=multiplexer)
        self.context = Context(self.of_board)

    def rows(self):
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=100,
            allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS],
            aggregation_type=api_pb2.AGGREGATION_AVG,
        )
        handler = ListSessionGroups(context.RequestContext(), self.context, "experiment", request)
        return {group.name: group for group in handler.run().session_groups}

    def experiment(self):
        request = api_pb2.GetExperimentRequest()
        return GetExperiment(context.RequestContext(), self.context, "experiment", request).run()


def metrics(group):
    return {value.name.tag: value.value for value in group.metric_values}


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """Two seeds of one method, and a run of another."""
    root = tmp_path_factory.mktemp("runs")
    write(root / "a" / "tensorboard", seed=0, strength=0.5)
    write(root / "b" / "tensorboard", [[80.0, 40.0], [60.0, 96.0]], seed=1, strength=0.5)
    write(root / "c" / "tensorboard", [[60.0, 40.0], [60.0, 70.0]], method="si")
    return Backend(root)


def test_every_run_is_a_row_of_hparams_with_its_own_results(backend):
    rows = backend.rows()
    assert sorted(rows) == ["a/tensorboard", "b/tensorboard", "c/tensorboard"]
    finals = {name: metrics(group)["result/mean_final_accuracy"] for name, group in rows.items()}
    assert finals == {"a/tensorboard": 80.0, "b/tensorboard": 78.0, "c/tensorboard": 65.0}
    assert metrics(rows["b/tensorboard"])["result/forgetting"] == 20.0
    assert all(group.sessions[0].status == api_pb2.STATUS_SUCCESS for group in rows.values())
    assert rows["b/tensorboard"].hparams["seed"].number_value == 1
    assert rows["a/tensorboard"].hparams["strength"].number_value == 0.5
    assert rows["a/tensorboard"].hparams["options"].string_value == "strength 0.5"
    assert rows["c/tensorboard"].hparams["options"].string_value == "defaults"
    assert rows["c/tensorboard"].hparams["train.steps"].number_value == 40


def test_the_columns_are_the_handful_of_settings_that_matter(backend):
    experiment = backend.experiment()
    assert {info.name for info in experiment.hparam_infos} == {
        "benchmark",
        "method",
        "seed",
        "strength",
        "options",
        "network_in_words",
        "train.steps",
        "train.batch_size",
        "train.learning_rate",
    }
    assert [info.name.tag for info in experiment.metric_infos][0] == "result/mean_final_accuracy"


def test_settings_that_were_varied_have_columns_of_their_own(tmp_path):
    recorder = TensorBoardRecorder(tmp_path / "run", tiny.experiment(), varied=["hypernetwork.chunk_size"])
    record(None, matrix_of(ROWS), observer=recorder)
    backend = Backend(tmp_path)
    assert "hypernetwork.chunk_size" in {info.name for info in backend.experiment().hparam_infos}
    assert backend.rows()["run"].hparams["hypernetwork.chunk_size"].number_value == 60


class Stopped(TensorBoardRecorder):
    """Ends with a checkpoint and not with the run."""

    def run_ended(self, matrix):
        self.checkpoint = self.recorded()


def test_a_run_that_is_resumed_stays_one_row_and_its_settings_stand_there_once(tmp_path):
    directory = tmp_path / "run"
    stopped = record(None, matrix_of(ROWS[:1]), observer=Stopped(directory, tiny.experiment()), recorded={})
    goes_on = TensorBoardRecorder(directory, tiny.experiment())
    record(None, matrix_of(ROWS), first_task=1, observer=goes_on, recorded=stopped.checkpoint)
    assert list(Backend(tmp_path).rows()) == ["run"]
    assert series(accumulated(directory), "train/loss") == [(20, 2.0), (40, 2.0), (60, 2.0), (80, 2.0)]
    tags = [tag for path in directory.glob("*tfevents*") for tag in accumulated(path).summary_metadata]
    assert sum(tag.startswith("_hparams_") for tag in tags) == 3  # columns, beginning and end of the run


def test_samples_are_an_image(tmp_path):
    def draw(stream):
        buffer = io.BytesIO()
        Figure(figsize=(1, 0.5)).savefig(buffer, format="png", dpi=20)
        return buffer.getvalue()

    recorder = TensorBoardRecorder(tmp_path, tiny.experiment(), samples=draw)
    record(None, matrix_of(ROWS), observer=recorder)
    (event,) = accumulated(tmp_path).Tensors("samples")
    width, height, picture = tf.make_ndarray(event.tensor_proto).tolist()
    assert (width, height) == (b"20", b"10")
    assert tf.io.decode_png(picture).shape == (10, 20, 3)


def test_the_projector_shows_the_embeddings_of_the_tasks(tmp_path):
    stream, experiment = tiny.stream(3), tiny.experiment(train={"steps": 2}, hypernetwork={"task_embedding_size": 5})
    trainer = build_trainer(experiment, stream)
    trainer.observers.append(TensorBoardRecorder(tmp_path / "run", experiment))
    learn(stream, trainer)
    plugin = ProjectorPlugin(Backend(tmp_path).of_board)
    apps = plugin.get_plugin_apps()
    assert Client(apps["/runs"], Response).get("/runs").json == ["run"]

    def get(name):
        return Client(apps[f"/{name}"], Response).get(f"/{name}?run=run&name=task embeddings").get_data()

    points = np.frombuffer(get("tensor"), np.float32).reshape(3, 5)
    np.testing.assert_allclose(points, trainer.method.task_embeddings(), rtol=1e-5)
    lines = get("metadata").decode().splitlines()
    assert lines[0] == "task\tlearned as number\tfinal accuracy"
    assert [line.split("\t")[0] for line in lines[1:]] == ["t0", "t1", "t2"]


def test_embeddings_of_many_numbers_keep_their_distances():
    draws = np.random.default_rng(0).normal(size=(4, 3000))
    points = coordinates(draws)
    assert points.shape == (4, 4)
    for one, other in ((0, 1), (1, 3), (2, 0)):
        distance = np.linalg.norm(draws[one] - draws[other])
        assert np.linalg.norm(points[one] - points[other]) == pytest.approx(distance)
    assert coordinates(draws[:, :6]).shape == (4, 6)


def test_events_that_are_later_than_a_checkpoint_are_dropped(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    record(None, matrix_of(ROWS), observer=TensorBoardRecorder(straight, tiny.experiment()))
    recorder = TensorBoardRecorder(killed, tiny.experiment())
    recorder.rewind({})
    recorder.run_began(tiny.stream(2), 0, matrix_of([]))
    recorder.run_ended(matrix_of([]))
    record(None, matrix_of(ROWS[:1]), observer=TensorBoardRecorder(killed, tiny.experiment()))
    recorded = {path.name: path.stat().st_size for path in killed.iterdir()}
    record(None, matrix_of(ROWS), first_task=1, observer=TensorBoardRecorder(killed, tiny.experiment()))
    foreign = killed / "events.out.tfevents.1.other"
    foreign.write_bytes(b"mine")
    last = TensorBoardRecorder(killed, tiny.experiment())
    record(None, matrix_of(ROWS), first_task=1, observer=last, recorded=recorded)
    assert foreign.read_bytes() == b"mine"
    foreign.unlink()
    assert curves_at(killed) == curves_at(straight)
    for file in killed.iterdir():
        os.truncate(file, 10)
    with pytest.warns(UserWarning, match=r"was cut; curves in TensorBoard have gaps"):
        last.rewind(recorded)
    for file in killed.iterdir():
        file.unlink()
    with pytest.warns(UserWarning, match=r"is missing; curves in TensorBoard have gaps"):
        last.rewind(recorded)
