"""The package's door: what it offers, resolves, and types."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import clrnn_tf

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", clrnn_tf.__all__)
def test_every_public_name_resolves_and_is_documented(name):
    value = getattr(clrnn_tf, name)
    if name not in ("__version__", "Weights"):
        assert value.__doc__ and value.__name__ == name


@pytest.mark.parametrize("name", [name for name in clrnn_tf.__all__ if name not in ("__version__", "Weights")])
def test_every_public_class_has_an_example(name):
    value = getattr(clrnn_tf, name)
    assert not isinstance(value, type) or ">>> " in value.__doc__


def test_a_type_checker_sees_the_names_that_python_sees():
    tree = ast.parse((ROOT / "clrnn_tf" / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module.removeprefix("clrnn_tf.") for node in typed.body for alias in node.names}
    assert seen == clrnn_tf._HOME


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match="has no attribute 'Hypernet'; it has Adam"):
        clrnn_tf.Hypernet  # noqa: B018


def test_the_package_and_its_settings_load_without_tensorflow():
    code = "import sys, clrnn_tf as c; c.TrainConfig(); c.ConfigurationError; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_dir_lists_the_public_names():
    assert dir(clrnn_tf) == clrnn_tf.__all__
    assert importlib.import_module("clrnn_tf").__version__
