import json
import math
import typing

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.outputs import OUTPUT_KINDS
from data_pipelines import cognitive_tasks
from data_pipelines.cognitive_tasks import Config, TaskName, draw_trials, make_stream
from data_pipelines.cognitive_trials import respond_after_fixation
from trainers.cognitive_tasks import BENCHMARK
from trainers.run import main

ALL = typing.get_args(TaskName)
RING = OUTPUT_KINDS["ring"]
QUIET = {"noise": 0.0, "num_train": 30, "num_test": 10, "num_validation": 5, "ring_size": 32}
N = 32
PREFERRED = 2 * np.pi * np.arange(N) / N


def trials_of(name, number=200, **options):
    return draw_trials(name, Config(**options), np.random.default_rng(5), number)


def batch_of(name, **options):
    stream = make_stream(Config(tasks=(name,), **{**QUIET, **options}))
    (batch,) = stream[0].test.in_order(10, 0).as_numpy_iterator()
    return batch


def apart(one, other):
    return np.abs((one - other + np.pi) % (2 * np.pi) - np.pi)


def bump(direction):
    """Published: 0.8 exp(-(d / (pi / 8))^2 / 2)."""
    return 0.8 * np.exp(-((apart(direction, PREFERRED) / (np.pi / 8)) ** 2) / 2)


def directions_of(ring):
    """Of the population vectors [..., N]."""
    return np.arctan2(ring @ np.sin(PREFERRED), ring @ np.cos(PREFERRED)) % (2 * np.pi)


@pytest.mark.parametrize(("name", "turn"), [("fdgo", 0), ("delaygo", 0), ("fdanti", np.pi), ("delayanti", np.pi)])
def test_a_single_stimulus_is_answered_in_its_direction_or_in_the_opposite_one(name, turn):
    batch = batch_of(name)
    for row in range(10):
        end = batch.lengths[row]
        fixation, rings = batch.inputs[row, :end, 0], batch.inputs[row, :end, 1:].reshape(end, 2, N)
        go = int(fixation.sum())
        assert (fixation[:go] == 1).all() and (fixation[go:] == 0).all() and end - go == 25
        (modality,) = np.flatnonzero(rings.any(axis=(0, 2)))
        shown = np.flatnonzero(rings[:, modality].any(axis=1))
        stimulus = directions_of(rings[shown[0], modality])
        np.testing.assert_allclose(rings[shown, modality], np.tile(bump(stimulus), (len(shown), 1)), atol=2e-3)
        assert (shown[-1] == end - 1) if name.startswith("fd") else (go - shown[-1] - 1 in (10, 20, 40, 80))
        np.testing.assert_allclose(
            batch.targets[row, go:end, 1:] - 0.05, np.tile(bump(stimulus + turn), (25, 1)), atol=2e-3
        )
        np.testing.assert_allclose(batch.targets[row, :go, 1:], 0.05, atol=1e-6)
        np.testing.assert_allclose(batch.targets[row, :end, 0], np.where(fixation, 0.8, 0.05), atol=1e-6)


def counted_strengths(name, strengths):
    """[N, 2] strengths that decide, of those by modality [N, 2, 2]."""
    if name == "multidm":
        return strengths.sum(axis=1)
    return strengths[:, 1 if name.endswith("2") else 0]


@pytest.mark.parametrize("name", [name for name in ALL if "dm" in name])
def test_of_two_stimuli_the_stronger_is_answered(name):
    trials = trials_of(name)
    strengths = trials.stimuli.strengths.reshape(-1, 2, 2)
    counted = counted_strengths(name, strengths)
    stronger = trials.stimuli.directions[np.arange(200), counted.argmax(axis=1)]
    np.testing.assert_allclose(trials.response, stronger)
    first, second = trials.stimuli.directions[:, :2].T
    assert (apart(first, second) >= np.pi / 2 - 1e-9).all()
    assert set(counted.argmax(axis=1)) == {0, 1}
    if name not in ("multidm",):
        expected = (0.08, 0.16, 0.32) if name.startswith("delay") else (0.01, 0.02, 0.04, 0.08)
        np.testing.assert_allclose(np.unique(np.round(np.abs(np.diff(counted)) / 2, 6)), expected)
    modalities = strengths.any(axis=2)
    assert (
        modalities == ([True, True] if "context" in name or name == "multidm" else [name[-1] == "1", name[-1] == "2"])
    ).all()


