import io
import math
import re

import numpy as np
import pytest
from rich.console import Console

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording import figures
from clrnn_tf.recording.comparisons import Comparison, comparison_from_run
from clrnn_tf.recording.events import TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.progress import ProgressReporter
from clrnn_tf.recording.report import write_report
from clrnn_tf.task_inference import InferenceScores
from tests import tiny
from tests.test_recording import create, evaluation, matrix_of, record

ROWS = [[81.25, 40.0], [70.5, 90.0]]


def test_the_report_stands_alone_and_holds_the_numbers(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    published = Comparison("hnet <expected>", 89.83, None, None, "a paper & its settings")
    page = write_report(run.path, [published]).read_text()
    for part in (
        "81.25",
        "70.50",
        "80.25",
        "10.75",
        "89.83",
        "generated for tests",
        "hnet &lt;expected&gt;",
        "a paper &amp; its settings",
        "chunk_size",
    ):
        assert part in page, part
    assert page.count("<svg") == 3
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert not [link for link in links if not link.startswith("data:")]


def test_the_report_shows_inferred_tasks_beside_known_ones(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    assert "Task unknown" not in write_report(run.path).read_text()
    scores = InferenceScores(("t0", "t1"), np.array([[3, 1], [4, 0]]), np.array([61.5, 42.0]))
    run.add_result("task_inference", scores.to_dict())
    page = write_report(run.path).read_text()
    assert "Task unknown" in page
    cells = [
        ["t0", "75.00", "61.50", "70.50", "t0"],
        ["t1", "0.00", "42.00", "90.00", "t0"],
        ["mean", "37.50", "51.75", "80.25", ""],
    ]
    for row in cells:
        assert "".join(f"<td>{cell}</td>" for cell in row) in page


def test_the_report_does_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "available", lambda: False)
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    page = write_report(run.path).read_text()
    assert "<svg" not in page
    assert "matplotlib is not installed" in page
    assert "81.25" in page


def test_comparisons_come_from_the_files_of_another_run(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    comparison = comparison_from_run(run.path)
    assert (comparison.during, comparison.final, comparison.forgetting) == (85.625, 80.25, 10.75)
    assert "generated for tests" in comparison.source
    with pytest.raises(ConfigurationError, match="no results in"):
        comparison_from_run(tmp_path / "nowhere")


def test_runs_of_the_same_tasks_are_drawn_first_and_in_one_figure(tmp_path):
    run, other = create(tmp_path / "run"), create(tmp_path / "other")
    record(run, matrix_of(ROWS))
    record(other, matrix_of(ROWS))
    published = Comparison("hnet (expected)", 89.83, None, None, "a paper")
    page = write_report(run.path, [published, comparison_from_run(other.path)]).read_text()
    assert page.count("<svg") == 4
    assert page.index("Beside other runs") < page.index("Accuracy on every task after each task")
    assert "Beside other runs" not in write_report(run.path, [published]).read_text()


def test_the_heat_map_covers_tasks_not_yet_learned():
    image = figures.matrix_image(matrix_of(ROWS[:1]))
    assert image.dtype == np.uint8
    assert image.shape[2] == 4


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def told(console, num_tasks=2):
    """A reporter that was told about a run of two tasks with 40 steps each, 0.5 s a step."""
    clock, stream, matrix = Clock(), tiny.stream(num_tasks), matrix_of(ROWS)
    reporter = ProgressReporter(console, clock)
    so_far = matrix_of([])
    reporter.run_began(stream, 0, so_far)
    for row, task in zip(matrix.rows, stream, strict=True):
        for step in (20, 40):
            clock.now += 10.0
            losses = {"total": 2.0, "task": 1.5, "output_regularizer": 0.5}
            reporter.trained(TrainingLog(task, step, 40, losses, 61.0, 0.5, 0.5))
            reporter.validated(ValidationLog(task, step, evaluation(77.0)))
        so_far.add(row)
        reporter.task_learned(TaskResult(task, row, 20.0, 0.5, 40), so_far)
    reporter.run_ended(so_far)
    return console.file.getvalue()


def test_plain_lines_say_where_the_run_stands():
    printed = told(Console(file=io.StringIO(), width=100)).splitlines()
    assert printed[0] == "task 1/2 t0 | step 20/40 | task 1.5 output_regularizer 0.5 | train 61.0 %"  # and compiled
    assert printed[1] == (
        "task 1/2 t0 | step 40/40 | task 1.5 output_regularizer 0.5 | train 61.0 % | validation 77.0 % | "
        "500.0 ms/step | 0 min 20 s left"
    )
    assert printed[2] == "task 1/2 t0: accuracy 81.25 % in 20 s; mean of tasks so far 81.25 %"
    assert "validation" not in printed[3]  # of the task before
    assert printed[3].endswith("0 min 10 s left")
    table = "\n".join(printed[-12:])
    for part in ("t0", "81.25", "70.50", "-10.75", "85.62", "80.25", "forgetting 10.75"):
        assert part in table, part


def test_a_line_says_that_the_first_step_is_compiled_and_only_that_one():
    console = Console(file=io.StringIO(), width=100)
    reporter = ProgressReporter(console, Clock())
    stream = tiny.stream(2)
    reporter.run_began(stream, 0, matrix_of([]))
    reporter.task_began(stream[0])
    reporter.trained(TrainingLog(stream[0], 40, 40, {"total": 1.0, "task": 1.0}, math.nan, 0.5, 1.0))
    reporter.task_began(stream[1])
    compiling, first = console.file.getvalue().splitlines()
    assert compiling == "compiling the training step ..."
    assert first == "task 1/2 t0 | step 40/40 | task 1"  # at once; how long it took says nothing about later steps


def test_plain_lines_are_at_least_ten_seconds_apart():
    console, clock = Console(file=io.StringIO(), width=100), Clock()
    reporter = ProgressReporter(console, clock)
    stream = tiny.stream(1)
    reporter.run_began(stream, 0, matrix_of([]))
    for step in range(1, 31):
        clock.now += 1.0
        reporter.trained(TrainingLog(stream[0], step, 40, {"total": 1.0, "task": 1.0}, math.nan, 0.5, 1.0))
    assert len(console.file.getvalue().splitlines()) == 3


def test_a_terminal_gets_a_live_line_and_the_same_table():
    printed = told(Console(file=io.StringIO(), width=140, force_terminal=True, _environ={"TERM": "xterm"}))
    assert "step 40/40" in printed
    assert "80.25" in printed
