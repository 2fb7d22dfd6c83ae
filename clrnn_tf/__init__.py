"""Recurrent networks that keep learning new tasks without forgetting.

The names below are the public interface. They are imported on first use, so that settings and help texts can be read
without loading TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what a type checker and an editor see; `_HOME` is what Python sees, and a test holds them together
    from clrnn_tf.config import Experiment as Experiment
    from clrnn_tf.config import HypernetworkConfig as HypernetworkConfig
    from clrnn_tf.config import NetworkConfig as NetworkConfig
    from clrnn_tf.config import TrainConfig as TrainConfig
    from clrnn_tf.errors import ConfigurationError as ConfigurationError
    from clrnn_tf.experiment import build_trainer as build_trainer
    from clrnn_tf.extension.certifier import RegressionError as RegressionError
    from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork as Hypernetwork
    from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer as OutputRegularizer
    from clrnn_tf.methods.base import Method as Method
    from clrnn_tf.methods.parts.fisher import FisherDiagonal as FisherDiagonal
    from clrnn_tf.metrics import Evaluation as Evaluation
    from clrnn_tf.metrics import ResultMatrix as ResultMatrix
    from clrnn_tf.model import TaskModel as TaskModel
    from clrnn_tf.networks.cells import ElmanCell as ElmanCell
    from clrnn_tf.networks.cells import LSTMCell as LSTMCell
    from clrnn_tf.networks.network import Outputs as Outputs
    from clrnn_tf.networks.network import RecurrentNetwork as RecurrentNetwork
    from clrnn_tf.networks.weight_sources import SharedWeights as SharedWeights
    from clrnn_tf.networks.weight_sources import WeightSource as WeightSource
    from clrnn_tf.networks.weights import Weights as Weights
    from clrnn_tf.networks.weights import WeightSpec as WeightSpec
    from clrnn_tf.optimizers import Adam as Adam
    from clrnn_tf.recording.events import Observer as Observer
    from clrnn_tf.recording.files import FileRecorder as FileRecorder
    from clrnn_tf.recording.progress import ProgressReporter as ProgressReporter
    from clrnn_tf.recording.report import write_report as write_report
    from clrnn_tf.recording.run_directory import RunDirectory as RunDirectory
    from clrnn_tf.recording.tensorboard import TensorBoardRecorder as TensorBoardRecorder
    from clrnn_tf.runs import Run as Run
    from clrnn_tf.runs import load_run as load_run
    from clrnn_tf.streams.checks import check_stream as check_stream
    from clrnn_tf.streams.inputs import InputModel as InputModel
    from clrnn_tf.streams.inputs import NgramInputs as NgramInputs
    from clrnn_tf.streams.own import Preparation as Preparation
    from clrnn_tf.streams.splits import ArraySplit as ArraySplit
    from clrnn_tf.streams.splits import DatasetSplit as DatasetSplit
    from clrnn_tf.streams.tasks import Batch as Batch
    from clrnn_tf.streams.tasks import Split as Split
    from clrnn_tf.streams.tasks import Task as Task
    from clrnn_tf.streams.tasks import TaskStream as TaskStream
    from clrnn_tf.task_inference import TaskInference as TaskInference
    from clrnn_tf.training.checkpoints import Checkpoints as Checkpoints
    from clrnn_tf.training.learning import learn as learn
    from clrnn_tf.training.trainer import Trainer as Trainer
    from clrnn_tf.training.trainer import TrainingDivergedError as TrainingDivergedError

__version__ = "0.1.0"

_HOME = {
    "Adam": "optimizers",
    "ArraySplit": "streams.splits",
    "Batch": "streams.tasks",
    "Checkpoints": "training.checkpoints",
    "ConfigurationError": "errors",
    "DatasetSplit": "streams.splits",
    "ElmanCell": "networks.cells",
    "Evaluation": "metrics",
    "Experiment": "config",
    "FileRecorder": "recording.files",
    "FisherDiagonal": "methods.parts.fisher",
    "Hypernetwork": "hypernetworks.hypernetwork",
    "HypernetworkConfig": "config",
    "InputModel": "streams.inputs",
    "LSTMCell": "networks.cells",
    "Method": "methods.base",
    "NetworkConfig": "config",
    "NgramInputs": "streams.inputs",
    "Observer": "recording.events",
    "OutputRegularizer": "hypernetworks.output_regularizer",
    "Outputs": "networks.network",
    "Preparation": "streams.own",
    "ProgressReporter": "recording.progress",
    "RecurrentNetwork": "networks.network",
    "RegressionError": "extension.certifier",
    "ResultMatrix": "metrics",
    "Run": "runs",
    "RunDirectory": "recording.run_directory",
    "SharedWeights": "networks.weight_sources",
    "Split": "streams.tasks",
    "Task": "streams.tasks",
    "TaskInference": "task_inference",
    "TaskModel": "model",
    "TaskStream": "streams.tasks",
    "TensorBoardRecorder": "recording.tensorboard",
    "TrainConfig": "config",
    "Trainer": "training.trainer",
    "TrainingDivergedError": "training.trainer",
    "WeightSource": "networks.weight_sources",
    "WeightSpec": "networks.weights",
    "Weights": "networks.weights",
    "build_trainer": "experiment",
    "check_stream": "streams.checks",
    "learn": "training.learning",
    "load_run": "runs",
    "write_report": "recording.report",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'clrnn_tf' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"clrnn_tf.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
