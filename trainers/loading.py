"""How commands import TensorFlow and Keras: without their notices, and in half of the time."""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from clrnn_tf.notices import closed_stderr

_HEAVY = ("tensorflow", "keras")
# TensorFlow and Keras import these where they are installed, for wrappers, pictures and sparse arrays, which no command
# uses: a third of the CPU of their import, and 90 MB. Our figures and statistics import them when they are made.
_NOT_NEEDED = ("matplotlib", "scipy", "sklearn")
# Container objects that are made between two collections; 700 by default. Importing TensorFlow and tracing make
# millions that stay. Looking for cycles among them took a sixth of the CPU until the first step. Peak memory is the
# same: few of the cycles hold much.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def prepare_import_of_tensorflow() -> None:
    """Keep from standard error what TensorFlow writes while it is imported, and from memory what it need not import.

    It is not imported now: what does without it answers seconds sooner.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow and Keras where the usual finder does, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _HEAVY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with closed_stderr(), _not_installed(_NOT_NEEDED), _kept_for_good():
            super().exec_module(module)


@contextlib.contextmanager
def _not_installed(names: Sequence[str]) -> Iterator[None]:
    """Modules that are not imported yet look as if they were not installed: `None` in `sys.modules` says so."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _kept_for_good() -> Iterator[None]:
    """Objects that are made here are never looked at by the garbage collector, not even when Python ends."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