def test_a_modality_alone_does_not_solve_multidm_nor_the_other_one_contextdm():
    for name in ("multidm", "contextdm1"):
        trials = trials_of(name, 2000)
        strengths = trials.stimuli.strengths.reshape(-1, 2, 2)
        answers = trials.stimuli.directions[np.arange(2000), strengths[:, 1].argmax(axis=1)]
        right = np.mean(answers == trials.response)
        assert right < (0.75 if name == "multidm" else 0.55)


def test_easy_decisions_have_larger_differences():
    strengths = trials_of("dm1", coherence_scale=10.0).stimuli.strengths[:, :2]
    np.testing.assert_allclose(np.unique(np.round(np.abs(np.diff(strengths)) / 2, 6)), (0.1, 0.2, 0.4, 0.8))


@pytest.mark.parametrize(
    ("name", "shortest", "longest"),
    [("fdgo", 1300, 2700), ("delaygo", 1200, 3400), ("dm1", 1000, 2500), ("delaydm1", 1400, 4200)],
)
def test_published_durations(name, shortest, longest):
    ends = 20 * trials_of(name, 3000).end
    assert shortest - 60 <= ends.min() < shortest + 100 and longest - 150 < ends.max() <= longest


def test_published_cost_weights():
    batch = batch_of("delaygo")
    for row in range(10):
        end, go = int(batch.lengths[row]), int(batch.inputs[row, :, 0].sum())
        cost = np.concatenate([np.zeros(5), np.ones(go - 5), np.zeros(5), np.full(end - go - 5, 5.0)])
        np.testing.assert_allclose(batch.loss_weights[row, :end], cost / end, rtol=1e-6)
        assert np.flatnonzero(batch.eval_weights[row]).tolist() == [end - 1]


def test_noise_is_as_published_and_new_at_every_step():
    noisy, quiet = (batch_of("dm1", noise=noise).inputs for noise in (0.01, 0.0))
    real = np.arange(noisy.shape[1]) < batch_of("dm1").lengths[:, np.newaxis]
    noise = (noisy - quiet)[real]
    assert noise.std() == pytest.approx(0.01 * math.sqrt(10), rel=0.02)
    assert np.abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.03
    assert not noisy[~real].any()


def logits_of(activities):
    activities = np.clip(activities, 1e-4, 1 - 1e-4)
    return tf.constant(np.log(activities / (1 - activities)), tf.float32)


def response(direction, fixation=0.05):
    return np.concatenate([[fixation], 0.05 + bump(direction)])


def test_a_response_is_right_within_36_degrees():
    target = tf.constant(response(1.0), tf.float32)[tf.newaxis, tf.newaxis]
    for degrees, right in ((0, 1), (35, 1), (-35, 1), (37, 0), (-37, 0), (180, 0)):
        logits = logits_of(response(1.0 + math.radians(degrees)))[tf.newaxis, tf.newaxis]
        assert RING.accuracy(logits, target).numpy() == right, degrees
    still_fixating = logits_of(response(1.0, fixation=0.8))[tf.newaxis, tf.newaxis]
    assert RING.accuracy(still_fixating, target).numpy() == 0
    fixate = tf.constant(np.concatenate([[0.8], np.full(N, 0.05)]), tf.float32)[tf.newaxis, tf.newaxis]
    assert RING.accuracy(still_fixating, fixate).numpy() == 1
    assert RING.accuracy(logits, fixate).numpy() == 0


