"""Continual-learning methods, one per file.

A method is a module here with a frozen dataclass `Config` (its options) and a class `METHOD` derived from
`clrnn_tf.methods.base.Method`. It is found by its module's name; nothing else has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from clrnn_tf.errors import require


def names() -> list[str]:
    """Names of all methods: the modules of this package except `base`."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg and module.name != "base"
    )


def load(name: str) -> ModuleType:
    """The module of a method.

    Raises:
      ConfigurationError: The name is unknown; the message lists the known ones.
    """
    require(name in names(), f"method must be one of {', '.join(names())}. Received: {name}.")
    return importlib.import_module(f"{__name__}.{name}")
