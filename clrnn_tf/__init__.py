"""Recurrent networks that keep learning new tasks without forgetting.

The names below are the public interface; they are imported on first use, so that settings and help texts can be
read without loading TensorFlow.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOME = {
    "Adam": "optimizers",
    "ArraySource": "sources",
    "Batch": "tasks",
    "ConfigurationError": "errors",
    "DatasetSource": "sources",
    "ElmanCell": "cells",
    "Evaluation": "metrics",
    "Experiment": "config",
    "Hypernetwork": "hypernetwork",
    "HypernetworkConfig": "config",
    "LSTMCell": "cells",
    "Method": "methods.base",
    "NetworkConfig": "config",
    "Observer": "events",
    "RecurrentNetwork": "network",
    "ResultMatrix": "metrics",
    "RunDirectory": "recording",
    "SharedWeights": "weight_sources",
    "Task": "tasks",
    "TaskInference": "inference",
    "TaskModel": "model",
    "TaskStream": "tasks",
    "TrainConfig": "config",
    "Trainer": "training",
    "WeightSource": "weight_sources",
    "WeightSpec": "weights",
    "build_trainer": "experiment",
    "learn": "learning",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'clrnn_tf' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"clrnn_tf.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
