"""A run goes on exactly where its last checkpoint is, whatever stopped it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.training import checkpoint_files
from clrnn_tf.training.checkpoint_files import Position
from clrnn_tf.training.checkpoints import Checkpoints, needed, restore
from clrnn_tf.training.learning import learn
from clrnn_tf.training.stopping import StopRequest
from tests import tiny
from tests.interruptions import Laboratory, assert_left_alike, kill_and_continue, left_at
from trainers import copy_task, signals
from trainers.run import main

ROOT = Path(__file__).parent.parent
KEEPS_BEST = {"steps": 30, "log_every": 10, "validate_every": 6, "keep_best": True, "early_stopping": 2}
COPY = [
    "--method=fine_tuning",
    "--data.num-tasks=2",
    "--data.num-train=40",
    "--data.num-test=8",
    "--data.num-validation=8",
    "--train.steps=40",
    "--train.batch-size=4",
    "--train.log-every=10",
    "--train.validate-every=15",
    "--network.hidden-sizes=4",
    "--train.jit=off",
]


@pytest.fixture(scope="module", params=[("hnet", False), ("fine_tuning", True)], ids=["hnet", "letters"])
def laboratory(request, tmp_path_factory):
    """A method, and what its uninterrupted run left; with early stopping, or with tables of n-grams."""
    method, ngrams = request.param
    lab = Laboratory(tiny.experiment(method, train=KEEPS_BEST), tiny.stream(3, ngrams=ngrams))
    path = tmp_path_factory.mktemp("straight") / "run"
    assert lab.run(path)
    lab.straight = lab.left(path)
    return lab


def test_what_is_checkpointed_does_not_change_a_run(laboratory):
    """Neither the place of checkpoints, nor that there are some."""
    laboratory.as_in_a_fresh_process()
    laboratory.trainer.observers.clear()
    learn(laboratory.stream, laboratory.trainer)
    for variable, value in zip(laboratory.trainer.variables, laboratory.straight.values, strict=False):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does(laboratory, tmp_path, seed):
    for _ in kill_and_continue(laboratory, tmp_path / "run", np.random.default_rng(seed), kills=4):
        assert_left_alike(laboratory.left(tmp_path / "run"), laboratory.straight)


def test_at_most_so_many_steps_are_done_twice(laboratory, tmp_path):
    generator, path = np.random.default_rng(0), tmp_path / "run"
    for _ in range(5):
        shutil.rmtree(path, ignore_errors=True)
        laboratory.run(path, kill_at=int(generator.integers(10, laboratory.most_moments)))
        log = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        done = [(line["task_id"], line["step"]) for line in log if line["kind"] == "train"][-1]
        start = Checkpoints(path / "checkpoints", laboratory.trainer).latest(3)
        position = start.position if start else Position(0, 0)
        # 7 steps, and those taken until it shows that a checkpoint was not written
        assert position.learned > done[0] or (position.learned == done[0] and position.step > done[1] - 2 * 7)


# Which checkpoints there are.


def test_the_last_two_checkpoints_are_kept_and_one_after_a_task():
    def kept(*positions):
        all_of_them = [Position(*position) for position in positions]
        return sorted(map(tuple, needed(all_of_them, all_of_them[-1])))

    assert kept((0, 10)) == [(0, 10)]
    assert kept((0, 10), (0, 20), (0, 30)) == [(0, 20), (0, 30)]
    assert kept((0, 20), (0, 30), (1, 0)) == [(0, 30), (1, 0)]
    assert kept((0, 30), (1, 0), (1, 10)) == [(1, 0), (1, 10)]
    assert kept((1, 0), (1, 10), (1, 20), (1, 30)) == [(1, 0), (1, 20), (1, 30)]
    assert kept((1, 0), (1, 20), (1, 30), (2, 0)) == [(1, 0), (2, 0)]
    assert sorted(needed([Position(1, 0), Position(1, 9), Position(2, 0)], Position(1, 9))) == [(1, 0), (1, 9)]


class Clock:
    """Seconds that pass when it is told to."""

    now = 0.0

    def __call__(self):
        return self.now


def test_by_default_a_checkpoint_is_due_after_a_minute(tmp_path):
    stream, clock = tiny.stream(1, validation=False), Clock()
    written = []

    class Observing(Observer):
        def trained(self, log):
            clock.now += 25.0

        def recorded(self):
            written.append(clock.now)
            return {}

    trainer = build_trainer(tiny.experiment(train={"steps": 40, "log_every": 5}), stream, [Observing()])
    learn(stream, trainer, checkpoints=Checkpoints(tmp_path / "checkpoints", trainer, clock=clock))
    assert written == [75.0, 150.0, 200.0]  # the last one after the task


def test_checkpoints_of_some_steps_fall_between_log_entries(tmp_path):
    steps = []

    class Watching(Checkpoints):
        def steps_done(self, progress):
            super().steps_done(progress)
            steps.append(progress.step)

    stream = tiny.stream(1, validation=False)
    trainer = build_trainer(tiny.experiment(train={"steps": 40, "log_every": 20}), stream)
    learn(stream, trainer, checkpoints=Watching(tmp_path / "checkpoints", trainer, every=15))
    assert steps[-4:] == [15, 20, 30, 40]


# Damaged and foreign files.


def checkpoint_file(tmp_path):
    """A checkpoint inside a task, and the trainer that wrote it."""
    stream = tiny.stream(1, validation=False)
    trainer = build_trainer(tiny.experiment(), stream)
    progress = trainer.begin(stream[0])
    trainer.train(stream[0], progress, Checkpoints(tmp_path, trainer, every=20))
    return tmp_path / "learned0-step20.npz", trainer


def test_no_damage_of_a_checkpoint_goes_unnoticed(tmp_path):
    path, _ = checkpoint_file(tmp_path)
    content, generator = path.read_bytes(), np.random.default_rng(0)
    whole = checkpoint_files.read(path)
    damages = [content[: int(size)] for size in generator.integers(0, len(content), 30)]
    damages += [b"", bytes(len(content)), b"\xff" * 100]
    for place in [*generator.integers(0, len(content), 200), *range(len(content) - 60, len(content))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        damages.append(bytes(flipped))
    noticed = 0
    for damage in damages:
        path.write_bytes(damage)
        try:
            read = checkpoint_files.read(path)
        except ConfigurationError as error:
            assert str(error).startswith(str(path))
            noticed += 1
        else:  # the damage is where nothing depends on it, such as the date of an entry
            assert read.facts == whole.facts
            for group, values in whole.arrays.items():
                for value, other in zip(values, read.arrays[group], strict=True):
                    np.testing.assert_array_equal(value, other)
    assert noticed > 0.8 * len(damages)


def test_an_archive_that_would_grow_is_not_unpacked(tmp_path):
    path = tmp_path / "learned1.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("facts.npy", bytes(50_000_000))
    with pytest.raises(ConfigurationError, match=r"is damaged \(larger inside than outside\)"):
        checkpoint_files.read(path)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(laboratory, tmp_path):
    path = tmp_path / "run"
    laboratory.run(path, kill_at=laboratory.most_moments // 2)
    newest = max((path / "checkpoints").iterdir(), key=lambda file: checkpoint_files.read(file).position)
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=rf"{newest} is damaged \(.*\)\. Going on after .* instead\."):
        assert laboratory.run(path)
    assert_left_alike(laboratory.left(path), laboratory.straight)


def test_a_checkpoint_of_another_model_or_version_is_refused(tmp_path, monkeypatch):
    path, trainer = checkpoint_file(tmp_path)
    other = build_trainer(tiny.experiment(network={"hidden_sizes": (5,)}), tiny.stream(1))
    with pytest.raises(ConfigurationError, match="holds another model than these settings make"):
        restore(checkpoint_files.read(path), other)
    monkeypatch.setattr(checkpoint_files, "SCHEMA_VERSION", 2)
    with pytest.raises(ConfigurationError, match=r"must be a checkpoint of version 2\. Received: version 1"):
        Checkpoints(tmp_path, trainer).latest(0)


def test_missing_results_and_checkpoints_are_named(tmp_path):
    trainer = build_trainer(tiny.experiment(), tiny.stream(1))
    checkpoints = Checkpoints(tmp_path, trainer)
    assert checkpoints.latest(0) is None
    with pytest.warns(UserWarning, match=r"has no checkpoint of the first task\. Beginning anew\."):
        assert checkpoints.latest(1) is None
    with pytest.raises(ConfigurationError, match="no checkpoint of the 2 tasks learned"):
        checkpoints.latest(2)
    with pytest.raises(ConfigurationError, match="no checkpoint of a learned task"):
        checkpoints.latest_learned(1)
    checkpoints.task_learned()
    with pytest.raises(ConfigurationError, match="the results of 1 tasks are missing"):
        checkpoints.latest(0)
    (tmp_path / "learned1.npz").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"learned1.npz is damaged .* Restore it from a copy, or start"):
        checkpoints.latest(1)
    (tmp_path / "learned1.npz").unlink()
    (tmp_path / "task000.index").touch()
    with pytest.raises(ConfigurationError, match="are of an earlier version"):
        checkpoints.latest(1)


def test_results_of_other_tasks_are_refused():
    stream = tiny.stream(1)
    with pytest.raises(ConfigurationError, match=r"results must be of tasks t0\. Received: other\."):
        learn(stream, build_trainer(tiny.experiment(), stream), matrix=ResultMatrix(("other",)))


# Signals.


def test_a_request_is_answered_between_steps_and_at_once_elsewhere():
    stop = StopRequest()
    with pytest.raises(KeyboardInterrupt):
        stop.request()
    with pytest.raises(KeyboardInterrupt), stop.between_steps():
        stop.request()
        assert stop.requested
    stop = StopRequest()
    with pytest.raises(KeyboardInterrupt, match="second"), stop.between_steps():
        stop.request()
        try:
            stop.request()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("second") from None


def run(*arguments):
    return main(copy_task.BENCHMARK, [str(argument) for argument in arguments])


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_are_requests_and_those_that_are_ignored_stay_ignored(number, monkeypatch):
    forgotten = []
    monkeypatch.setattr(signals, "forget_terminal", lambda: forgotten.append(number))  # pytest may have one
    stop, handler = StopRequest(), signal.default_int_handler
    before = signal.signal(number, handler)
    try:
        with signals.stopped_by_signals(stop), stop.between_steps():
            os.kill(os.getpid(), number)
            assert stop.requested
            stop.requested = False
        assert forgotten == [number] * (number == signal.SIGHUP)
        assert signal.getsignal(number) == handler
        signal.signal(number, signal.SIG_IGN)
        with signals.stopped_by_signals(stop), stop.between_steps():
            os.kill(os.getpid(), number)
        assert not stop.requested
    finally:
        signal.signal(number, before)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run from the command line that nothing has stopped."""
    path = tmp_path_factory.mktemp("command") / "straight"
    assert run(*COPY, "--out", path) == 0
    return path


