import io
import math

from rich.console import Console

from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.events import TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.progress import ProgressReporter
from tests import tiny
from tests.test_recording import evaluation, matrix_of

ROWS = [[81.25, 40.0], [70.5, 90.0]]


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
    assert printed[-1] == "forgetting 10.75, backward transfer -10.75, worst final 70.50"  # as wide as the terminal
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


def entry(reporter, clock, task, step, seconds_per_step, num_steps=100):
    """Tell a reporter about 10 steps that took `seconds_per_step` each."""
    clock.now += 10 * seconds_per_step
    reporter.trained(TrainingLog(task, step, num_steps, {"total": 1.0, "task": 1.0}, 50.0, 1.0, seconds_per_step))


def last_line(console):
    return console.file.getvalue().splitlines()[-1]


def test_the_time_left_does_not_hold_the_compilation():
    console, clock, stream = Console(file=io.StringIO(), width=120), Clock(), tiny.stream(2)
    reporter = ProgressReporter(console, clock)
    reporter.run_began(stream, 0, matrix_of([]))
    entry(reporter, clock, stream[0], 10, 7.0)  # compiles
    entry(reporter, clock, stream[0], 20, 1.0)
    assert last_line(console).endswith("1000.0 ms/step | 3 min 00 s left")  # 80 steps of this task, 100 of the next
    for step in (30, 40):
        entry(reporter, clock, stream[0], step, 1.0)
    entry(reporter, clock, stream[0], 50, 9.0)  # compiles for another length of sequences
    assert last_line(console).endswith("2 min 30 s left")


def test_the_time_left_holds_validations_and_tests():
    console, clock, stream = Console(file=io.StringIO(), width=120), Clock(), tiny.stream(2)
    reporter, matrix = ProgressReporter(console, clock), matrix_of([])
    reporter.run_began(stream, 0, matrix)
    for step in range(10, 101, 10):
        entry(reporter, clock, stream[0], step, 1.0)
        if step % 50 == 0:
            clock.now += 5.0 + 20.0 * (step == 50)  # the first one compiles
            reporter.validated(ValidationLog(stream[0], step, evaluation(77.0)))
    matrix.add(matrix_of(ROWS).rows[0])
    reporter.task_learned(TaskResult(stream[0], matrix.rows[0], 130.0, 12.0, 100), matrix)
    entry(reporter, clock, stream[1], 10, 1.0)
    assert last_line(console).endswith("1 min 50 s left")  # 90 steps, 1.64 validations of 5 s, tests of 12 s


def test_a_terminal_that_is_narrow_cuts_no_word_of_the_caption():
    console = Console(file=io.StringIO(), width=200)
    told(console)
    assert "forgetting 10.75, backward transfer -10.75, worst final 70.50" in console.file.getvalue()


def numbers(explained, loss=0.5):
    return Evaluation(loss, math.nan, None, {"explained_variance": explained})


def told_of_numbers(rows, unit="mean squared error"):
    console, stream = Console(file=io.StringIO(), width=100), tiny.stream(2)
    reporter, matrix = ProgressReporter(console, Clock()), ResultMatrix(("t0", "t1"), loss_unit=unit)
    reporter.run_began(stream, 0, matrix)
    for row, task in zip(rows, stream, strict=True):
        scores = [numbers(score) for score in row]
        reporter.validated(ValidationLog(task, 40, scores[0]))
        reporter.trained(TrainingLog(task, 40, 40, {"total": 0.5, "task": 0.5}, math.nan, 0.5, 1.0))
        matrix.add(scores)
        reporter.task_learned(TaskResult(task, scores, 20.0, 0.5, 40), matrix)
    reporter.run_ended(matrix)
    return console.file.getvalue()


def test_numbers_are_scored_by_their_explained_variance():
    printed = told_of_numbers([[81.25, 40.0], [70.5, 90.0]])
    assert "| task 0.5 | validation explained variance 81.2 %" in printed
    assert "task 1/2 t0: explained variance 81.25 % in 20 s; mean of tasks so far 81.25 %" in printed
    assert "test explained variance, %" in printed
    assert "forgetting 10.75, backward transfer -10.75, worst final 70.50" in printed


def test_a_score_that_is_not_defined_for_a_task_is_a_dash():
    printed = told_of_numbers([[math.nan, 40.0], [math.nan, 90.0]])
    assert "t0: explained variance – in" in printed and "nan" not in printed


def test_without_a_score_the_loss_is_shown_with_its_unit():
    printed = told_of_numbers([[math.nan] * 2] * 2)
    assert "t0: loss 0.5 in 20 s; mean of tasks so far 0.5" in printed
    assert "test loss, mean squared error" in printed
