"""How commands import TensorFlow and Keras."""

import gc
import importlib
import os
import subprocess
import sys

import pytest

from trainers import loading

REAL = """
import sys, gc, trainers, keras
before = [name in sys.modules for name in ("tensorflow", "matplotlib", "sklearn")]
import matplotlib.pyplot
print(before, gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """A module `heavy` that is found as TensorFlow is; it imports what it would like to have, and writes a notice."""
    (tmp_path / "wanted_by_heavy.py").write_text("")
    (tmp_path / "heavy.py").write_text(
        "import gc, os\n"
        "try:\n    import wanted_by_heavy\n    HAS = True\nexcept ImportError:\n    HAS = False\n"
        "COLLECTS = gc.isenabled()\n"
        "os.write(2, b'notice')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "_HEAVY", ("heavy",))
    monkeypatch.setattr(loading, "_NOT_NEEDED", ("wanted_by_heavy",))
    monkeypatch.setattr(sys, "meta_path", [loading._Finder(), *sys.meta_path])
    yield lambda: importlib.import_module("heavy")
    for name in ("heavy", "wanted_by_heavy"):
        sys.modules.pop(name, None)
    gc.unfreeze()


def test_a_heavy_module_is_imported_silently_without_what_it_does_not_need(found, capfd):
    heavy = found()
    assert not heavy.HAS and not heavy.COLLECTS and gc.isenabled()
    assert capfd.readouterr().err == ""
    assert importlib.import_module("wanted_by_heavy")  # it is there for others


def test_what_is_imported_already_is_not_hidden(found):
    wanted = importlib.import_module("wanted_by_heavy")
    assert found().HAS
    assert sys.modules["wanted_by_heavy"] is wanted


def test_what_is_hidden_appears_again_after_an_import_that_fails(found, tmp_path):
    (tmp_path / "heavy.py").write_text("raise ImportError('broken')\n")
    with pytest.raises(ImportError, match="broken"):
        found()
    assert importlib.import_module("wanted_by_heavy")
    assert gc.isenabled()


def test_commands_import_keras_without_pictures_and_wrappers_which_are_there_later():
    environment = {**os.environ, "CLRNN_CACHE_DIR": ""}
    run = subprocess.run([sys.executable, "-c", REAL], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[True, False, False] True True"
    assert run.stderr == ""
