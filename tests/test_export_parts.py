"""What the exports of a run have in common, and what they do not."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from clrnn_tf.experiment import build_trainer
from clrnn_tf.networks.cells import CELLS, LSTMCell
from clrnn_tf.training.learning import learn
from export import saved_model
from export.all_tasks import AllTasks, export_all_tasks
from export.forward_network import ForwardNetwork
from export.parts import Parts, largest_at_real_steps
from export.saved_model import Exporter, export_task, largest_difference
from export.unoptimized import unoptimized
from tests import tiny

NETWORKS = {
    "elman": {"dense_before": (4,), "dense_after": (6,)},
    "lstm, both directions": {"cell": "lstm", "direction": "bidirectional", "hidden_sizes": (5, 7), "biases": "two"},
    "backward, one head": {"direction": "backward", "heads": "single"},
}


def made(method="hnet", network=None, **options):
    stream = tiny.stream(2, **options)
    return build_trainer(tiny.experiment(method, network=network), stream).model, stream


def map_constant(arrays):
    return tuple(map(tf.constant, arrays))


def operations(path):
    """Of all graphs of a SavedModel."""
    stored = saved_model_pb2.SavedModel()
    stored.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = stored.meta_graphs[0].graph_def
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


@pytest.mark.parametrize("method", ["hnet", "context_mod"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_served_network_gives_the_numbers_of_the_trained_one(network, method):
    model, stream = made(method, network)
    batch = next(iter(stream[1].test.in_order(9, 1)))
    weights, task_id = model.source(tf.constant(1)), tf.constant(1)
    expected = tf.function(model.network.__call__)(weights, batch.inputs, batch.lengths, task_id)
    served = ForwardNetwork(model.network)(weights, batch.inputs, batch.lengths, task_id)
    np.testing.assert_allclose(served.logits, expected.logits, atol=1e-6)
    np.testing.assert_allclose(served.features, expected.features, atol=1e-6)


class Doubled(LSTMCell):
    """An LSTM with an unrolling of its own, which says twice what its steps say."""

    def unroll(self, *arguments):
        states = super().unroll(*arguments)
        return states._replace(hidden=2 * states.hidden)


def test_a_cell_is_unrolled_in_its_own_way(monkeypatch):
    monkeypatch.setitem(CELLS, "lstm", Doubled)
    model, stream = made(network={"cell": "lstm"})
    batch = next(iter(stream[0].test.in_order(9, 0)))
    given = model.source(tf.constant(0)), batch.inputs, batch.lengths, tf.constant(0)
    np.testing.assert_allclose(ForwardNetwork(model.network)(*given).logits, model.network(*given).logits, atol=1e-6)


def test_a_served_network_has_no_options():
    model, _ = made()
    with pytest.raises(ValueError, match="no options. Received: truncate"):
        ForwardNetwork(model.network)({}, None, None, None, truncate=3)


@pytest.mark.parametrize("ngrams", [False, True])
def test_exports_that_share_graphs_share_no_weights(tmp_path, ngrams):
    model, stream = made(network={"cell": "lstm"}, ngrams=ngrams)
    parts = Parts(model, stream)
    paths = [export_task(model, stream, task_id, tmp_path, parts=parts) for task_id in (0, 1)]
    assert all(largest_difference(model, stream, task_id, path) < 1e-5 for task_id, path in enumerate(paths))
    inputs, lengths = map_constant(parts.examples(0))
    loaded = [tf.saved_model.load(str(path)) for path in paths]
    answers = [each.signatures["serving_default"](inputs=inputs, lengths=lengths)["logits"] for each in loaded]
    assert np.max(np.abs(answers[0] - answers[1])) > 1e-2
    for variable in loaded[0].signatures["serving_default"].variables:
        variable.assign(tf.zeros_like(variable))
    again = loaded[1].signatures["serving_default"](inputs=inputs, lengths=lengths)["logits"]
    np.testing.assert_array_equal(again, answers[1])


def test_graphs_are_traced_once_for_all_tasks(tmp_path):
    model, stream = made(network={"cell": "lstm"})
    parts = Parts(model, stream)
    for task_id in (0, 1):
        export_task(model, stream, task_id, tmp_path, parts=parts)
    assert parts.graphs.serve.experimental_get_tracing_count() == 1


def test_exports_hold_no_gradients_and_load_without_a_warning(tmp_path, caplog):
    model, stream = made(network={"cell": "lstm"})
    for path in (export_task(model, stream, 0, tmp_path), export_all_tasks(model, stream, tmp_path)):
        assert not [node.name for node in operations(path) if "_gradient_op_type" in node.attr]
        caplog.clear()
        tf.saved_model.load(str(path))
        assert not [record.message for record in caplog.records if "gradient" in record.message]


@pytest.mark.parametrize("method", ["hnet", "context_mod"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_weights_of_all_tasks_give_the_numbers_of_those_of_the_source(network, method):
    model, stream = made(method, network)
    weights = AllTasks(model, stream).weights.of_all()
    served, (inputs, lengths) = ForwardNetwork(model.network), map_constant(Parts(model, stream).examples(0))
    for task_id in (0, 1):
        of_task = {name: weight[task_id] for name, weight in weights.items()}
        assert set(of_task) == set(model.source(tf.constant(task_id)))
        received = served(of_task, inputs, lengths, tf.constant(task_id)).logits
        expected = model(inputs, lengths, tf.constant(task_id)).logits
        np.testing.assert_allclose(received, expected, atol=1e-5)


def test_numbers_that_are_none_are_a_difference():
    logits, lengths = np.zeros([1, 2, 3]), np.array([1])
    assert largest_at_real_steps(logits, np.zeros_like(logits), lengths) == 0.0
    broken = logits.copy()
    broken[0, 0, 1] = np.nan
    assert np.isnan(largest_at_real_steps(broken, logits, lengths))
    assert largest_at_real_steps(broken[:, ::-1], logits, lengths) == 0.0  # in padding


def test_an_export_that_answers_no_numbers_is_removed(tmp_path, monkeypatch):
    stream = tiny.stream(2)
    trainer = build_trainer(tiny.experiment(train={"steps": 2}), stream)
    trainer.observers.append(Exporter(trainer.model, tmp_path))
    monkeypatch.setattr(saved_model, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(saved_model.ExportDiffersError, match="t0/1 differed from the model by nan"):
        learn(stream, trainer)
    assert not (tmp_path / "t0" / "1").exists()


def test_graphs_are_optimised_again_after_a_failure():
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    with pytest.raises(OSError, match="full"), unoptimized():
        raise OSError("full")
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] == before
