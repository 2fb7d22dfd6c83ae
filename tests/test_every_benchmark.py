"""Every method runs on every benchmark, or says why not."""

import numpy as np
import pytest

from clrnn_tf import methods
from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.training.learning import learn
from export.saved_model import Exporter
from tests.test_stream_contract import STREAMS, made

SMALL_DECODER = {"latent_dim": 3, "decoder_cell": "elman", "decoder_hidden_sizes": (6,)}
REPLAY = ("generative_replay", "hnet_replay")
QUICK = [("cognitive", "online_ewc"), ("cognitive", "coresets"), ("own, numbers for each step", "hnet")]
ALL = [(stream, method) for stream in STREAMS for method in methods.names() if (stream, method) not in QUICK]


def experiment_of(method, **network):
    options = methods.load(method).Config(**(SMALL_DECODER if method in REPLAY else {}))
    return Experiment(
        method=method,
        method_options=options,
        network=NetworkConfig(**{"cell": "elman", "hidden_sizes": (6,), **network}),
        hypernetwork=HypernetworkConfig(chunk_size=50, hidden_sizes=(6,)),
        train=TrainConfig(steps=3, batch_size=4, log_every=3, jit="off"),
    )


def run(name, method):
    stream, experiment = made(name), experiment_of(method)
    if method in REPLAY and (stream.input_model is None or stream.ngrams is not None):
        with pytest.raises(ConfigurationError, match="inputs|generated sequence"):
            build_trainer(experiment, stream)
        return
    matrix = learn(stream, build_trainer(experiment, stream))
    assert np.isfinite(matrix.scores("loss")).all()
    assert np.isnan(matrix.scores()).all() == (stream.outputs == "linear")


@pytest.mark.parametrize(("name", "method"), QUICK)
def test_methods_run_on_benchmarks(name, method):
    run(name, method)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), ALL)
def test_every_other_method_runs_on_every_benchmark(name, method):
    run(name, method)


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    ("method", "network"),
    [("hnet", {"cell": "lstm", "biases": "two"}), ("masking", {"biases": "two"}), ("from_scratch", {"cell": "lstm"})],
)
def test_models_of_every_benchmark_answer_after_export_as_before(tmp_path, name, method, network):
    stream = made(name)
    trainer = build_trainer(experiment_of(method, **network), stream)
    exporter = Exporter(trainer.model, tmp_path)
    trainer.observers.append(exporter)
    learn(stream, trainer)  # an export that differs raises
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["all-tasks", *(task.name for task in stream)])
    assert exporter.largest_difference < 1e-4
