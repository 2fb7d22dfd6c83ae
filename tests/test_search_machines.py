"""Searches of several processes: chief and workers, those that are lost, and the process of a run."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.searches import FakeRuns, events, run_search, search_plan, values_by_trial

pytest.importorskip("keras_tuner", reason="Keras Tuner is the extra 'search'")

import grpc
from keras_tuner.engine.trial import Trial

from clrnn_tf.errors import ConfigurationError
from trainers.searching import machines, running
from trainers.searching.journal import Journal
from trainers.searching.machines import ChiefGoneError, SignsOfLife, WorkersGoneError
from trainers.searching.oracles import Supervision, make_oracle
from trainers.searching.processes import run_process
from trainers.searching.trial_run import end_with_parent
from trainers.searching.trials import TrialRunner
from trainers.searching.tuner import SearchTuner
from trainers.searching.values import starts_with_preset

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def nobody_is_a_worker():
    machines.forget_chief()
    yield
    machines.forget_chief()


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class KilledError(BaseException):
    """Stands for the end of a worker's process."""


def oracle_of(plan, clock=None, timeout=60.0, say=lambda line: None):
    supervision = Supervision(
        Journal(plan.out / "events.jsonl"), starts_with_preset(plan), timeout, clock or Clock(), say
    )
    return make_oracle(plan, supervision)


def end(oracle, trial, score=None):
    if score is not None:
        oracle.update_trial(trial.trial_id, {"score": score})
    ended = Trial(trial.hyperparameters, trial.trial_id, "FAILED" if score is None else "COMPLETED")
    oracle.end_trial(ended)


def test_the_trial_of_a_silent_worker_goes_to_another(tmp_path):
    clock, lines = Clock(), []
    oracle = oracle_of(search_plan(tmp_path / "s", max_trials=2), clock, say=lines.append)
    lost, kept = oracle.create_trial("a"), oracle.create_trial("b")
    clock.now = 50.0
    oracle.get_trial(kept.trial_id)  # a sign of life
    clock.now = 61.0
    assert oracle.silent() == ["a"]
    again = oracle.create_trial("c")
    assert again.trial_id == lost.trial_id
    assert again.hyperparameters.values == lost.hyperparameters.values
    assert lines == [f"trial {lost.trial_id} is free again: a has been silent for 60 s."]


def test_a_worker_that_comes_back_too_late_does_not_end_a_trial_twice(tmp_path):
    clock = Clock()
    oracle = oracle_of(search_plan(tmp_path / "s", max_trials=1), clock)
    late = oracle.create_trial("a")
    clock.now = 100.0
    oracle.create_trial("b")
    end(oracle, late, 80.0)
    end(oracle, late, 80.0)
    assert oracle.end_order == [late.trial_id]


def test_workers_wait_while_trials_of_others_run(tmp_path):
    oracle = oracle_of(search_plan(tmp_path / "s", max_trials=1))
    trial = oracle.create_trial("a")
    assert oracle.create_trial("b").status == "IDLE"
    end(oracle, trial, 80.0)
    assert oracle.create_trial("b").status == "STOPPED"


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "grid"])
def test_a_chief_that_is_started_again_knows_what_it_knew(tuner, tmp_path):
    plan = search_plan(tmp_path / "s", tuner=tuner, max_trials=12)

    def some_trials(oracle, clock, number):
        for score in range(number):
            first, second = oracle.create_trial("a"), oracle.create_trial("b")
            if second.status == "RUNNING":  # a grid lets others wait for its first trials
                end(oracle, second, None if score == 1 else 70.0 + score)
            if score == 2:
                clock.now += 100.0
                end(oracle, oracle.create_trial("c"), 77.0)  # the trial of a
            else:
                end(oracle, first, 60.0 + score)

    clock = Clock()
    oracle = oracle_of(plan, clock)
    some_trials(oracle, clock, 4)
    running_trial = oracle.create_trial("a")
    again = oracle_of(plan, clock)
    assert values_by_trial(again) == values_by_trial(oracle)
    assert again.ongoing_trials["a"].trial_id == running_trial.trial_id
    assert again.create_trial("b").hyperparameters.values == oracle.create_trial("b").hyperparameters.values


