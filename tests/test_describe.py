"""``python -m data_pipelines.NAME --describe``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipelines import (
    cognitive_tasks,
    copy_task,
    describe,
    own_data,
    sequential_stroke_mnist,
    speech_commands,
    split_audioset,
    stroke_mnist,
    student_teacher,
)

ROOT = Path(__file__).parent.parent
PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


def run(pipeline, *arguments):
    return describe.main(pipeline, ["--describe", *map(str, arguments)])


def test_sequences_are_described_and_drawn(tmp_path, capsys):
    picture = tmp_path / "new" / "samples.png"
    flags = ("--data.num-tasks", 2, "--data.num-train=40", "--data.num-test", 12, "--data.num-validation", 8)
    assert run(sequential_stroke_mnist, *flags, "--picture", picture) == 0
    printed = capsys.readouterr().out
    assert "sequential_stroke_mnist: Sequential Stroke-MNIST" in printed
    assert "licence    CC BY 4.0" in printed
    (row,) = [line.split() for line in printed.splitlines() if line.startswith("digits_23")]
    assert row[:4] == ["digits_23", "40", "8", "12"] and row[-2:] == ["6", "6"]
    assert picture.read_bytes().startswith(PNG)


def test_sounds_and_copied_patterns_are_drawn(tmp_path, capsys):
    flags = ("--data.num-tasks", 1, "--data.classes-per-task", 2, "--data.clips-per-class", 10)
    assert run(split_audioset, *flags, "--picture", tmp_path / "a.png") == 0
    assert run(copy_task, "--data.num-tasks", 1, "--data.num-train", 20, "--picture", tmp_path / "b.png") == 0
    assert "sigmoid" in capsys.readouterr().out
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("pipeline", "flags", "wanted"),
    [
        (speech_commands, ("--data.num-tasks", 2), "left_no    left, no"),
        (student_teacher, ("--data.num-train", 20, "--data.num-test", 10), "outputs    7, linear"),
        (cognitive_tasks, ("--data.num-train", 20, "--data.num-test", 10, "--data.num-validation", 5), "33, ring"),
    ],
)
def test_words_teachers_and_trials_are_described(pipeline, flags, wanted, tmp_path, capsys):
    assert run(pipeline, *flags, "--picture", tmp_path / "a.png") == 0
    assert wanted in capsys.readouterr().out
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_own_sequences_are_described(tmp_path, capsys):
    rows = [f"{sequence},{step},{sequence % 2}" for sequence in range(40) for step in range(3)]
    (tmp_path / "mine.csv").write_text("\n".join(["sequence,x,label", *rows, ""]), encoding="utf-8")
    assert run(own_data, "--data-dir", tmp_path, "--picture", tmp_path / "a.png") == 0
    assert "mine" in capsys.readouterr().out
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert run(own_data) == 2
    assert "own_data needs a directory of tasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--data.num-tasks", "7"), "data.num_tasks must be at most 5"),
        (("--data.num-tsks", "7"), "unknown setting 'data.num_tsks'. Did you mean num_tasks"),
        (("--data.num-tasks", "many"), "data.num_tasks must be of type int"),
        (("--train.steps", "7"), "unknown flag --train.steps"),
        (("--data-dir", "nowhere"), "no such directory"),
    ],
)
def test_wrong_flags_are_refused_in_one_line(capsys, flags, wanted):
    assert run(stroke_mnist, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and wanted in line


def test_values_are_read_as_the_trainers_read_them():
    values = describe._understood(stroke_mnist, ["--data.variants", "plain", "--data.num-test", "none"])[1]
    assert values == {"variants": ["plain"], "num_test": None}
    switch = describe._understood(sequential_stroke_mnist, ["--data.no-two-classes"])[1]
    assert switch == {"two_classes": False}


@pytest.mark.slow
def test_a_process_of_its_own_prints_no_notices(tmp_path):
    command = [sys.executable, "-m", "data_pipelines.stroke_mnist", "--describe", "--picture", str(tmp_path / "a.png")]
    environment = {name: value for name, value in os.environ.items() if name != "CLRNN_DATA_DIR"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "digits_89" in done.stdout
