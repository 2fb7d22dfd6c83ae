import pytest

from clrnn_tf.config import NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.execution import memory
from clrnn_tf.experiment import build_trainer
from clrnn_tf.networks.network import RecurrentNetwork
from tests import tiny


def test_a_batch_size_that_cannot_fit_is_refused_with_the_largest_that_might():
    stream = tiny.stream(2)
    time = max(task.train.max_time for task in stream)
    fits = 1_000_000 // (16 * time * stream.num_features)
    memory.require_batches_fit(TrainConfig(batch_size=fits), stream, 1_000_000)
    with pytest.raises(ConfigurationError, match=rf"batch_size must be at most {fits}, .* Received: {fits + 1}\.$"):
        memory.require_batches_fit(TrainConfig(batch_size=fits + 1), stream, 1_000_000)
    memory.require_batches_fit(TrainConfig(batch_size=2_000_000_000), stream, None)


def test_a_main_network_that_cannot_fit_is_refused():
    network = RecurrentNetwork(NetworkConfig(cell="elman", hidden_sizes=(2_000_000_000,)), 3, 2, 1)
    with pytest.raises(ConfigurationError, match=r"at most 1000 weights .* Received: \d{19,}\. Make network.hidden"):
        memory.require_weights_fit(network.weight_specs, 8000)
    memory.require_weights_fit(network.weight_specs, None)


def test_a_trainer_is_refused_before_anything_is_made():
    experiment = tiny.experiment("fine_tuning", train={"batch_size": 2_000_000_000})
    with pytest.raises(ConfigurationError, match="train.batch_size must be at most"):
        build_trainer(experiment, tiny.stream(2))


def test_memory_is_what_the_machine_has_or_what_a_container_may_take(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "memory.max")
    whole = memory.memory_bytes()
    assert whole is None or whole > 100_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_bytes() == whole
    (tmp_path / "memory.max").write_text("64000000\n")
    assert memory.memory_bytes() == (None if whole is None else 64_000_000)
