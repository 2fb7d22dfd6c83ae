"""Recurrent networks that keep learning new tasks without forgetting.

The names below are the public interface; they are imported on first use, so that settings and help texts can be
read without loading TensorFlow.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOME = {
    "Adam": "optimizers",
    "ArraySplit": "streams.splits",
    "Batch": "streams.tasks",
    "ConfigurationError": "errors",
    "DatasetSplit": "streams.splits",
    "ElmanCell": "networks.cells",
    "Evaluation": "metrics",
    "Experiment": "config",
    "Hypernetwork": "hypernetworks.hypernetwork",
    "HypernetworkConfig": "config",
    "LSTMCell": "networks.cells",
    "Method": "methods.base",
    "NetworkConfig": "config",
    "Observer": "recording.events",
    "RecurrentNetwork": "networks.network",
    "ResultMatrix": "metrics",
    "RunDirectory": "recording.files",
    "SharedWeights": "networks.weight_sources",
    "Task": "streams.tasks",
    "TaskInference": "task_inference",
    "TaskModel": "model",
    "TaskStream": "streams.tasks",
    "TrainConfig": "config",
    "Trainer": "training.trainer",
    "WeightSource": "networks.weight_sources",
    "WeightSpec": "networks.weights",
    "build_trainer": "experiment",
    "learn": "training.learning",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'clrnn_tf' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"clrnn_tf.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
