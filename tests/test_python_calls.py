"""Settings and calls made in Python with values that cannot be: each is refused in one line that names it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
from clrnn_tf.methods import coresets, fine_tuning, si
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SeparateWeights, SharedWeights
from clrnn_tf.networks.weights import WeightSpec
from clrnn_tf.streams.checks import check_stream
from clrnn_tf.streams.inputs import InputModel, NgramInputs
from clrnn_tf.streams.joint import joint_task
from clrnn_tf.streams.own import Preparation
from clrnn_tf.task_inference import TaskInference
from data_pipelines import copy_task, pos_tagging, speech_commands, split_audioset, stroke_mnist
from tests import tiny

SPECS = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5)]


def network(heads="multi"):
    return RecurrentNetwork(NetworkConfig(hidden_sizes=(4,), heads=heads), 3, 5, 2)


def model(outputs="softmax", heads="multi", source=SharedWeights):
    main = network(heads)
    return TaskModel(main, source(main.weight_specs), outputs)


def regularizer(targets="fixed"):
    hypernetwork = Hypernetwork(SPECS, HypernetworkConfig(chunk_size=2, hidden_sizes=(3,)), num_tasks=3)
    return OutputRegularizer(hypernetwork, RegularizerConfig(targets=targets))


def separate(specs):
    return SeparateWeights(specs, num_tasks=3)


REFUSED = {
    "a number as text": (lambda: TrainConfig(steps="10"), "train.steps must be of type int. Received: '10'."),
    "a part of a step": (lambda: TrainConfig(steps=1.5), "train.steps must be of type int. Received: 1.5."),
    "a truth value": (lambda: TrainConfig(steps=True), "train.steps must be of type int. Received: True."),
    "no text": (lambda: TrainConfig(learning_rate=None), "train.learning_rate must be of type float. Received: None."),
    "a tensor": (
        lambda: TrainConfig(clip_norm=[1.0]),
        "train.clip_norm must be of type float or None. Received: [1.0].",
    ),
    "too large": (
        lambda: TrainConfig(steps=10**12),
        "train.steps must be in [-2147483647, 2147483647]. Received: 1000000000000.",
    ),
    "NumPy's infinity": (
        lambda: TrainConfig(learning_rate=np.float32(np.inf)),
        "train.learning_rate must be a finite number. Received: inf.",
    ),
    "an unknown word": (lambda: TrainConfig(jit="maybe"), "train.jit must be auto, on or off. Received: 'maybe'."),
    "a number for a word": (lambda: NetworkConfig(cell=3), "network.cell must be of type str. Received: 3."),
    "a list": (
        lambda: NetworkConfig(hidden_sizes=[8]),
        "network.hidden_sizes must be of type tuple of int. Received: [8].",
    ),
    "one size": (
        lambda: NetworkConfig(hidden_sizes=8),
        "network.hidden_sizes must be of type tuple of int. Received: 8.",
    ),
    "no size": (
        lambda: HypernetworkConfig(hidden_sizes=(8, None)),
        "hypernetwork.hidden_sizes must be of type tuple of int. Received: (8, None).",
    ),
    "a word for a choice": (
        lambda: HypernetworkConfig(use_bias="yes"),
        "hypernetwork.use_bias must be of type bool. Received: 'yes'.",
    ),
    "options of a method": (lambda: si.Config(strength="1"), "si.strength must be of type float. Received: '1'."),
    "options of coresets": (lambda: coresets.Config(size=2.0), "coresets.size must be of type int. Received: 2.0."),
    "preparation": (
        lambda: Preparation(missing_flags=1),
        "preparation.missing_flags must be of type bool. Received: 1.",
    ),
    "copy task": (
        lambda: copy_task.Config(num_tasks="2"),
        "data.num_tasks must be of type int. Received: '2'.",
    ),
    "languages": (
        lambda: pos_tagging.Config(languages="fi"),
        "data.languages must be of type tuple of str. Received: 'fi'.",
    ),
    "words": (
        lambda: speech_commands.Config(words=("yes", 3)),
        "data.words must be of type tuple of str. Received: ('yes', 3).",
    ),
    "a folder": (
        lambda: split_audioset.Config(cache="here"),
        "data.cache must be of type Path or None. Received: 'here'.",
    ),
    "digits": (
        lambda: stroke_mnist.Config(num_validation=None),
        "data.num_validation must be of type int. Received: None.",
    ),
    "seed": (lambda: tiny.experiment(seed="0"), "seed must be of type int. Received: '0'."),
    "negative seed": (lambda: tiny.experiment(seed=-1), "seed must be in [0, 2000000000]. Received: -1."),
    "a dictionary": (
        lambda: Experiment(method="si", train={"steps": 3}),
        "train must be of type TrainConfig. Received: {'steps': 3}.",
    ),
    "a network without outputs": (
        lambda: RecurrentNetwork(NetworkConfig(), 3, 0, 2),
        "num_outputs must be above 0. Received: 0.",
    ),
    "no buckets": (lambda: NgramInputs(0, 3), "ngrams.num_buckets must be above 0. Received: 0."),
    "an unknown likelihood": (
        lambda: InputModel("poisson"),
        "input_model.likelihood must be gaussian or bernoulli. Received: 'poisson'.",
    ),
    "more tasks than heads": (
        lambda: TaskInference(model(), 3),
        "task inference must choose from at most 2 tasks, which the model knows. Received: 3.",
    ),
    "more tasks than sets of weights": (
        lambda: TaskInference(model(heads="single", source=separate), 4),
        "task inference must choose from at most 3 tasks, which the model knows. Received: 4.",
    ),
    "fewer than no old task": (
        lambda: regularizer().remember(-1),
        "num_old must be in [0, 3]; make new targets after add_task. Received: -1.",
    ),
    "more old tasks than tasks, online": (
        lambda: regularizer("online").remember(4),
        "num_old must be in [0, 3]; make new targets after add_task. Received: 4.",
    ),
    "empty batches": (
        lambda: tiny.stream(1)[0].train.batches(0, 0, 0),
        "batch_size must be above 0. Received: 0.",
    ),
    "a step before the first": (
        lambda: tiny.stream(1)[0].train.batches(4, 0, 0, -1),
        "start_step must not be negative. Received: -1.",
    ),
    "empty batches in order": (
        lambda: tiny.stream(1)[0].test.in_order(0, 0),
        "batch_size must be above 0. Received: 0.",
    ),
    "empty batches of all tasks": (
        lambda: joint_task(tiny.stream(2)).train.batches(-3, 0, 0),
        "batch_size must be above 0. Received: -3.",
    ),
    "a stream in empty batches": (
        lambda: check_stream(tiny.stream(1), batch_size=0),
        "batch_size must be above 0. Received: 0.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(name):
    call, message = REFUSED[name]
    with pytest.raises(ConfigurationError) as error:
        call()
    assert str(error.value) == message


def test_names_of_what_may_be_registered_are_asked_for():
    """Other tests of the same process register cells and kinds of outputs, too."""
    with pytest.raises(ConfigurationError, match=r"network\.cell must be elman or lstm.* Received: 'nobody'\.$"):
        RecurrentNetwork(NetworkConfig(cell="nobody"), 3, 2, 2)
    with pytest.raises(ConfigurationError, match=r"outputs must be one of softmax, .*\. Received: nonsense\.$"):
        model(outputs="nonsense")


def test_numbers_of_numpy_are_numbers_in_settings_and_in_their_file():
    train = TrainConfig(steps=np.int64(7), learning_rate=np.float32(0.5), weight_decay=1)
    settings = Experiment(method="si", train=train).to_dict()
    assert yaml.safe_load(yaml.safe_dump(settings))["train"]["steps"] == 7
    assert type(settings["train"]["learning_rate"]) is float


def test_every_setting_has_a_value_of_its_type_by_default():
    for made in (NetworkConfig(), HypernetworkConfig(), TrainConfig(), fine_tuning.Config()):
        dataclasses.replace(made)
    assert split_audioset.Config(cache=Path("here")).cache == Path("here")


def test_a_model_knows_as_many_tasks_as_the_scarcest_of_its_parts():
    assert model().num_tasks == 2
    assert model(heads="single").num_tasks is None
    assert model(heads="single", source=separate).num_tasks == 3
    assert TaskInference(model(), 2)(tf.ones([1, 2, 3]), tf.constant([2])).entropies.shape[0] == 2