@contextlib.contextmanager
def chief_of(plan, oracle):
    """A chief in a thread, which has ended when this does."""
    failures = []

    def run():
        try:
            machines.serve(plan, oracle)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield failures
    thread.join(timeout=60)
    assert not thread.is_alive()


def worker_of(plan, name, runs):
    """A tuner that asks the chief of a plan."""
    machines.connect(plan)
    os.environ["KERASTUNER_TUNER_ID"] = name
    tuner = SearchTuner(plan, make_oracle(plan, None), TrialRunner(plan, lambda trial: None, runs), lambda line: None)
    machines.forget_chief()
    return tuner


@pytest.mark.parametrize("killed", [False, True], ids=["both live", "one is killed in a trial"])
def test_chief_and_two_workers_run_the_trials_of_one_process(killed, tmp_path):
    straight = values_by_trial(run_search(search_plan(tmp_path / "alone"), FakeRuns()))
    plan, clock = search_plan(tmp_path / "s"), Clock()
    oracle = oracle_of(plan, clock)
    dies, lives = FakeRuns(), FakeRuns()

    def die(command, log, look):
        if killed and len(dies.commands) == 1:
            clock.now += 1000.0
            raise KilledError
        return dies(command, log, look)

    with chief_of(plan, oracle) as failures:
        workers = [worker_of(plan, "a", die), worker_of(plan, "b", lives)]

        def first():
            with contextlib.suppress(KilledError):
                workers[0].search()

        threads = [threading.Thread(target=first), threading.Thread(target=workers[1].search)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert failures == []
    assert not (plan.out / "chief.txt").exists()
    assert {name: status for name, (_, status, _) in values_by_trial(oracle).items()} == dict.fromkeys(
        straight, "COMPLETED"
    )
    tried = sorted(settings["hnet"]["strength"] for settings in [*dies.settings, *lives.settings])
    assert len(tried) == len(set(tried)) == 6  # none twice
    for name, (values, _, _) in straight.items():
        assert oracle.trials[name].hyperparameters.values == values
    assert killed == any(event["event"] == "lost" for event in events(plan))
    assert running.conclude(plan, oracle) == 0


def test_a_worker_without_a_chief_ends_with_one_line(tmp_path, capsys):
    plan = search_plan(tmp_path / "s", role="worker", timeout=1)
    assert running.run_search(plan) == 1
    out, error = capsys.readouterr()
    assert error == (
        f"error: no chief at {plan.out}/chief.txt for 1 s. Start it again (--out {plan.out} --resume --role chief), "
        "then the workers.\n"
    )


def test_a_worker_whose_chief_is_killed_stops_its_run_and_ends_with_one_line(tmp_path, capsys, monkeypatch):
    plan = search_plan(tmp_path / "s", role="worker", timeout=1)
    oracle, began, stopped = oracle_of(plan), threading.Event(), []

    def run(command, log, look):
        began.set()
        try:
            while True:
                look()
        except ChiefGoneError:
            stopped.append(True)
            raise

    def kill_chief():
        began.wait(timeout=30)
        server.stop(grace=None)

    monkeypatch.setattr(running, "TrialRunner", functools.partial(TrialRunner, run=run))
    server, address = machines.listening("127.0.0.1:0", machines.Service(oracle))
    (plan.out / "chief.txt").write_text(address)
    killer = threading.Thread(target=kill_chief)
    killer.start()
    assert running.run_search(plan) == 1
    killer.join()
    assert stopped == [True]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the chief does not answer. Start it again")


def test_signs_of_life_are_given_four_times_in_a_time_out():
    clock, asked = Clock(), []
    signs = SignsOfLife(60.0, asked.append, clock)
    for second in range(60):
        clock.now = second + 1.0
        signs("03")
    assert asked == ["03"] * 4

    def silence(trial):
        raise grpc.RpcError

    with pytest.raises(ChiefGoneError):
        SignsOfLife(0.0, silence, clock)("03")


def test_a_chief_whose_workers_have_all_ended_does_not_wait(tmp_path):
    plan = search_plan(tmp_path / "s", workers=1)
    ended = type("Process", (), {"poll": lambda self: 1})()
    with pytest.raises(WorkersGoneError, match="all workers have ended"):
        machines.serve(plan, oracle_of(plan), [ended])
    assert not (plan.out / "chief.txt").exists()


@pytest.mark.parametrize("address", ["8000", "localhost:", "localhost:http", "localhost:99999"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        machines.address_of(address)


def test_an_address_of_another_machine_is_refused(tmp_path):
    plan = search_plan(tmp_path / "s", role="chief", address="192.0.2.1:8000")
    with pytest.raises(ConfigurationError, match="must be of this machine"):
        machines.serve(plan, oracle_of(plan))


def test_one_process_leads_a_search(tmp_path):
    from clrnn_tf.recording.run_lock import RunLock

    plan = search_plan(tmp_path / "s")
    with RunLock(plan.out), pytest.raises(ConfigurationError, match="is written by process"):
        running.run_search(plan)


def test_a_process_is_asked_to_stop_when_the_search_is(tmp_path):
    code = "import sys; print('began', flush=True); sys.stdin.read(); print('was asked to stop')"
    log = tmp_path / "log"

    def look():
        if log.exists() and "began" in log.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_process([sys.executable, "-c", code], log, look)
    assert log.read_text().splitlines() == ["began", "was asked to stop"]


def test_the_last_line_of_a_process_says_how_it_ended(tmp_path):
    code = "import sys; print('one'); print('error: two', file=sys.stderr); sys.exit(3)"
    assert run_process([sys.executable, "-c", code], tmp_path / "log", lambda: None) == (3, "error: two")
    assert run_process([sys.executable, "-c", ""], tmp_path / "empty", lambda: None) == (0, "")


def test_a_run_is_asked_to_stop_when_its_search_has_ended():
    stopped, (reading, writing) = threading.Event(), os.pipe()
    before = signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    try:
        end_with_parent(reading)
        os.close(writing)
        assert stopped.wait(timeout=30)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("task", "stored", "words"),
    [
        ("0", False, ["--role chief", "--benchmark copy_task", ":0"]),
        ("0", True, ["--role chief", "--resume"]),
        ("3", True, ["--role worker"]),
    ],
)
def test_the_array_job_starts_a_chief_and_workers(task, stored, words, tmp_path):
    from trainers.flags import flags_of, read, words_of
    from trainers.searching.options import SearchOptions

    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (tmp_path / "out").mkdir()
    if stored:
        (tmp_path / "out" / "search.yaml").touch()
    places = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": places, "SLURM_ARRAY_TASK_ID": task, "OUT": str(tmp_path / "out")}
    script = str(ROOT / "examples" / "search.sbatch")
    typed = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=True).stdout
    assert all(word in typed for word in words)
    values, unknown = read(words_of(typed.split()[2:]), flags_of(SearchOptions))
    assert values["role"] in words[0] and unknown == []


@pytest.mark.slow
def test_a_real_search_is_killed_and_goes_on(tmp_path):
    """Two trials of a run that is killed with its search, and one that went through."""
    words = ["--benchmark", "copy_task", "--method", "hnet", "--preset", "hnet_short", "--data.num-tasks", "2"]
    words += ["--data.num-train", "200", "--data.num-test", "20", "--data.num-validation", "20", "--train.steps", "40"]
    words += ["--train.jit", "off", "--network.hidden-sizes", "8", "--max-trials", "2", "--checkpoint-every", "5"]
    command = [sys.executable, "-m", "trainers.search", *words]
    run = functools.partial(subprocess.run, cwd=ROOT, capture_output=True, text=True)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run([*command, "--out", str(straight)]).returncode == 0
    process = subprocess.Popen([*command, "--out", str(killed)], cwd=ROOT, stdout=subprocess.DEVNULL)
    while not list((killed / "trials").glob("*/seed0/checkpoints/learned0-step*.npz")):
        assert process.poll() is None
    process.kill()
    process.wait()
    done = run([sys.executable, "-m", "trainers.search", "--out", str(killed), "--resume"])
    assert done.returncode == 0, done.stderr
    log = (killed / "trials" / "0" / "seed0.log").read_text()
    assert "continuing after step" in log
    tables = [(path / "trials.csv").read_text().splitlines() for path in (straight, killed)]
    without_seconds = [[line.split(",")[:6] + line.split(",")[7:] for line in table] for table in tables]
    assert without_seconds[0] == without_seconds[1]
