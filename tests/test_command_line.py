"""The commands as a user types them; most in this process, a few in one of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trainers import copy_task, pos_tagging
from trainers.run import main

ROOT = Path(__file__).parent.parent
SMALL_COPY = [
    "--preset", "hnet_short", "--data.num-tasks", "2", "--data.num-train", "200", "--data.num-test", "20",
    "--data.num-validation", "20", "--train.steps", "6", "--train.log-every", "3", "--network.hidden-sizes", "8",
    "--train.jit", "off",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


def run(benchmark, *arguments):
    return main(benchmark, [str(argument) for argument in arguments])


def error_of(capsys, benchmark, *arguments):
    """The one line on standard error of a command that must exit with 2."""
    assert run(benchmark, *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_run_leaves_a_complete_directory(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--seed", 3) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["schema_version"] == 1
    assert results["finished"] is True
    assert results["seed"] == 3
    assert "generated" in results["data_source"]
    assert 0 <= results["mean_final_accuracy"] <= 100
    assert len(results["final_accuracy"]) == 2
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["network"]["hidden_sizes"] == [8]
    for name in ("metrics.jsonl", "results.csv", "report.html", "tensorboard", "checkpoints"):
        assert (out / name).exists(), name
    assert len(list((out / "export").glob("*/1/saved_model.pb"))) == 2
    printed = capsys.readouterr().out
    assert "during" in printed and "final" in printed and "forgetting" in printed


def test_the_stored_settings_rebuild_the_run(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", first) == 0
    assert run(copy_task.BENCHMARK, "--config", first / "config.yaml", "--out", second) == 0
    assert without_timing(first) == without_timing(second)


def without_timing(path):
    results = json.loads((path / "results.json").read_text())
    results.pop("timing")
    return results


def test_an_existing_run_is_not_overwritten(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out) == 0
    before = (out / "results.json").read_bytes()
    capsys.readouterr()
    line = error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", out)
    assert "--resume" in line and "--overwrite" in line
    assert (out / "results.json").read_bytes() == before
    assert run(copy_task.BENCHMARK, "--out", out, "--resume") == 0
    assert "finished; nothing to do" in capsys.readouterr().out
    line = error_of(capsys, copy_task.BENCHMARK, "--out", out, "--resume", "--train.learning-rate", "0.5")
    assert "learning_rate" in line
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--overwrite") == 0


@pytest.mark.parametrize("directory", ["missing", "not_a_run"])
def test_overwrite_and_resume_touch_runs_only(tmp_path, capsys, directory):
    out = tmp_path / directory
    if directory == "not_a_run":
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
        error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--overwrite")
        assert (out / "thesis.tex").exists()
    assert "no run to continue" in error_of(capsys, copy_task.BENCHMARK, "--out", out, "--resume")


def test_pos_tagging_reports_bad_data_in_one_line(tmp_path, capsys):
    benchmark = pos_tagging.BENCHMARK
    missing = tmp_path / "nowhere"
    assert "no such directory" in error_of(capsys, benchmark, "--data-dir", missing, "--out", tmp_path / "a")
    assert "klingon" in error_of(capsys, benchmark, "--data.languages", "klingon", "--out", tmp_path / "b")
    folder = tmp_path / "UD_English-Bad"
    folder.mkdir()
    good = "1\tHello\t_\tINTJ\t_\t_\t_\t_\t_\t_\n\n"
    (folder / "en_bad-ud-train.conllu").write_text(good + "1\tworld\tNOUN\n\n")
    (folder / "en_bad-ud-test.conllu").write_text(good)
    line = error_of(capsys, benchmark, "--data-dir", tmp_path, "--data.languages", "en", "--out", tmp_path / "c")
    assert "en_bad-ud-train.conllu" in line and "3" in line
    assert not (tmp_path / "c").exists()


def test_a_run_is_continued_after_its_last_finished_task(tmp_path):
    """Kill a run of its own process between tasks, continue it, and compare with one that went through."""
    arguments = [*SMALL_COPY, "--data.num-tasks", "3"]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run(copy_task.BENCHMARK, *arguments, "--out", straight) == 0
    code = (
        "import os, sys\n"
        "from clrnn_tf.recording.events import Observer\n"
        "from clrnn_tf.recording.files import FileRecorder\n"
        "from trainers.copy_task import BENCHMARK\n"
        "from trainers.run import main\n"
        "written = FileRecorder.task_learned\n"
        "def die_after_second_task(self, result, matrix):\n"
        "    written(self, result, matrix)\n"
        "    if len(matrix.rows) == 2:\n"
        "        os.kill(os.getpid(), 9)\n"
        "FileRecorder.task_learned = die_after_second_task\n"
        "main(BENCHMARK, sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--out", str(killed)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -9
    assert json.loads((killed / "results.json").read_text())["finished"] is False
    assert run(copy_task.BENCHMARK, "--out", killed, "--resume") == 0
    assert without_timing(killed) == without_timing(straight)


@pytest.mark.slow
def test_the_embedded_default_trains_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trainers.pos_tagging", "--quick", "--out", str(tmp_path / "run")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert "starter" in results["data_source"]
    assert results["mean_during_accuracy"] > 30
