import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import generative_replay, hnet_replay
from clrnn_tf.methods.parts import vae
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.outputs import OUTPUT_KINDS
from clrnn_tf.seeds import StepDraw
from clrnn_tf.streams.tasks import InputModel
from clrnn_tf.training.learning import learn
from data_pipelines import copy_task
from tests import tiny

SMALL = {"latent_dim": 4, "decoder_cell": "elman", "decoder_hidden_sizes": (10,)}
OFF = {"distillation_strength": 0.0, "prior_strength": 0.0, "reconstruction_strength": 0.0}


def draw(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def trainer_of(stream, method="generative_replay", seed=0, network=None, train=None, hypernetwork=None, **options):
    settings = tiny.experiment(method, seed, network, train, hypernetwork, **{**SMALL, **options})
    return build_trainer(settings, stream)


def moved(stream, num_old, **options):
    """A method at the start of task `num_old`, whose student then moved away from its teacher."""
    trainer = trainer_of(stream, **options)
    trainer.method.before_task(stream[num_old])
    for index, variable in enumerate(trainer.method.variables_to_train()):
        variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, [1, index]))
    return trainer


def replayed(trainer, task_id, size, step=0):
    return trainer.method.replay(tf.constant(task_id), tf.constant(step), tf.constant(size))


def test_divergence_from_the_prior_equals_its_integral():
    mean, log_variance, s = 0.4, -0.9, 0.7
    z = np.linspace(-12, 12, 200_001)
    log_q = -0.5 * (np.log(2 * np.pi) + log_variance + (z - mean) ** 2 / np.exp(log_variance))
    log_p = -0.5 * (np.log(2 * np.pi) + 2 * np.log(s) + z**2 / s**2)
    integral = np.sum(np.exp(log_q) * (log_q - log_p)) * (z[1] - z[0])
    latent = vae.Latent(tf.fill([1, 1, 3], mean), tf.fill([1, 1, 3], log_variance))
    np.testing.assert_allclose(vae.prior_matching(latent, s), [[3 * integral]], rtol=1e-5)


def test_divergence_and_reconstruction_equal_the_published_formulas():
    mean, log_variance, y, s = draw((2, 3, 4), 0), draw((2, 3, 4), 1), draw((2, 3, 5), 2), 1.3
    expected = 0.5 * (-1 + (np.exp(log_variance) + mean**2) / s**2 + 2 * np.log(s) - log_variance).sum(-1)
    np.testing.assert_allclose(vae.prior_matching(vae.Latent(mean, log_variance), s), expected, rtol=1e-5)
    x = draw((2, 3, 5), 3)
    np.testing.assert_allclose(vae.reconstruction("gaussian", y, x), ((x - y) ** 2).sum(-1), rtol=1e-5)
    x, p = np.random.default_rng(4).random((2, 3, 5), np.float32), 1 / (1 + np.exp(-y))
    expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(-1)
    np.testing.assert_allclose(vae.reconstruction("bernoulli", y, x), expected, rtol=1e-5)
    np.testing.assert_allclose(vae.as_inputs("bernoulli", y), p, rtol=1e-5)


def test_latent_samples_have_the_mean_and_variance_of_their_distribution():
    latent = vae.Latent(tf.fill([1, 1, 1], 2.0), tf.fill([1, 1, 1], 2 * np.log(0.5).astype(np.float32)))
    samples = latent.sample(tf.random.stateless_normal([20_000, 1, 1], [0, 0])).numpy()
    assert abs(samples.mean() - 2.0) < 0.02 and abs(samples.std() - 0.5) < 0.01


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_latent_outputs_equal_further_columns_of_the_output_layer(cell):
    config = NetworkConfig(cell=cell, hidden_sizes=(6,), heads="single")
    network, wide = (RecurrentNetwork(config, 3, outputs, 1) for outputs in (2, 2 + 2 * 4))
    weights = {spec.name: draw(spec.shape, i) for i, spec in enumerate(network.weight_specs)}
    latent = {spec.name: draw(spec.shape, 20 + i) for i, spec in enumerate(vae.latent_specs(network, 4))}
    appended = {
        **weights,
        "head/kernel": np.concatenate([weights["head/kernel"][0], latent["latent/kernel"]], axis=1)[np.newaxis],
        "head/bias": np.concatenate([weights["head/bias"][0], latent["latent/bias"]])[np.newaxis],
    }
    call = (draw((2, 5, 3), 40), tf.constant([5, 5]), tf.constant(0))
    expected = wide({name: tf.constant(value) for name, value in appended.items()}, *call).logits
    outputs = network({name: tf.constant(value) for name, value in weights.items()}, *call)
    found = vae.Latent.of(outputs.features, latent)
    np.testing.assert_allclose(tf.concat([outputs.logits, *found], axis=-1), expected, atol=1e-5)


