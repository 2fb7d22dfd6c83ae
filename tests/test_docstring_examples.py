"""The examples in the docstrings of the packages run, and print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def modules_with_examples():
    for path in sorted(path for package in ("clrnn_tf", "data_pipelines") for path in (ROOT / package).rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_run(name):
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert tests, f"no docstring of {name} holds the example that its text has"
    reports = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        runner.run(test, out=reports.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(reports)


def test_the_hypernetwork_and_its_regulariser_have_examples():
    names = {f"clrnn_tf.hypernetworks.{name}" for name in ("hypernetwork", "output_regularizer", "targets")}
    assert names <= set(modules_with_examples())
