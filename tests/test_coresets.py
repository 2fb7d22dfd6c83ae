import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import coresets
from clrnn_tf.outputs import OUTPUT_KINDS
from tests import tiny


def learned(num_old, stream, size=4, normalize="sequence", jit="off"):
    """A method that has drawn the coresets of `num_old` tasks, and whose student differs from its teacher."""
    options = {"size": size, "normalize": normalize, "strength": 1.5}
    trainer = build_trainer(tiny.experiment("coresets", train={"jit": jit}, **options), stream)
    method = trainer.method
    for task in stream.tasks[:num_old]:
        method.after_task(task, trainer.model)
    method.before_task(stream[num_old])
    for variable in method.variables_to_train():
        variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, [1, 2]))
    return trainer


def replayed(trainer, task_id, size, step=0):
    return trainer.method.replay(tf.constant(task_id), tf.constant(step), tf.constant(size))


@pytest.mark.parametrize(("num_old", "size"), [(1, 5), (3, 8), (3, 2), (4, 4)])
def test_a_batch_is_split_evenly_among_the_old_tasks(num_old, size):
    stream = tiny.stream(5)
    trainer = learned(num_old, stream)
    firsts = set()
    for step in range(20):
        ids = replayed(trainer, num_old, size, step).task_ids.numpy()
        counts = np.bincount(ids, minlength=num_old)
        assert len(ids) == size and len(counts) == num_old
        assert counts.max() - counts.min() <= 1
        firsts.add(ids[0])
    assert len(firsts) == num_old  # who gets one more changes


@pytest.mark.parametrize("ngrams", [False, True])
def test_coresets_are_training_sequences_of_their_task(ngrams):
    stream = tiny.stream(3, ngrams=ngrams)
    trainer = learned(2, stream, size=6)
    seen = set()
    examples = {
        k: [np.asarray(row) for batch in stream[k].train.in_order(120, k) for row in batch.inputs] for k in (0, 1)
    }
    for step in range(12):
        replay = replayed(trainer, 2, 8, step)
        for inputs, length, task_id in zip(replay.inputs, replay.lengths, replay.task_ids, strict=True):
            inputs, length, task_id = inputs.numpy(), int(length), int(task_id)
            assert any(np.array_equal(inputs[:length], example[:length]) for example in examples[task_id])
            seen.add((task_id, inputs.tobytes()))
    assert len(seen) <= 12 * (1 + (not ngrams))  # at most 6 of each task, padded to more than one length


def test_a_task_with_fewer_examples_gives_all_of_them():
    stream = tiny.stream(2)
    method = learned(1, stream, size=500).method
    assert method._inputs.shape[1] == 120
    assert method.kept_bytes()["coresets"] == 120 * 4 * (6 * 3 + 6 + 1)


@pytest.mark.parametrize("normalize", ["sequence", "step"])
@pytest.mark.parametrize(("num_old", "size"), [(2, 5), (3, 2)])
@pytest.mark.parametrize("ngrams", [False, True])
def test_the_loss_equals_its_equation(normalize, num_old, size, ngrams):
    stream = tiny.stream(4, ngrams=ngrams)
    trainer = learned(num_old, stream, normalize=normalize)
    method, model = trainer.method, trainer.model
    batch = next(iter(stream[num_old].train.batches(size, 0, num_old)))
    student, teacher = method.source(tf.constant(0)), method._teacher(tf.constant(0))
    loss = method.auxiliary_losses(model, student, batch, tf.constant(num_old), tf.constant(7))["distillation"]
    replay = replayed(trainer, num_old, size, 7)
    totals = {}
    for row in range(size):
        task_id, length = replay.task_ids[row], replay.lengths[row : row + 1]
        inputs = model.embed(replay.inputs[row : row + 1], length, task_id)
        logits, targets = (model.network(each, inputs, length, task_id).logits for each in (student, teacher))
        weights = replay.loss_weights[row].numpy()
        value = (OUTPUT_KINDS["softmax"].distillation(logits, targets)[0].numpy() * weights).sum()
        share = totals.setdefault(int(task_id), [0.0, 0.0])
        share[0] += value
        share[1] += 1.0 if normalize == "sequence" else weights.sum()
    expected = 1.5 * sum(value / number for value, number in totals.values()) * num_old / len(totals)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_old_ngram_tables_stay_as_they_are():
    stream = tiny.stream(2, ngrams=True)
    trainer = build_trainer(tiny.experiment("coresets", train={"steps": 10}), stream)
    trainer.fit(stream[0])
    before = trainer.model.embedding.tables.numpy()
    trainer.fit(stream[1])
    after = trainer.model.embedding.tables.numpy()
    np.testing.assert_array_equal(before[:8], after[:8])
    assert np.abs(before[8:] - after[8:]).max() > 0


def test_xla_and_plain_graph_agree():
    """In value and gradient, XLA on four blocks and the graph on the whole batch; training would amplify rounding."""
    stream, results = tiny.stream(3), []
    batch = next(iter(stream[2].train.batches(8, 0, 2)))
    for jit in ("on", "off"):
        trainer = learned(2, stream, jit=jit)
        method = trainer.method

        @tf.function
        def gradients(task_id, trainer=trainer, method=method):
            with tf.GradientTape() as tape:
                weights = method.source(task_id)
                losses = method.auxiliary_losses(trainer.model, weights, batch, task_id, tf.constant(3))
            return losses["distillation"], tape.gradient(losses["distillation"], method.variables_to_train())

        results.append(tf.nest.flatten(gradients(tf.constant(2))))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_options_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationError, match="coresets.size must be above 0. Received: 0"):
        coresets.Config(size=0)
    stream = tiny.stream(1)
    stream[0].train.max_time = None
    with pytest.raises(ConfigurationError, match="how long sequences of tiny can get"):
        build_trainer(tiny.experiment("coresets"), stream)
