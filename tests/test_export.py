import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.training.learning import learn
from export.saved_model import Exporter, export_task, largest_difference
from tests import tiny


@pytest.mark.parametrize("method", ["fine_tuning", "hnet"])
@pytest.mark.parametrize(("loss", "ngrams"), [("softmax", True), ("sigmoid", False), ("linear", False)])
def test_the_export_equals_the_model(tmp_path, method, loss, ngrams):
    stream = tiny.stream(2, loss=loss, ngrams=ngrams)
    trainer = build_trainer(tiny.experiment(method), stream)
    trainer.fit(stream[0])
    path = export_task(trainer.model, stream, 1, tmp_path)
    assert largest_difference(trainer.model, stream, 1, path) < 1e-5
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    batch = next(iter(stream[1].test.in_order(5, 1)))
    outputs = served(inputs=batch.inputs, lengths=batch.lengths)
    logits = outputs["logits"].numpy()
    if loss == "softmax":
        np.testing.assert_array_equal(outputs["classes"], logits.argmax(-1))
        np.testing.assert_allclose(tf.reduce_sum(outputs["probabilities"], -1), 1, rtol=1e-5)
    elif loss == "sigmoid":
        np.testing.assert_array_equal(outputs["bits"], logits >= 0)
    assert set(outputs) >= {"logits"}


def test_an_export_does_not_change_with_further_training(tmp_path):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    trainer.fit(stream[0])
    assert largest_difference(trainer.model, stream, 0, path) > 1e-3


def test_a_finished_run_has_one_verified_model_for_each_task(tmp_path):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(train={"steps": 5}), stream)
    exporter = Exporter(trainer.model, tmp_path)
    trainer.observers.append(exporter)
    learn(stream, trainer)
    assert sorted(path.parent.parent.name for path in tmp_path.glob("*/1/saved_model.pb")) == ["t0", "t1"]
    assert exporter.largest_difference < 1e-5


def test_an_export_holds_the_weights_of_its_task_only(tmp_path):
    stream = tiny.stream(2, ngrams=True)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    loaded = tf.saved_model.load(str(path))
    shapes = sorted(tuple(variable.shape) for variable in loaded.signatures["serving_default"].variables)
    assert (8, 3) in shapes  # this task's n-gram table
    assert (16, 3) not in shapes
    stored = {tuple(shape) for _, shape in tf.train.list_variables(str(path / "variables" / "variables"))}
    assert (16, 3) not in stored


LOADER = """
import sys
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
outputs = served(inputs=tf.zeros([2, 3, 3]), lengths=tf.constant([3, 1]))
assert not any(name.split(".")[0] in ("clrnn_tf", "export") for name in sys.modules), "our code was loaded"
print(sorted(outputs))
"""


def test_the_export_loads_without_our_code(tmp_path):
    stream = tiny.stream(1)
    trainer = build_trainer(tiny.experiment(), stream)
    path = export_task(trainer.model, stream, 0, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['classes', 'logits', 'probabilities']"
