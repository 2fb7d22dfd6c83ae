"""Every file of `examples/` runs, and shows what it promises to show."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "__init__")
MAX_LINES = 80


@pytest.fixture
def printed_by(capsys, monkeypatch):
    """Runs an example as a program and returns what it prints."""

    def run(name):
        monkeypatch.setenv("COLUMNS", "100")
        runpy.run_module(f"examples.{name}", run_name="__main__")
        return capsys.readouterr().out

    return run


def accuracies(text, label):
    """The numbers on the line that begins with `label`: during, then final."""
    (line,) = (line for line in text.splitlines() if line.startswith(label))
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", line.removeprefix(label))]


def test_the_numpy_benchmark_is_forgotten_by_fine_tuning_and_kept_by_hnet(printed_by):
    text = printed_by("numpy_benchmark")
    during, _, forgotten, _ = accuracies(text, "fine_tuning:")
    assert during > 90 and forgotten < 60
    assert min(accuracies(text, "hnet:")) > 90


def test_the_method_of_the_example_forgets_less_and_learns_less_the_stronger_it_is(printed_by):
    text = printed_by("my_method")
    free, held = (accuracies(text, f"strength {strength}:") for strength in (0.0, 1.0))
    assert free[0] > 90 and held[0] > 90  # the first task, right after learning it
    assert held[2] > free[2] + 20  # at the end
    assert held[3] < free[3] - 10  # the second task


def test_training_with_progress_learns_and_exports(printed_by):
    text = printed_by("train_with_progress")
    assert "task1: regulariser" in text and "forgetting" in text
    (right,) = re.findall(r"task0/1: ([\d.]+) % of the bits", text)
    assert float(right) > 90


def test_the_keras_model_keeps_its_first_task_under_the_regulariser(printed_by):
    text = printed_by("keras_model")
    assert accuracies(text, "strength 0.0:")[0] < 50
    assert accuracies(text, "strength 1.0:")[0] > 90


def test_every_example_has_a_test():
    tested = re.findall(r'printed_by\("(\w+)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(tested) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_short_and_name_their_command(name):
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_LINES
    assert f"python -m examples.{name}\n" in text
