"""`--seeds`: which runs a command stands for, how their processes run, what is refused; one real run is slow."""

import dataclasses
import json
import signal

import pytest

from clrnn_tf.errors import ConfigurationError
from tests.stored_runs import store
from trainers import seed_processes, seed_runs
from trainers.copy_task import BENCHMARK
from trainers.own_data import BENCHMARK as OWN_DATA
from trainers.run import main
from trainers.seed_processes import run_all, start_process
from trainers.seeds import asks_for_seeds, parse_seeds, plan, seed_directories
from trainers.settings import parse

PRESET = ["--preset", "hnet_short"]


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


class FakeProcess:
    """Ends with a code at its n-th look; with 130 after a signal."""

    def __init__(self, code=0, looks=1):
        self.code, self.looks, self.signals = code, looks, []

    def poll(self):
        self.looks -= 1
        return self.code if self.looks < 0 else None

    def wait(self):
        self.looks = -1
        return 130 if self.signals else self.code

    def send_signal(self, number):
        self.signals.append(number)


class Machine:
    """Starts fake processes and counts how many run at once."""

    def __init__(self, codes=None, looks=1, after=lambda run: None):
        self.codes, self.looks, self.after = codes or {}, looks, after
        self.started, self.processes, self.most = [], [], 0

    def start(self, plan, run):
        self.started.append(run.seed)
        self.processes.append(FakeProcess(self.codes.get(run.seed, 0), self.looks))
        self.most = max(self.most, sum(process.looks >= 0 for process in self.processes))
        self.after(run)
        return self.processes[-1]


def planned(tmp_path, *words):
    return plan(BENCHMARK, [*PRESET, "--out", str(tmp_path / "out"), *words])


def refusal(*words):
    with pytest.raises(ConfigurationError) as refused:
        plan(BENCHMARK, [*map(str, words)])
    (line,) = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-3", (0, 1, 2, 3)), ("0,3,5", (0, 3, 5)), ("7", (7,)), ("9,0-1", (9, 0, 1)), ("4-4", (4,))]
)
def test_lists_and_ranges_of_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "--seeds must be like 0-9 or 0,3,5. Received: a."),
        ("-3", "--seeds must be like 0-9 or 0,3,5. Received: -3."),
        ("1,", "--seeds must be like 0-9 or 0,3,5. Received: 1,."),
        ("9-0", "--seeds must count upwards, like 0-9. Received: 9-0."),
        ("0-3,2", "--seeds must name a seed once. Received: 2 twice."),
        ("0-1000", "--seeds must be at most 1000 seeds. Received: 0-1000."),
    ],
)
def test_what_is_no_list_of_seeds_is_refused(text, message):
    with pytest.raises(ConfigurationError) as refused:
        parse_seeds(text)
    assert str(refused.value) == message


def test_every_seed_has_the_command_of_a_run_of_its_own(tmp_path):
    found = planned(tmp_path, "--seeds", "0,2", "--processes", "9", "--train.steps", "7", "--hnet.strength=0.5")
    assert found.processes == 2
    for run, seed in zip(found.runs, (0, 2), strict=True):
        command = parse(BENCHMARK, run.arguments)
        assert command.out == run.path == tmp_path / "out" / f"seed{seed}"
        assert command.experiment.seed == seed
        assert (command.experiment.train.steps, command.experiment.method_options.strength) == (7, 0.5)
        assert (command.options.seeds, command.options.processes) == (None, 1)
        assert run.log == tmp_path / "out" / f"seed{seed}.log"


def test_the_directory_is_named_like_that_of_one_run_without_its_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = plan(BENCHMARK, ["--preset", "hnet_permuted", "--method", "si", "--seeds=0-1"])
    assert str(found.out) == "runs/copy_task_hnet_permuted_si"


def test_the_directory_of_the_data_may_still_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    found = plan(OWN_DATA, ["data", "--seeds", "1", "--out", "out"])
    assert parse(OWN_DATA, found.runs[0].arguments).data_dir.name == "data"


def test_help_and_single_runs_are_left_alone(tmp_path):
    assert not asks_for_seeds([])
    assert not asks_for_seeds(["--seeds", "0-3", "--help"])
    assert asks_for_seeds(["--seeds=0-3"])


