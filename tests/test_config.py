import dataclasses
import math
from typing import Annotated

import pytest
import yaml

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig, updated, with_present_names
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.methods import hnet, hnet_replay, masking_si
from clrnn_tf.ranges import NonNegative, PositiveInt, Range, Settings, Share
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
        ({"jit": "perhaps"}, "train.jit must be auto, on or off. Received: 'perhaps'"),
        ({"steps": 0}, "train.steps must be above 0. Received: 0"),
        ({"clip_norm": -1.0}, "train.clip_norm must be above 0, or None. Received: -1.0"),
        ({"adam_beta1": 1.0}, r"train.adam_beta1 must be in \[0, 1\). Received: 1.0"),
        ({"l2": -1.0}, "train.l2 must not be negative. Received: -1.0"),
        ({"l2": float("nan")}, "train.l2 must be a finite number. Received: nan"),
        ({"steps": 2**31}, "train.steps must be in .*. Received: 2147483648"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(ConfigurationError, match=message):
        updated(TrainConfig(), values, "train")


def test_nested_settings_must_be_by_name():
    with pytest.raises(ConfigurationError, match="train must hold settings by name. Received: 3"):
        updated(tiny.experiment(), {"train": 3})


def test_a_run_of_an_earlier_version_has_its_method_options_by_the_methods_name():
    stored = {"method": "hnet", "method_options": {"strength": 3.0}}
    assert with_present_names(stored, "hnet") == {"method": "hnet", "hnet": {"strength": 3.0}}
    assert updated(tiny.experiment(), with_present_names(stored, "hnet")).method_options.strength == 3.0


@dataclasses.dataclass(frozen=True)
class Ranged(Settings):
    section = "ranged"
    strength: NonNegative = 0.0
    share: Share | None = None
    sizes: tuple[PositiveInt, ...] = ()
    most: Annotated[int, Range(least=2, most=5)] = 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": -0.5}, "ranged.strength must not be negative. Received: -0.5."),
        ({"strength": math.inf}, "ranged.strength must be a finite number. Received: inf."),
        ({"share": 1.5}, "ranged.share must be in [0, 1], or None. Received: 1.5."),
        ({"sizes": (3, 0)}, "ranged.sizes must hold sizes above 0. Received: (3, 0)."),
        ({"most": 6}, "ranged.most must be in [2, 5]. Received: 6."),
        ({"most": 1}, "ranged.most must be in [2, 5]. Received: 1."),
    ],
)
def test_values_out_of_range_are_refused_by_the_name_of_their_setting(values, message):
    with pytest.raises(ConfigurationError) as error:
        Ranged(**values)
    assert str(error.value) == message


def test_values_at_the_ends_of_their_ranges_are_taken():
    assert Ranged(strength=0.0, share=1.0, sizes=(1,), most=5).share == 1.0
    assert Ranged(share=None, sizes=()).sizes == ()


def test_options_of_methods_are_named_after_their_module():
    for module, name in ((hnet, "hnet"), (hnet_replay, "hnet_replay"), (masking_si, "masking_si")):
        with pytest.raises(ConfigurationError, match=f"^{name}.strength must not be negative"):
            module.Config(strength=-1.0)