def test_the_loss_is_the_squared_error_of_activities_and_counts_fixation_twice():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(2, 3, 5)), rng.uniform(size=(2, 3, 5))
    errors = (1 / (1 + np.exp(-logits)) - targets) ** 2
    expected = (2 * errors[..., 0] + errors[..., 1:].sum(-1)) / 5
    np.testing.assert_allclose(RING.losses(tf.constant(logits), tf.constant(targets)), expected, rtol=1e-6)
    teacher = rng.normal(size=(2, 3, 5))
    distilled = RING.distillation(tf.constant(logits), tf.constant(teacher))
    as_targets = RING.losses(tf.constant(logits), tf.sigmoid(tf.constant(teacher)))
    np.testing.assert_allclose(distilled, as_targets, rtol=1e-6)


def test_predictions_are_directions():
    logits = logits_of(np.stack([response(5.0), response(0.3, fixation=0.8)]))[tf.newaxis]
    served = RING.predictions(logits)
    np.testing.assert_allclose(served["directions"], [[5.0, 0.3]], atol=1e-2)
    np.testing.assert_array_equal(served["fixates"], [[0, 1]])
    assert served["activities"].shape == (1, 2, 33)


def test_the_targets_themselves_are_right():
    for name in ALL:
        batch = batch_of(name)
        right = RING.accuracy(logits_of(batch.targets), tf.constant(batch.targets)).numpy()
        assert right[batch.loss_weights > 0].all()


def test_generated_trials_count_after_their_fixation_signal():
    inputs = np.zeros([1, 5, 9], np.float32)
    inputs[0, :, 0] = [0.9, 0.8, 0.3, 0.6, 0.1]
    np.testing.assert_allclose(respond_after_fixation(tf.constant(inputs)), [[0.2, 0.2, 1.0, 1.0, 1.0]], rtol=1e-6)


def test_a_task_has_the_same_trials_wherever_it_stands():
    one = make_stream(Config(tasks=("dm1", "fdgo"), **QUIET))[1]
    (batch,) = one.test.in_order(10, 1).as_numpy_iterator()
    for field, other in zip(batch[:-1], batch_of("fdgo")[:-1], strict=True):
        np.testing.assert_array_equal(field, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ()}, r"data.tasks needs at least one task. Received: \(\)."),
        ({"tasks": ("dm1", "dm1")}, "data.tasks must differ. Received: dm1 dm1."),
        ({"ring_size": 2}, "data.ring_size must be at least 3. Received: 2."),
        ({"step_duration": 200}, "data.step_duration must be at most 100. Received: 200."),
        ({"noise": -0.1}, "data.noise must not be negative. Received: -0.1."),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Config(**options)


def test_an_unknown_task_is_refused_in_one_line(capsys):
    assert main(BENCHMARK, ["--data.tasks", "fdgo", "fdstop"]) == 2
    assert "data.tasks must be" in capsys.readouterr().err


def test_a_quick_run_of_the_command(tmp_path):
    sizes = "--data.num-train 64 --data.num-test 20 --data.num-validation 0 --data.tasks fdgo fdanti --train.steps 6"
    words = f"--quick --preset hnet_short --train.jit off --out {tmp_path / 'run'} {sizes}".split()
    assert main(BENCHMARK, words) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert np.shape(results["accuracy"]) == (2, 2)
    served = tf.saved_model.load(str(tmp_path / "run" / "export" / "fdgo" / "1")).signatures["serving_default"]
    assert {"logits", "activities", "directions", "fixates"} == set(served.structured_outputs)


def test_every_preset_can_be_made():
    for name, preset in BENCHMARK.presets.items():
        assert preset.experiment("cognitive_tasks").method == preset.method, name
    assert cognitive_tasks.quick(Config()).tasks == ("fdgo", "fdanti", "delaygo")