def test_begun_runs_are_continued_and_others_begin_with_their_settings(tmp_path):
    def changed(experiment):
        return dataclasses.replace(experiment, train=dataclasses.replace(experiment.train, steps=9))

    store(tmp_path / "out" / "seed1", 1, change=changed)
    found = plan(BENCHMARK, ["--out", str(tmp_path / "out"), "--seeds", "1-2", "--resume"])
    begun, new = (parse(BENCHMARK, run.arguments) for run in found.runs)
    assert begun.options.resume and not new.options.resume
    assert begun.experiment.train.steps == new.experiment.train.steps == 9
    assert (new.experiment.seed, new.preset) == (2, "hnet_short")


def test_runs_that_differ_in_more_than_their_seed_are_refused(tmp_path):
    store(tmp_path / "out" / "seed0", 0)
    out = ["--out", tmp_path / "out"]
    assert "train.steps (stored 1500, now 9)" in refusal(*PRESET, *out, "--seeds", "1", "--train.steps", "9")
    line = refusal(*out, "--seeds", "0-1", "--resume", "--train.steps", "9")
    assert "train.steps (stored 1500, now 9)" in line
    assert plan(BENCHMARK, [*PRESET, *map(str, out), "--seeds", "1"]).runs[0].seed == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0-1", "--seed", "3"], "--seeds says all seeds. Received: --seed 3 as well; leave it out."),
        (["--seeds", "0-1", "--distribute"], "--seeds runs whole processes. Received: --distribute as well"),
        (["--seeds", "0-1", "--processes", "0"], "--processes must be at least 1. Received: 0."),
        (["--seeds"], "--seeds needs a value (NAME|none). Received: none."),
        (["--seeds", "0-1", "--resume"], "--resume needs --out with the directory of the runs to continue."),
        (["--seeds", "0-1", "--resume", "--out", "OUT"], "it has no directory such as seed0 with a run."),
        (["--seeds", "0-1", "--train.steps", "0"], "train.steps must be above 0. Received: 0."),
        (["--seeds", "0-1", "--trian.steps", "5"], "unknown flag --trian.steps. Did you mean --train.steps?"),
        (["--processes", "2"], "--processes needs --seeds. Received: --processes 2 alone."),
    ],
)
def test_bad_commands_end_with_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(BENCHMARK, words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not any(tmp_path.iterdir())


def test_runs_in_the_way_are_refused_before_anything_is_started(tmp_path):
    store(tmp_path / "out" / "seed1", 1)
    words = [*PRESET, "--out", tmp_path / "out", "--seeds", "0-1"]
    assert "seed1 holds a run already. Continue it with --resume" in refusal(*words)
    assert len(plan(BENCHMARK, [*map(str, words), "--overwrite"]).runs) == 2


def test_runs_of_seeds_are_not_written_into_a_run(tmp_path):
    store(tmp_path / "out")
    assert "holds a run of one seed. Choose another" in refusal(*PRESET, "--out", tmp_path / "out", "--seeds", "0")


def test_one_run_cannot_be_resumed_in_a_directory_of_seeds(tmp_path):
    store(tmp_path / "seed1", 1)
    with pytest.raises(ConfigurationError, match="Say which to continue: --seeds 0-9"):
        asks_for_seeds(["--resume", "--out", str(tmp_path)])


def test_so_many_processes_run_at_once(tmp_path, capsys):
    machine = Machine(looks=2)
    found = planned(tmp_path, "--seeds", "0-4", "--processes", "2")
    assert run_all(found, found.runs, machine.start, pause=lambda seconds: None) == dict.fromkeys(range(5), 0)
    assert machine.started == [0, 1, 2, 3, 4]
    assert machine.most == 2
    assert capsys.readouterr().out.count("done") == 5


def test_a_run_that_fails_does_not_stop_the_others(tmp_path, capsys):
    machine = Machine(codes={1: 1, 2: -9}, after=lambda run: run.log.parent.mkdir(exist_ok=True))
    found = planned(tmp_path, "--seeds", "0-3")
    found.out.mkdir()
    found.runs[1].log.write_text("step 3\nerror: total is nan.\n")
    codes = run_all(found, found.runs, machine.start, pause=lambda seconds: None)
    assert codes == {0: 0, 1: 1, 2: -9, 3: 0}
    printed = capsys.readouterr().out
    assert f"seed 1: failed (exit code 1). total is nan. See {found.runs[1].log}." in printed
    assert "seed 2: failed (killed by signal 9). Its log cannot be read." in printed


def test_after_bad_input_no_further_run_begins(tmp_path):
    machine = Machine(codes={0: 2})
    found = planned(tmp_path, "--seeds", "0-3")
    assert run_all(found, found.runs, machine.start, pause=lambda seconds: None) == {0: 2}


def test_an_interrupt_stops_the_runs_and_begins_no_other(tmp_path):
    machine = Machine(looks=100)
    found = planned(tmp_path, "--seeds", "0-3", "--processes", "2")
    with pytest.raises(KeyboardInterrupt):
        run_all(found, found.runs, machine.start, pause=lambda seconds: signal.raise_signal(signal.SIGTERM))
    assert machine.started == [0, 1]
    assert [process.signals for process in machine.processes] == [[signal.SIGTERM]] * 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_line_is_printed_for_each_task_that_is_learned(tmp_path, capsys):
    found = planned(tmp_path, "--seeds", "0")
    rows = iter([((90, 50),), ((90, 50), (80, 95))])

    def learn(seconds):
        row = next(rows, None)
        if row:
            (found.runs[0].path / "config.yaml").unlink(missing_ok=True)
            store_over(found.runs[0].path, row)

    machine = Machine(looks=4)
    run_all(found, found.runs, machine.start, pause=learn)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["seed 0: 1 of 2 tasks learned, mean of tasks so far 90.00", "seed 0: done, mean final 87.50"]


def store_over(path, rows):
    """Replace what a run has stored."""
    for file in path.glob("*"):
        file.unlink()
    store(path, rows=rows)


def test_finished_seeds_are_not_started_again(tmp_path, monkeypatch, capsys):
    store(tmp_path / "out" / "seed0", 0)
    store(tmp_path / "out" / "seed1", 1, rows=((90, 50), (70, 95)))
    done = {tmp_path / "out" / "seed0"}
    monkeypatch.setattr(seed_runs, "is_finished", lambda run: run.path in done)
    left = []
    monkeypatch.setattr(seed_runs, "run_all", lambda plan, runs: left.extend(run.seed for run in runs) or {1: 0})
    found = plan(BENCHMARK, ["--out", str(tmp_path / "out"), "--seeds", "0-1", "--resume"])
    assert seed_runs.run_seeds(found) == 0
    assert left == [1]
    printed = capsys.readouterr().out
    assert "1 are finished" in printed
    assert "| hnet   | 2     | 92.50 ± 0.00 [92.50, 92.50] | 85.00 ± 2.50 [53.23, 116.77]" in printed


@pytest.mark.parametrize(("codes", "code"), [({0: 0}, 0), ({0: 0, 1: 1}, 1), ({0: -9}, 1), ({0: 1, 1: 2}, 2)])
def test_the_exit_code_is_that_of_the_worst_run(tmp_path, monkeypatch, codes, code):
    monkeypatch.setattr(seed_runs, "run_all", lambda plan, runs: codes)
    assert seed_runs.run_seeds(planned(tmp_path, "--seeds", "0-1")) == code


def test_a_process_is_given_the_command_and_its_log(tmp_path, monkeypatch):
    started = {}
    monkeypatch.setattr(seed_processes.subprocess, "Popen", lambda command, **how: started.update(how, command=command))
    found = planned(tmp_path, "--seeds", "3")
    start_process(found, found.runs[0])
    assert started["command"][1:] == ["-m", "trainers.copy_task", *found.runs[0].arguments]
    assert started["stdout"].name == str(found.runs[0].log)
    assert started["start_new_session"]


@pytest.mark.slow
def test_two_seeds_run_and_are_continued(tmp_path, capfd):
    words = "--preset hnet_short --data.num-tasks 2 --data.num-train 200 --data.num-test 20 --data.num-validation 20"
    words = [*words.split(), "--train.steps", "6", "--network.hidden-sizes", "8", "--train.jit", "off"]
    out = str(tmp_path / "out")
    assert main(BENCHMARK, [*words, "--seeds", "0-1", "--processes", "2", "--out", out]) == 0
    assert "| hnet   | 2     |" in capfd.readouterr().out
    assert main(BENCHMARK, [*words, "--seed", "1", "--out", str(tmp_path / "alone")]) == 0
    results = [json.loads((path / "results.json").read_text()) for path in (tmp_path / "out/seed1", tmp_path / "alone")]
    assert results[0].pop("timing") and results[1].pop("timing")
    assert results[0] == results[1]
    assert main(BENCHMARK, ["--seeds", "0-1", "--resume", "--out", out]) == 0
    assert "2 are finished" in capfd.readouterr().out
    assert list(seed_directories(tmp_path / "out")) == [0, 1]
