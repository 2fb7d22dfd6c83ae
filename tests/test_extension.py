"""A trained model learns one more task: it is the model that has had the task from the beginning."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import methods
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.extension.growth import grown, held_of
from clrnn_tf.extension.settings import Extension, extended_settings, extension_of, with_names
from clrnn_tf.training.checkpoint_files import Checkpoint, Position
from clrnn_tf.training.checkpoints import restore, variables_of
from tests import tiny

TRAIN = {"steps": 6, "log_every": 3, "validate_every": 3}
SINGLE, MULTI = {"heads": "single"}, {"heads": "multi"}
PER_TASK = {"chunk_embeddings": "per_task", "task_embedding_size": 0, "hidden_sizes": (), "use_bias": False}
CASES = {
    "hnet, chunks of each task": ("hnet", {"network": SINGLE, "hypernetwork": PER_TASK}),
    "from_scratch, a head for each task": ("from_scratch", {"network": MULTI}),
    "masking": ("masking", {"network": MULTI}),
    "hnet": ("hnet", {"network": SINGLE, "strength": 1.0}),
    "hnet, online": ("hnet", {"network": SINGLE, "targets": "online"}),
    "hnet, separate heads": ("hnet", {"heads": "separate"}),
    "context_mod": ("context_mod", {"network": MULTI}),
    "context_mod, hypernetwork": ("context_mod", {"context": "hypernetwork"}),
    "from_scratch": ("from_scratch", {"network": SINGLE}),
    "si": ("si", {"network": MULTI}),
    "online_ewc": ("online_ewc", {"network": MULTI}),
    "masking_si": ("masking_si", {}),
    "masking_ewc": ("masking_ewc", {}),
}
QUICK = (("hnet, chunks of each task", True), ("from_scratch, a head for each task", False), ("masking", True))
ALL = [(name, ngrams) for name in CASES for ngrams in (False, True) if not (ngrams and name == "online_ewc")]


def marked(cases):
    return [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in cases]


@pytest.fixture(autouse=True)
def eagerly():
    """Nothing is compiled: a few steps take less time than that."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trainer_of(name, num_tasks, ngrams=False, **more):
    method, options = CASES[name]
    stream = tiny.stream(num_tasks, validation=False, ngrams=ngrams)
    return build_trainer(tiny.experiment(method, **{"train": TRAIN, **options, **more}), stream), stream


def state(trainer):
    """All that a checkpoint after a task holds, without what only the task in training has."""
    of_one_task = {variable.ref() for variable in trainer.variables_of_one_task()}
    groups = variables_of(trainer, within_task=False)
    return {
        (group, number): variable.numpy()
        for group, variables in groups
        for number, variable in enumerate(variables)
        if variable.ref() not in of_one_task
    }


def learned(trainer, tmp_path, number):
    groups = variables_of(trainer, within_task=False)
    arrays = {group: [variable.numpy() for variable in variables] for group, variables in groups}
    return Checkpoint(tmp_path / f"learned{number}.npz", Position(number, 0), arrays, {"recorded": {}, "identity": {}})


def one_more(smaller, larger, tmp_path, number):
    """The larger trainer as it begins with what the smaller one, of `number` tasks, has learned."""
    made = grown(learned(smaller, tmp_path, number), larger)
    start = Checkpoint(tmp_path / "first.npz", Position(number, 0), made.arrays, made.facts)
    restore(start, larger)
    return start


def weights_of(trainer, task_id):
    return {name: weight.numpy() for name, weight in trainer.model.source(tf.constant(task_id)).items()}


@pytest.mark.parametrize(("name", "ngrams"), marked(ALL))
def test_one_task_and_two_more_give_the_numbers_of_three(name, ngrams, tmp_path):
    straight, stream = trainer_of(name, 3, ngrams)
    extended, first = trainer_of(name, 1, ngrams)
    for trainer, task in ((straight, stream[0]), (extended, first[0])):
        trainer.fit(task)
    for number in (1, 2):
        smaller, (extended, tasks) = extended, trainer_of(name, number + 1, ngrams)
        one_more(smaller, extended, tmp_path, number)
        for trainer, of in ((straight, stream), (extended, tasks)):
            trainer.fit(of[number])
    # The regulariser compares tasks in blocks, whose size depends on the number of tasks and decides how sums round.
    tolerance = 1e-6 if straight.method.loss_names == ("output_regularizer",) else 0.0
    for (key, one), other in zip(state(extended).items(), state(straight).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=str(key))


@pytest.mark.parametrize(
    ("name", "ngrams"),
    [
        ("hnet, chunks of each task", True),
        ("masking", False),
        *marked([("hnet", False), ("hnet, separate heads", False), ("context_mod, hypernetwork", True), ("si", False)]),
    ],
)
def test_what_old_tasks_use_can_be_held_bit_for_bit(name, ngrams, tmp_path):
    smaller, stream = trainer_of(name, 2, ngrams, train={**TRAIN, "weight_decay": 0.1, "l2": 0.1, "clip_norm": 0.1})
    for task in stream:
        smaller.fit(task)
    larger, stream = trainer_of(name, 3, ngrams, train={**TRAIN, "weight_decay": 0.1, "l2": 0.1, "clip_norm": 0.1})
    start = one_more(smaller, larger, tmp_path, 2)
    larger.step.held = held_of(start, larger)
    before = [weights_of(larger, task_id) for task_id in range(2)]
    untrained, loss = state(larger), larger.evaluate(stream[2], stream[2].train).loss
    larger.fit(stream[2])
    own_head = [spec.name for spec in larger.model.network.weight_specs if spec.per_head and spec.shape[0] > 1]
    for task_id in range(2):
        after = weights_of(larger, task_id)
        for key, weight in before[task_id].items():
            rows = slice(0, 2) if key in own_head and len(weight) > 1 else slice(None)
            np.testing.assert_array_equal(after[key][rows], weight[rows], err_msg=key)
        for split in (stream[task_id].test,):
            expected = smaller.evaluate(stream[task_id], split)
            assert larger.evaluate(stream[task_id], split).loss == expected.loss
    assert any(not np.array_equal(value, untrained[key]) for key, value in state(larger).items())
    assert larger.evaluate(stream[2], stream[2].train).loss < loss


