import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.outputs import OUTPUT_KINDS, OutputKind
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.training.learning import learn
from export.saved_model import export_task
from tests import tiny

CLASSES, BITS_KIND, NUMBERS = (OUTPUT_KINDS[name] for name in ("softmax", "sigmoid", "linear"))

LOGITS = np.sin(0.3 * np.arange(24)).reshape(3, 2, 4).transpose(1, 0, 2)  # [B, T, C]
LABELS = np.array([[0, 1], [2, 3], [1, 0]]).T
BITS = (np.arange(24) % 3 == 0).astype(float).reshape(3, 2, 4).transpose(1, 0, 2)
WEIGHTS = np.array([[0.0, 1], [1, 1], [1, 0]]).T


@pytest.mark.parametrize(
    ("loss", "targets", "expected", "weighted", "scale"),
    [
        ("softmax", LABELS, 9.764099851, 6.051795337, 1),
        ("sigmoid", BITS, 18.400090884, 12.331492566, 1),
        ("linear", BITS, 1.573959321, 1.329836066, 3),  # the published loss takes the mean over the 3 time steps
    ],
)
def test_golden_losses(loss, targets, expected, weighted, scale):
    logits = tf.constant(LOGITS)
    targets = tf.constant(targets, tf.int32 if loss == "softmax" else tf.float64)
    everything = tf.reduce_sum(OUTPUT_KINDS[loss].sequence_losses(logits, targets, tf.ones([2, 3], tf.float64)))
    some = tf.reduce_sum(OUTPUT_KINDS[loss].sequence_losses(logits, targets, tf.constant(WEIGHTS)))
    np.testing.assert_allclose(everything / scale, expected, rtol=1e-8)
    np.testing.assert_allclose(some / scale, weighted, rtol=1e-8)