@pytest.mark.parametrize(("num_old", "size"), [(1, 5), (3, 8), (3, 2)])
def test_a_batch_is_split_evenly_among_the_old_tasks(num_old, size):
    trainer = trainer_of(tiny.stream(4))
    for step in range(5):
        counts = np.bincount(replayed(trainer, num_old, size, step).task_ids, minlength=num_old)
        assert len(counts) == num_old and counts.sum() == size and counts.max() - counts.min() <= 1


def test_generated_sequences_are_a_function_of_seed_task_and_step():
    stream = tiny.stream(3)
    settings = [(0, 2, 5), (0, 2, 5), (1, 2, 5), (0, 1, 5), (0, 2, 6)]
    drawn = []
    for seed, task_id, step in settings:
        trainer = trainer_of(stream, seed=seed)
        for variable in trainer.method.decoder_teacher.variables:
            variable.assign(draw(variable.shape, 0))
        drawn.append(replayed(trainer, task_id, 6, step).inputs.numpy())
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert all(np.abs(drawn[0] - other).max() > 0.1 for other in drawn[2:])


@pytest.mark.parametrize(("heads", "told"), [("multi", True), ("single", False)])
def test_the_decoder_of_a_network_with_many_heads_is_told_the_task(heads, told):
    method = trainer_of(tiny.stream(3), network={"heads": heads}).method
    latents = tf.random.stateless_normal([2, 6, 4], [0, 0])
    ones, others = (method.decode_by_teacher(latents, tf.fill([2], k), tf.constant(2)) for k in (0, 1))
    assert (np.abs(ones - others).max() > 1e-3) == told


def test_generated_sequences_are_as_long_as_their_task_and_held_to_the_recall():
    stream = copy_task.make_stream(
        copy_task.Config(num_tasks=3, input_length=2, permute_time=False, length_step=2, num_train=10, seq_width=3)
    )
    trainer = trainer_of(stream)
    replay = replayed(trainer, 2, 4)
    lengths = {0: 5, 1: 9}
    assert replay.inputs.shape == (4, 9, 4)
    for row in range(4):
        inputs, length = replay.inputs[row].numpy(), lengths[int(replay.task_ids[row])]
        assert replay.lengths[row] == length and not inputs[length:].any()
        assert ((inputs[:length] > 0) & (inputs[:length] < 1)).all()  # probabilities of bits
        stop = inputs[:, -1].argmax()
        expected = [stop < t <= min(2 * stop, length - 1) for t in range(9)]
        np.testing.assert_array_equal(replay.loss_weights[row], np.float32(expected))