def test_nothing_can_be_held_where_all_variables_are_shared(tmp_path):
    smaller, _ = trainer_of("masking", 1, network=SINGLE)
    larger, _ = trainer_of("masking", 2, network=SINGLE)
    start = one_more(smaller, larger, tmp_path, 1)
    with pytest.raises(ConfigurationError, match="leaves nothing to train"):
        held_of(start, larger)


def test_a_model_of_another_shape_is_refused(tmp_path):
    smaller, _ = trainer_of("masking", 1)
    larger, _ = trainer_of("masking", 2, network={"hidden_sizes": (13,)})
    with pytest.raises(ConfigurationError, match=r"another model .* Received: shape \[3, 12\] for \[3, 13\]"):
        grown(learned(smaller, tmp_path, 1), larger)


def test_a_model_of_as_many_tasks_or_more_is_refused(tmp_path):
    smaller, larger = trainer_of("masking", 2)[0], trainer_of("masking", 1)[0]
    with pytest.raises(ConfigurationError, match="another model"):
        grown(learned(smaller, tmp_path, 2), larger)


# Settings.


@pytest.mark.parametrize("method", list(methods.names()))
def test_every_method_can_or_says_why_not(method):
    experiment = tiny.experiment(method, network=SINGLE)
    can = {case[0] for case in CASES.values()}
    if method in can:
        assert extended_settings(experiment, ["a"], {"train": {"steps": 7}}).train.steps == 7
    else:
        with pytest.raises(ConfigurationError, match=rf"^{method} cannot learn one more task: \w+"):
            extended_settings(experiment, ["a"], {})


def test_generated_heads_of_all_tasks_are_refused():
    with pytest.raises(ConfigurationError, match="heads single"):
        extended_settings(tiny.experiment("hnet", network=MULTI), ["a"], {})
    extended_settings(tiny.experiment("hnet", network=MULTI, heads="separate"), ["a"], {})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"network": {"hidden_sizes": [13]}}, "network.hidden_sizes"),
        ({"seed": 3}, "seed"),
        ({"masking": {"fraction": 0.5}}, "masking.fraction"),
    ],
)
def test_what_makes_another_model_is_refused(changes, named):
    with pytest.raises(ConfigurationError, match=f"another {named}"):
        extended_settings(tiny.experiment("masking"), ["a"], changes)


def test_a_network_that_reads_the_task_is_refused():
    with pytest.raises(ConfigurationError, match="task_id_input"):
        extended_settings(tiny.experiment("masking", network={"task_id_input": True}), ["a"], {})


def test_a_plus_adds_a_name_to_those_of_the_run():
    from data_pipelines import copy_task, own_data, pos_tagging

    def data_after(before, **changes):
        import dataclasses

        experiment = dataclasses.replace(tiny.experiment("masking"), data=before)
        return extended_settings(experiment, ["en", "de"], {"data": changes}).data

    assert data_after(pos_tagging.Config(), languages=["+sv"]).languages == ("en", "de", "sv")
    assert data_after(pos_tagging.Config(num_tasks=2), languages=["+sv"]).num_tasks == 3
    assert data_after(own_data.Config(tasks=("en", "de")), tasks=["+x"]).tasks == ("en", "de", "x")
    assert data_after(copy_task.Config(num_tasks=2), num_tasks=3).num_tasks == 3
    with pytest.raises(ConfigurationError, match="must name the new task alone"):
        data_after(pos_tagging.Config(), languages=["en", "+sv"])


def test_a_run_of_all_tasks_that_were_found_is_one_of_their_names_later():
    from data_pipelines import copy_task, own_data, pos_tagging

    assert with_names(own_data.Config(), ["b", "a"]).tasks == ("b", "a")
    assert with_names(pos_tagging.Config(num_tasks=2), ["en", "cs_pdt"]).languages == ("en", "cs_pdt")
    assert with_names(pos_tagging.Config(languages=("de",)), ["de"]).languages == ("de",)
    assert with_names(copy_task.Config(), ["task0"]) == copy_task.Config()
    assert with_names(None, ["task0"]) is None


def test_where_a_run_goes_on_from_is_read_back(tmp_path):
    extension = Extension(tmp_path, keep_exact=True, max_drop=0.5)
    assert extension_of({"extends": extension.to_dict()}) == extension
    assert extension_of({}) is None
    with pytest.raises(ConfigurationError, match="must have run"):
        extension_of({"extends": {"run": "x"}})
    with pytest.raises(ConfigurationError, match="at least 0"):
        Extension(tmp_path, max_drop=-1.0)