def test_accuracy_counts_classes_and_bits():
    logits = tf.constant([[[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]])
    np.testing.assert_array_equal(CLASSES.accuracy(logits, tf.constant([[0, 1]])), [[1, 0]])
    bits = tf.constant([[[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(BITS_KIND.accuracy(logits - 0.5, bits), [[1, 2 / 3]])
    np.testing.assert_array_equal(NUMBERS.accuracy(logits, bits), [[0, 0]])


@pytest.mark.parametrize(("temperature", "expected"), [(2.0, 5.579162952), (1.0, 1.419838708)])
def test_golden_distillation(temperature, expected):
    """V9: the mean over all steps."""
    losses = CLASSES.distillation(tf.constant(LOGITS), tf.constant(np.cos(LOGITS)), temperature)
    assert losses.shape == LOGITS.shape[:2]
    np.testing.assert_allclose(tf.reduce_mean(losses), expected, rtol=1e-8)


def test_distillation_of_bits_and_numbers():
    student, teacher = LOGITS, np.cos(LOGITS)
    p, q = 1 / (1 + np.exp(-student / 2)), 1 / (1 + np.exp(-teacher / 2))
    expected = -4 * (q * np.log(p) + (1 - q) * np.log(1 - p)).sum(-1)
    np.testing.assert_allclose(BITS_KIND.distillation(tf.constant(student), tf.constant(teacher)), expected)
    expected = np.square(student - teacher).sum(-1)
    np.testing.assert_allclose(NUMBERS.distillation(tf.constant(student), tf.constant(teacher)), expected)


def test_the_teacher_gets_no_gradient():
    for loss in ("softmax", "sigmoid", "linear"):
        student, teacher = tf.Variable(LOGITS), tf.Variable(np.cos(LOGITS))
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(OUTPUT_KINDS[loss].distillation(student + 0.0, teacher + 0.0))
        gradients = tape.gradient(value, [student, teacher])
        assert np.any(gradients[0].numpy()) and gradients[1] is None


def test_a_class_is_drawn_as_often_as_it_is_probable():
    logits = tf.math.log(tf.constant([[[0.2, 0.7, 0.1]]])) + tf.zeros([1, 4000, 1])
    drawn = CLASSES.sample(logits, tf.constant([3, 4])).numpy()
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / 4000, [0.2, 0.7, 0.1], atol=0.03)
    bits = BITS_KIND.sample(tf.zeros([1, 4000, 1]) + [0.0, 2.0], tf.constant([3, 4])).numpy()
    np.testing.assert_allclose(bits.mean((0, 1)), [0.5, 1 / (1 + np.exp(-2.0))], atol=0.03)


@pytest.mark.parametrize("call", [lambda y: NUMBERS.entropy(y), lambda y: NUMBERS.sample(y, tf.constant([0, 0]))])
def test_numbers_are_not_probabilities(call):
    with pytest.raises(ConfigurationError, match="needs outputs that are probabilities. Received: linear outputs."):
        call(tf.zeros([1, 1, 1]))


@pytest.mark.parametrize("name", OUTPUT_KINDS)
def test_statistics_add_up(name):
    kind = OUTPUT_KINDS[name]
    shape = kind.target_shape(2, 3, 4)
    targets = tf.constant(LABELS, tf.int32) if name == "softmax" else tf.constant(BITS, tf.float32)
    assert targets.shape == shape and targets.dtype == kind.target_dtype
    arguments = (tf.constant(LOGITS, tf.float32), targets, tf.constant(WEIGHTS, tf.float32))
    whole = kind.statistics(*arguments)
    total = kind.no_statistics(4)
    for row in range(2):
        part = kind.statistics(*(each[row : row + 1] for each in arguments))
        total = {key: value + part[key] for key, value in total.items()}
    for key, value in whole.items():
        np.testing.assert_allclose(total[key], value, rtol=1e-6)
    assert float(whole["scored"]) == 4.0


class Counts(OutputKind):
    """A kind that is not ours: counts of Poisson rate exp(y), with a metric of its own."""

    name = "counts"

    def losses(self, logits, targets):
        return tf.reduce_sum(tf.exp(logits) - targets * logits, axis=-1)

    def accuracy(self, logits, targets):
        return tf.reduce_mean(tf.cast(tf.round(tf.exp(logits)) == targets, tf.float32), axis=-1)

    def distillation(self, logits, teacher_logits, temperature=2.0):
        rates = tf.stop_gradient(tf.exp(teacher_logits))
        return tf.reduce_sum(tf.exp(logits) - rates * logits, axis=-1)

    def predictions(self, logits):
        return {"rates": tf.exp(logits)}

    def statistics(self, logits, targets, weights):
        near = tf.reduce_mean(tf.cast(tf.abs(tf.exp(logits) - targets) <= 0.4, tf.float32), axis=-1)
        return {**super().statistics(logits, targets, weights), "near": tf.reduce_sum(near * weights)}

    def metrics(self, statistics):
        near = 100.0 * float(statistics["near"]) / float(statistics["scored"])
        return {**super().metrics(statistics), "near_misses": near}


def test_a_new_kind_is_one_class(monkeypatch, tmp_path):
    """Trained, replayed, measured by Fisher information, recorded with its own metric, read back, reported, served."""
    monkeypatch.setitem(OUTPUT_KINDS, "counts", Counts())
    stream = tiny.stream(2, loss="counts")
    experiment = tiny.experiment("coresets", size=5, train={"steps": 30})
    trainer = build_trainer(experiment, stream)
    run = RunDirectory.create(tmp_path / "run", experiment, {"data_source": stream.data_source})
    trainer.observers.append(FileRecorder(run, experiment, trainer.method.facts()))
    matrix = learn(stream, trainer)
    assert matrix.rows[0][0].loss < matrix.initial[0].loss
    assert 0 < matrix.scores("near_misses")[1, 1] <= 100
    loaded = run.load()
    for metric in ("loss", "accuracy", "near_misses"):
        np.testing.assert_array_equal(loaded.scores(metric), matrix.scores(metric))
    assert loaded.initial[0].metrics == matrix.initial[0].metrics
    assert matrix.summary()["mean_final_near_misses"] == loaded.final("near_misses").mean()
    assert "final near misses" in write_report(run.path).read_text()
    served = tf.saved_model.load(str(export_task(trainer.model, stream, 0, tmp_path))).signatures["serving_default"]
    outputs = served(inputs=tf.zeros([1, 2, 3]), lengths=tf.constant([2]))
    np.testing.assert_allclose(outputs["rates"], np.exp(outputs["logits"]), rtol=1e-6)


def test_an_unknown_kind_is_answered_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="outputs must be one of softmax, sigmoid, linear.* Received: counts."):
        tiny.stream(1, loss="counts")


def test_explained_variance_is_that_of_all_outputs_together():
    draws = np.random.default_rng(4)
    targets = draws.normal([1.0, -2.0, 0.0], [1.0, 3.0, 0.5], (2, 40, 3))
    logits, weights = targets + draws.normal(0, 0.7, targets.shape), draws.integers(0, 2, (2, 40))
    statistics = NUMBERS.statistics(*(tf.constant(array, tf.float32) for array in (logits, targets, weights)))
    explained = NUMBERS.metrics({name: value.numpy() for name, value in statistics.items()})["explained_variance"]
    scored, predicted = targets[weights > 0], logits[weights > 0]
    expected = 1 - np.square(predicted - scored).sum() / np.square(scored - scored.mean(axis=0)).sum()
    assert explained == pytest.approx(100 * expected, rel=1e-4)
    nothing = {name: value.numpy() for name, value in NUMBERS.no_statistics(3).items()}
    assert all(np.isnan(value) for value in NUMBERS.metrics(nothing).values())
