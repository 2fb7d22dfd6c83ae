import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.methods import hnet_replay
from clrnn_tf.networks.weights import unpack_task
from clrnn_tf.seeds import StepDraw
from tests import tiny
from tests.test_generative_replay import SMALL, moved, replayed, trainer_of

HNET = {"method": "hnet_replay", "strength": 2.0}


@pytest.mark.parametrize("targets", ["fixed", "online"])
@pytest.mark.parametrize(("num_old", "size"), [(1, 3), (3, 8), (3, 2)])
def test_old_tasks_are_decoded_by_the_decoders_of_before(targets, num_old, size):
    stream = tiny.stream(4)
    trainer = trainer_of(stream, **HNET, targets=targets)
    method, before = trainer.method, []
    for task_id in range(num_old):
        generated = method.decoder_source.generate_for(tf.constant([task_id]))[0]
        before.append(unpack_task(generated, method.decoder_source.specs))
    method.before_task(stream[num_old])
    for variable in method.variables_to_train():
        variable.assign_add(tf.ones(variable.shape))
    replay = replayed(trainer, num_old, size, 3)
    key = method.step_key(tf.constant(num_old), tf.constant(3), StepDraw.GENERATION)
    latents = tf.random.stateless_normal([size, 6, SMALL["latent_dim"]], key)
    for row in range(size):
        call = (latents[row : row + 1], tf.constant([6]), tf.constant(0))
        expected = method.decoder.network(before[int(replay.task_ids[row])], *call).logits[0]
        np.testing.assert_allclose(replay.inputs[row], expected, atol=1e-5)


def test_the_autoencoder_learns_from_the_present_task_alone():
    stream = tiny.stream(3)
    trainer = moved(stream, 2, **HNET)
    method = trainer.method
    batch = next(iter(stream[2].train.batches(5, 0, 2)))
    weights, present, step = method.source(tf.constant(2)), tf.constant(2), tf.constant(4)

    def losses():
        found = method.auxiliary_losses(trainer.model, weights, batch, present, step)
        return {name: float(value) for name, value in found.items()}

    before = losses()
    for target in method.regularizer.targets._stored:
        target.assign_add(tf.ones(target.shape))  # other sequences are replayed
    after = losses()
    assert abs(before["distillation"] - after["distillation"]) > 1e-4
    assert {**before, "distillation": 0} == {**after, "distillation": 0}


def test_the_decoders_of_old_tasks_are_regularised():
    stream = tiny.stream(3)
    trainer = trainer_of(stream, **HNET)
    method = trainer.method
    old = method.decoder_source.generate(tf.constant([0, 1])).numpy()
    method.before_task(stream[2])
    method.decoder_source.kernels[0].assign_add(0.1 * tf.ones(method.decoder_source.kernels[0].shape))
    new = method.decoder_source.generate(tf.constant([0, 1])).numpy()
    weights, penalties = method.weights_and_penalties(tf.constant(2), tf.constant(0))
    np.testing.assert_allclose(penalties["output_regularizer"], 2.0 * np.square(new - old).sum() / 2, rtol=1e-4)
    for spec, tensor in zip(method.source.specs, method.source.tensors, strict=True):
        np.testing.assert_array_equal(weights[spec.name], tensor)


def test_kept_memory_is_the_teacher_and_the_decoders_of_all_tasks():
    stream = tiny.stream(3)
    fixed = trainer_of(stream, **HNET).method
    decoder = sum(spec.size for spec in fixed.decoder.network.weight_specs)
    main = sum(spec.size for spec in fixed.setup.network.weight_specs)
    assert fixed.kept_bytes() == {"teacher": 4 * main, "targets": 4 * 3 * decoder}
    online = trainer_of(stream, **HNET, targets="online").method
    hypernetwork = online.decoder_source.count_params()
    assert online.kept_bytes() == {"teacher": 4 * main, "old_hypernetwork": 4 * hypernetwork}
    assert online.facts()["compression_ratio"] == hypernetwork / decoder


def test_dropout_of_the_hypernetwork_depends_on_the_step():
    method = trainer_of(tiny.stream(2), **HNET, hypernetwork={"dropout": 0.5}).method
    ones, same, others = (
        method.decoder_weights(tf.constant(1), tf.constant(step))["head/kernel"].numpy() for step in (3, 3, 4)
    )
    np.testing.assert_array_equal(ones, same)
    assert np.abs(ones - others).max() > 1e-4


def test_options_of_the_regulariser_are_refused_under_the_methods_name():
    with pytest.raises(ConfigurationError, match=r"hnet_replay\.strength must not be negative\. Received: -1"):
        hnet_replay.Config(strength=-1.0)
    with pytest.raises(ConfigurationError, match=r"hnet_replay\.tasks_per_step must be above 0"):
        hnet_replay.Config(tasks_per_step=0)
