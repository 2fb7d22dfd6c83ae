import json
import math

import numpy as np
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.progress import ProgressReporter
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tensorboard import TensorBoardRecorder
from clrnn_tf.streams.joint import JointSplit, joint_task
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn
from tests import tiny


def first(dataset, number):
    return list(dataset.take(number).as_numpy_iterator())


def test_batches_mix_the_tasks_and_keep_each_one_in_its_own_order():
    stream = tiny.stream(3)
    batches = first(JointSplit([task.train for task in stream]).batches(16, 5, 0), 30)
    ids = np.concatenate([batch.task_id for batch in batches])
    counts = np.bincount(ids)
    assert counts.sum() == 480 and counts.min() > 120
    assert len({tuple(np.bincount(batch.task_id, minlength=3)) for batch in batches}) > 5
    for task in stream:
        lengths = np.concatenate([batch.lengths for batch in batches])[ids == task.task_id]
        expected = np.concatenate([batch.lengths for batch in first(task.train.batches(16, 5, task.task_id), 20)])
        np.testing.assert_array_equal(lengths, expected[: len(lengths)])


def test_batches_are_a_function_of_seed_and_step():
    source = JointSplit([task.train for task in tiny.stream(2)])
    whole, later, other = (first(source.batches(8, *rest), 3) for rest in ((1, 0), (1, 0, 2), (2, 0)))
    for one, same in zip(whole[2], later[0], strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(whole[0].task_id, other[0].task_id)
    assert whole[0].inputs.shape[:2] == whole[0].loss_weights.shape == (8, whole[0].inputs.shape[1])
    assert not whole[0].loss_weights[np.arange(whole[0].inputs.shape[1]) >= whole[0].lengths[:, None]].any()


def test_every_example_comes_once_in_order():
    source = joint_task(tiny.stream(2)).test
    batches = list(source.in_order(25, 0).as_numpy_iterator())
    assert source.num_examples == 80
    assert sum((batch.loss_weights.sum(axis=1) > 0).sum() for batch in batches) == 80
    assert {int(batch.task_id[0]) for batch in batches} == {0, 1}


def test_the_loss_of_a_mixed_batch_is_the_mean_over_its_sequences():
    """Each under its own task: n-gram table, one-hot id and head."""
    stream = tiny.stream(3, ngrams=True)
    trainer = build_trainer(tiny.experiment("multitask", network={"task_id_input": True}), stream)
    batch = next(iter(joint_task(stream).train.batches(6, 0, 0)))
    weights, model = trainer.model.source(tf.constant(0)), trainer.model
    prepared = model.prepare(batch, batch.task_id)
    loss, *_ = trainer.step.task_loss(weights, prepared.inputs, prepared)
    single = []
    for row in range(6):
        one = type(batch)(*(field[row : row + 1] for field in batch))
        prepared = model.prepare(one, one.task_id[0])
        single.append(trainer.step.task_loss(weights, prepared.inputs, prepared)[0])
    np.testing.assert_allclose(loss, np.mean(single), rtol=1e-5)


def test_a_joint_run_is_recorded_reported_and_read_back(tmp_path, capsys):
    stream = tiny.stream(2)
    experiment = tiny.experiment("multitask", train={"steps": 20, "keep_best": True})
    trainer = build_trainer(experiment, stream)
    run = RunDirectory.create(tmp_path / "run", experiment, {"data_source": stream.data_source})
    trainer.observers += [
        FileRecorder(run, experiment, trainer.method.facts()),
        TensorBoardRecorder(run.tensorboard, experiment),
        ProgressReporter(),
    ]
    matrix = learn(stream, trainer, checkpoints=Checkpoints(run.checkpoints, trainer))
    results = json.loads(run.results.read_text())
    assert results["finished"] is True and results["joint"] is True
    assert results["during_accuracy"] == [None, None] and results["mean_during_accuracy"] is None
    assert results["final_accuracy"] == matrix.final().tolist()
    assert results["timing"]["tasks"][0]["steps"] == 40
    assert run.table.read_text().splitlines()[1].startswith("all_tasks,")
    loaded = run.load()
    assert loaded.finished and math.isnan(loaded.during()[0])
    page = write_report(run.path).read_text()
    assert "nan" not in page.split("<svg")[0] and "all_tasks" in page
    printed = capsys.readouterr().out
    assert "task 1/1 all_tasks" in printed and "nan" not in printed