@pytest.mark.parametrize("heads", ["multi", "single"])
@pytest.mark.parametrize(
    ("num_old", "size", "likelihood"), [(0, 4, "gaussian"), (2, 5, "bernoulli"), (3, 2, "gaussian")]
)
def test_the_losses_equal_their_equations(heads, num_old, size, likelihood):
    strengths = {"distillation_strength": 1.5, "prior_strength": 0.7, "reconstruction_strength": 3.0}
    stream = tiny.stream(4)
    trainer = moved(
        stream,
        num_old,
        network={"heads": heads},
        likelihood=likelihood,
        prior_std=0.8,
        decoder_orthogonal_strength=2.0,
        **strengths,
    )
    method, model = trainer.method, trainer.model
    step, present = tf.constant(7), tf.constant(num_old)
    batch = next(iter(stream[num_old].train.batches(size, 0, num_old)))
    student, teacher = method.source(present), method.teacher(present)
    losses = method.auxiliary_losses(model, student, batch, present, step)
    latent_weights, decoder = method.latent_source(present), method.decoder_source(present)
    time = batch.inputs.shape[1]
    sequences = [(batch.inputs[row], num_old, time) for row in range(size)]
    noise = list(method._noise([size, time], method.step_key(present, step, StepDraw.BATCH_NOISE)))
    distilled = {}
    if num_old:
        replay = replayed(trainer, num_old, size, 7)
        key = method.step_key(present, step, StepDraw.REPLAY_NOISE)
        noise += list(method._noise([size, replay.inputs.shape[1]], key))
        for row in range(size):
            task_id, length = int(replay.task_ids[row]), int(replay.lengths[row])
            sequences.append((replay.inputs[row], task_id, length))
            call = (replay.inputs[row : row + 1], tf.constant([length]), tf.constant(task_id))
            logits, answers = (model.network(each, *call).logits for each in (student, teacher))
            value = OUTPUT_KINDS["softmax"].distillation(logits, answers)[0] * replay.loss_weights[row]
            distilled.setdefault(task_id, []).append(value.numpy().sum())
    prior, error = [], []
    for (inputs, task_id, length), each_noise in zip(sequences, noise, strict=True):
        inputs = inputs[tf.newaxis, :length]
        features = model.network(student, inputs, tf.constant([length]), tf.constant(task_id)).features
        mean, log_variance = np.split(features @ latent_weights["latent/kernel"] + latent_weights["latent/bias"], 2, -1)
        z = mean + np.exp(log_variance / 2) * each_noise[:length]
        if heads == "multi":
            z = np.concatenate([z, np.tile(np.eye(4, dtype=np.float32)[task_id], (1, length, 1))], axis=-1)
        decoded = method.decoder.network(decoder, z, tf.constant([length]), tf.constant(0)).logits
        prior.append(vae.prior_matching(vae.Latent(mean, log_variance), 0.8).numpy().sum())
        error.append(vae.reconstruction(likelihood, decoded, inputs).numpy().sum())
    np.testing.assert_allclose(losses["prior_matching"], 0.7 * np.mean(prior), rtol=1e-4)
    np.testing.assert_allclose(losses["reconstruction"], 3.0 * np.mean(error), rtol=1e-4)
    expected = sum(np.mean(values) for values in distilled.values()) * num_old / max(len(distilled), 1)
    np.testing.assert_allclose(losses["distillation"], 1.5 * expected, rtol=1e-4)
    kernel = decoder["recurrent0/forward/recurrent_kernel"].numpy()
    expected = 2.0 * np.square(kernel.T @ kernel - np.eye(10)).sum()
    np.testing.assert_allclose(losses["decoder_orthogonal"], expected, rtol=1e-4)


