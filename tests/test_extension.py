"""A trained model learns one more task: it is the model that has had the task from the beginning."""

import numpy as np
import pytest

from clrnn_tf import methods
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.extension.growth import grown, held_of
from clrnn_tf.training.checkpoint_files import Checkpoint, Position
from clrnn_tf.training.checkpoints import restore, variables_of
from tests import tiny

TRAIN = {"steps": 6, "log_every": 3, "validate_every": 3}
SINGLE, MULTI = {"heads": "single"}, {"heads": "multi"}
PER_TASK = {"chunk_embeddings": "per_task", "task_embedding_size": 0, "hidden_sizes": (), "use_bias": False}
CASES = {
    "hnet": ("hnet", {"network": SINGLE, "strength": 1.0}),
    "hnet, chunks of each task": ("hnet", {"network": SINGLE, "hypernetwork": PER_TASK}),
    "hnet, online": ("hnet", {"network": SINGLE, "targets": "online"}),
    "hnet, separate heads": ("hnet", {"heads": "separate"}),
    "masking": ("masking", {"network": MULTI}),
    "context_mod": ("context_mod", {"network": MULTI}),
    "context_mod, hypernetwork": ("context_mod", {"context": "hypernetwork"}),
    "from_scratch": ("from_scratch", {"network": SINGLE}),
    "from_scratch, a head for each task": ("from_scratch", {"network": MULTI}),
    "si": ("si", {"network": MULTI}),
    "online_ewc": ("online_ewc", {"network": MULTI}),
    "masking_si": ("masking_si", {}),
}
LETTERS = ("hnet, chunks of each task", "from_scratch", "masking")


def trainer_of(name, num_tasks, ngrams=False, **more):
    method, options = CASES[name]
    stream = tiny.stream(num_tasks, validation=False, ngrams=ngrams)
    return build_trainer(tiny.experiment(method, train=TRAIN, **{**options, **more}), stream), stream


def after(trainer, learned, tmp_path):
    groups = {name: [v.numpy() for v in variables] for name, variables in variables_of(trainer, within_task=False)}
    return Checkpoint(tmp_path / "learned.npz", Position(learned, 0), groups, {"recorded": {}, "identity": {}})


def extended(name, tmp_path, keep_exact=False, **more):
    """A trainer of three tasks that goes on from two, before and after the third."""
    smaller, stream = trainer_of(name, 2, **more)
    for task in stream:
        smaller.fit(task)
    larger, stream = trainer_of(name, 3, **more)
    checkpoint = after(smaller, 2, tmp_path)
    made = grown(checkpoint, larger)
    start = Checkpoint(checkpoint.path, checkpoint.position, made.arrays, {**checkpoint.facts, **made.facts})
    restore(start, larger)
    if keep_exact:
        larger.step.held = held_of(start, larger)
    return larger, stream, start


def state(trainer):
    return [v.numpy() for _, variables in variables_of(trainer, within_task=False) for v in variables]


@pytest.mark.parametrize(
    ("name", "ngrams"), [*((name, False) for name in CASES), *((name, True) for name in LETTERS)]
)
def test_two_tasks_and_one_more_give_the_numbers_of_three(name, ngrams, tmp_path):
    straight, stream = trainer_of(name, 3, ngrams)
    for task in stream[:2]:
        straight.fit(task)
    larger, _, _ = extended(name, tmp_path, ngrams=ngrams)
    for one, other in zip(state(larger), state(straight), strict=True):
        np.testing.assert_array_equal(one, other)
    straight.fit(stream[2])
    larger.fit(stream[2])
    for one, other in zip(state(larger), state(straight), strict=True):
        np.testing.assert_array_equal(one, other)
