"""Trained models as SavedModels, which load without this package, and what a model server needs around them.

Names are imported on first use, so that `export.client` starts without loading TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.all_tasks import export_all_tasks as export_all_tasks
    from export.saved_model import export_task as export_task

_HOME = {"export_all_tasks": "all_tasks", "export_task": "saved_model"}

__all__ = sorted(_HOME)

if sys.argv[0] == "-m" and "export.client" not in sys.orig_argv:  # while Python looks for the module of a command
    from clrnn_tf.notices import load_tensorflow

    load_tensorflow()


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'export' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"export.{_HOME[name]}"), name)