def test_the_teacher_stays_what_it_was_before_the_task():
    stream = tiny.stream(2, validation=False)
    trainer = trainer_of(stream, train={"steps": 5, "log_every": 5})
    trainer.fit(stream[0])
    method = trainer.method
    before = [variable.numpy() for variable in (*method.source.variables, *method.decoder_source.variables)]
    trainer.fit(stream[1])
    kept = [variable.numpy() for variable in (*method.teacher.variables, *method.decoder_teacher.variables)]
    for one, other in zip(before, kept, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(method.source.variables[0].numpy() - before[0]).max() > 1e-3
    main = (3 + 12 + 1 + 12 + 1) * 12 + 2 * (12 + 1) * 3
    decoder = (4 + 2 + 10 + 1 + 10 + 1) * 10 + (10 + 1) * 3
    assert method.kept_bytes() == {"teacher": 4 * main, "teacher_decoder": 4 * decoder}


@pytest.mark.parametrize("method", ["generative_replay", "hnet_replay"])
def test_without_strengths_it_is_fine_tuning(method):
    stream, found = tiny.stream(2, validation=False), []
    settings = {"steps": 10, "log_every": 10}
    options = {**SMALL, **OFF, **({"strength": 0.0} if method == "hnet_replay" else {})}
    for name, more in (("fine_tuning", {}), (method, options)):
        trainer = build_trainer(tiny.experiment(name, train=settings, **more), stream)
        for task in stream:
            trainer.fit(task)
        found.append([variable.numpy() for variable in trainer.method.source.variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_xla_and_plain_graph_agree():
    stream, results = tiny.stream(3), []
    batch = next(iter(stream[2].train.batches(7, 0, 2)))
    for jit in ("on", "off"):
        trainer = moved(stream, 2, train={"jit": jit})
        method = trainer.method

        @tf.function
        def gradients(task_id, trainer=trainer, method=method):
            with tf.GradientTape() as tape:
                losses = method.auxiliary_losses(trainer.model, method.source(task_id), batch, task_id, tf.constant(3))
                total = tf.add_n(list(losses.values()))
            return losses, tape.gradient(total, method.variables_to_train())

        results.append(tf.nest.flatten(gradients(tf.constant(2))))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_replay_keeps_what_fine_tuning_forgets():
    """One head for both tasks, whose classes go by other names: the network is told the task."""
    stream, finals = tiny.stream(2, validation=False), []
    told = {"heads": "single", "task_id_input": True}
    options = {
        **SMALL,
        "likelihood": "bernoulli",
        "distillation_strength": 5.0,
        "reconstruction_strength": 3.0,
        "decoder_hidden_sizes": (20,),
    }
    for method, more in (("fine_tuning", {}), ("generative_replay", options)):
        settings = tiny.experiment(method, network=told, train={"steps": 300, "log_every": 100}, **more)
        finals.append(learn(stream, build_trainer(settings, stream)).scores("accuracy"))
    fine_tuned, with_replay = finals
    assert fine_tuned[0, 0] > 90 and with_replay[0, 0] > 90
    assert fine_tuned[1, 0] < 60 and with_replay[1, 0] > 90
    assert fine_tuned[1, 1] > 90 and with_replay[1, 1] > 80


@pytest.mark.parametrize("method", ["generative_replay", "hnet_replay"])
def test_what_cannot_work_is_refused(method):
    with pytest.raises(ConfigurationError, match=r"those of tiny are n-gram buckets\. Use coresets"):
        trainer_of(tiny.stream(1, ngrams=True), method)
    with pytest.raises(ConfigurationError, match=r"sequence of tiny would say where it ends\. Use coresets"):
        trainer_of(dataclasses.replace(tiny.stream(1), input_model=None), method)
    with pytest.raises(ConfigurationError, match=r"direction must be forward for .* Received: backward"):
        trainer_of(tiny.stream(1), method, network={"direction": "backward"})
    stream = tiny.stream(1)
    stream[0].train.max_time = None
    with pytest.raises(ConfigurationError, match="how long sequences of tiny can get"):
        trainer_of(stream, method)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior_strength": -1.0}, r"\.prior_strength must not be negative\. Received: -1\.0"),
        ({"latent_dim": 0}, r"\.latent_dim must be above 0\. Received: 0"),
        ({"prior_std": 0.0}, r"\.prior_std must be above 0"),
        ({"decoder_hidden_sizes": ()}, r"\.decoder_hidden_sizes needs a layer"),
        ({"decoder_dense_after": (5, 0)}, r"\.decoder_dense_after must hold sizes above 0\. Received: \(5, 0\)"),
    ],
)
def test_options_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=f"generative_replay{message}"):
        generative_replay.Config(**settings)
    with pytest.raises(ConfigurationError, match=f"hnet_replay{message}"):
        hnet_replay.Config(**settings)


def test_the_likelihood_is_the_benchmarks_unless_it_is_set():
    stream = dataclasses.replace(tiny.stream(1), input_model=InputModel("bernoulli"))
    assert trainer_of(stream).method.likelihood == "bernoulli"
    assert trainer_of(stream, likelihood="gaussian").method.likelihood == "gaussian"
