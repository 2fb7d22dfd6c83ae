"""A stream of 200 tasks runs in constant memory, but for what its tasks keep."""

import gc
import sys
from pathlib import Path

import pytest

from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tensorboard import TensorBoardRecorder
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn
from tests import tiny

TASKS, MOST_GROWTH = 200, 120.0
TESTED = (0, 1, 100, 199)


def megabytes():
    """Memory of this process that is in use now."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


class Memory(Observer):
    """Measures after each task."""

    def __init__(self):
        self.after = []

    def task_learned(self, result, matrix):
        self.after.append(megabytes())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("method", ["fine_tuning", "hnet"])
def test_200_tasks_take_the_memory_of_few(method, tmp_path, monkeypatch):
    """Tests of all but four tasks are replaced by a number: 40,000 of them would take an hour."""
    stream = tiny.stream(TASKS, validation=False)
    experiment = tiny.experiment(method, train={"steps": 3, "log_every": 3}, network={"heads": "single"})
    run = RunDirectory.create(tmp_path / "run", experiment, {"data_source": stream.data_source})
    memory = Memory()
    recorders = [FileRecorder(run, experiment, {}), TensorBoardRecorder(run.tensorboard, experiment)]
    trainer = build_trainer(experiment, stream, [*recorders, memory])
    evaluate = trainer.evaluate
    untested = evaluate(stream[0], stream[0].test)
    monkeypatch.setattr(
        trainer, "evaluate", lambda task, split: evaluate(task, split) if task.task_id in TESTED else untested
    )
    learn(stream, trainer, checkpoints=Checkpoints(run.checkpoints, trainer))
    kept = sum(trainer.method.kept_bytes().values()) / 2**20
    shown = {number: round(memory.after[number - 1]) for number in (1, 10, 50, 100, 150, TASKS)}
    print(f"{method}: MB after tasks {shown}, {max(memory.after):.0f} at most; the method keeps {kept:.1f}")
    assert memory.after[-1] - memory.after[9] < MOST_GROWTH + 2 * kept
    assert max(memory.after) - memory.after[9] < 2 * MOST_GROWTH + 2 * kept  # while the last picture is drawn
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2