def test_a_signal_leaves_a_checkpoint_of_the_last_step(straight, tmp_path, capsys, monkeypatch):
    stopped, trained = tmp_path / "stopped", FileRecorder.trained

    def signalled(self, log):
        trained(self, log)
        if (log.task.task_id, log.step) == (1, 20):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(FileRecorder, "trained", signalled)
    capsys.readouterr()
    assert run(*COPY, "--out", stopped) == 130
    said = "stopped; the same command with --resume continues where its last checkpoint is."
    assert capsys.readouterr().err == f"\n{said}\n"
    assert (stopped / "checkpoints" / "learned1-step20.npz").exists()
    monkeypatch.undo()
    original = (stopped / "config.yaml").read_text()
    (stopped / "config.yaml").write_text(original.replace("steps: 40", "steps: 41"))
    assert run("--out", stopped, "--resume") == 2
    assert "has changed since its checkpoint: train.steps (before 40, now 41)" in capsys.readouterr().err
    (stopped / "config.yaml").write_text(original)
    assert run("--out", stopped, "--resume") == 0
    assert "continuing after step 20 of task 2" in capsys.readouterr().out
    assert_left_alike(left_at(stopped), left_at(straight))


def test_a_process_that_is_killed_can_be_continued(straight, tmp_path):
    """With the signal that cannot be caught, between two lines of the log."""
    killed = tmp_path / "killed"
    kill_process(killed, 11, [*COPY, "--checkpoint-every", "3"])
    assert run("--out", killed, "--resume", "--checkpoint-every", "11") == 0
    assert_left_alike(left_at(killed), left_at(straight))
    assert sorted(os.listdir(killed / "export")) == sorted(os.listdir(straight / "export"))


