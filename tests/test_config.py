import dataclasses

import pytest
import yaml

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig, updated
from clrnn_tf.errors import ConfigurationError
from tests import tiny


def test_settings_survive_yaml():
    experiment = tiny.experiment(strength=3.0, hypernetwork={"chunk_size": None})
    experiment = dataclasses.replace(experiment, data=TrainConfig(batch_size=3))  # any dataclass will do
    stored = yaml.safe_load(yaml.safe_dump(experiment.to_dict()))
    plain = dataclasses.replace(tiny.experiment(), data=TrainConfig())
    assert updated(plain, stored) == experiment


def test_updates_keep_what_is_not_named_and_convert_lists_and_integers():
    network = updated(NetworkConfig(cell="elman"), {"hidden_sizes": [4, 5]})
    assert network == NetworkConfig(cell="elman", hidden_sizes=(4, 5))
    assert updated(TrainConfig(), {"learning_rate": 1}).learning_rate == 1.0
    assert updated(HypernetworkConfig(), {"chunk_size": None}).chunk_size is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lerning_rate": 1.0}, "unknown setting 'train.lerning_rate'. Did you mean learning_rate"),
        ({"steps": "many"}, "train.steps must be of type int. Received: 'many'"),
        ({"steps": True}, "train.steps must be of type int. Received: True"),
        ({"jit": "perhaps"}, "train.jit must be of type .* Received: 'perhaps'"),
        ({"steps": 0}, "train.steps must be above 0. Received: 0"),
        ({"clip_norm": -1.0}, "train.clip_norm must be above 0, or None. Received: -1.0"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(ConfigurationError, match=message):
        updated(TrainConfig(), values, "train")


def test_nested_settings_must_be_by_name():
    with pytest.raises(ConfigurationError, match="train must hold settings by name. Received: 3"):
        updated(tiny.experiment(), {"train": 3})