def kill_process(path, line, arguments):
    """Begin a run in a process that is killed after it has written so many lines of the log."""
    code = (
        "import os, sys\n"
        "from clrnn_tf.recording.files import FileRecorder\n"
        "from trainers.copy_task import BENCHMARK\n"
        "from trainers.run import main\n"
        "write, left = FileRecorder._write, [int(sys.argv.pop(1))]\n"
        "def die(self, *entry, **values):\n"
        "    write(self, *entry, **values)\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0:\n"
        "        os.kill(os.getpid(), 9)\n"
        "FileRecorder._write = die\n"
        "main(BENCHMARK, sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, str(line), *arguments, "--out", str(path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == -9


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_run_whose_terminal_is_closed_leaves_a_checkpoint(tmp_path):
    import fcntl
    import pty
    import termios

    def with_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` it is ignored, and stays so
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    straight, closed = tmp_path / "straight", tmp_path / "closed"
    arguments = [*COPY, "--train.steps=4000", "--train.validate-every=4000"]
    assert run(*arguments, "--out", straight) == 0
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trainers.copy_task", *arguments, "--out", str(closed)],
        cwd=ROOT,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=with_terminal,
    )
    os.close(inner)
    printed = b""
    while b"/4000" not in printed:  # a step is done
        printed += os.read(terminal, 1000)
    os.close(terminal)
    assert process.wait() == 130
    assert any(path.name.startswith("learned0-step") for path in (closed / "checkpoints").iterdir())
    assert run("--out", closed, "--resume") == 0
    assert_left_alike(left_at(closed), left_at(straight))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_process_that_is_killed_at_any_time_can_be_continued(straight, tmp_path, seed):
    lines = len((straight / "metrics.jsonl").read_text().splitlines())
    killed, line = tmp_path / "killed", int(np.random.default_rng(seed).integers(1, lines))
    kill_process(killed, line, [*COPY, "--checkpoint-every", "7"])
    assert run("--out", killed, "--resume") == 0
    assert_left_alike(left_at(killed), left_at(straight))
