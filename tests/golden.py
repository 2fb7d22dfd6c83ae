"""The fill rule of the golden vectors, and published tensors ([out, in], two biases) as ours ([in, out], one)."""

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, Task, TaskStream


def fill(index, shape):
    return 0.5 * np.sin(1 + 0.37 * np.arange(np.prod(shape)) + 1.3 * index).reshape(shape)


def inputs(time=3, batch=2, features=3):
    """[B, T, F], from the time-major rule x_flat[k] = cos(0.2 k)."""
    flat = np.cos(0.2 * np.arange(time * batch * features))
    return flat.reshape(time, batch, features).transpose(1, 0, 2)


def stream(num_tasks):
    """Tasks of two sequences, both splits the same; two classes."""

    def make_batch(fields):
        ones = tf.ones(tf.shape(fields["targets"]))
        return Batch(fields["inputs"], fields["targets"], ones, ones, fields["lengths"], tf.constant(0))

    arrays = {
        "inputs": inputs().astype(np.float32),
        "targets": np.array([[0, 1], [1, 1], [1, 0]], np.int32).T,
        "lengths": np.array([3, 3], np.int32),
    }
    source = ArraySplit(arrays, make_batch)
    tasks = tuple(Task(task_id, f"t{task_id}", source, source) for task_id in range(num_tasks))
    return TaskStream("golden", tasks, 3, 2, "softmax", "golden vectors")


class Filled:
    """Makes tensors by the fill rule with a running index."""

    def __init__(self, start=0):
        self.index = start

    def __call__(self, *shape):
        value = fill(self.index, shape)
        self.index += 1
        return value


def elman_weights(make, scope, num_inputs, units):
    w_ih, b_ih = make(units, num_inputs), make(units)
    w_hh, b_hh = make(units, units), make(units)
    w_ho, b_ho = make(units, units), make(units)
    return {
        f"{scope}/kernel": w_ih.T,
        f"{scope}/recurrent_kernel": w_hh.T,
        f"{scope}/bias": b_ih + b_hh,
        f"{scope}/output_kernel": w_ho.T,
        f"{scope}/output_bias": b_ho,
    }


def lstm_weights(make, scope, num_inputs, units):
    w_ih, b_ih = make(4 * units, num_inputs), make(4 * units)
    w_hh, b_hh = make(4 * units, units), make(4 * units)
    return {f"{scope}/kernel": w_ih.T, f"{scope}/recurrent_kernel": w_hh.T, f"{scope}/bias": b_ih + b_hh}


def head_weights(make, num_inputs, outputs):
    kernel, bias = make(outputs, num_inputs), make(outputs)
    return {"head/kernel": kernel.T[np.newaxis], "head/bias": bias[np.newaxis]}


def tensors(weights):
    return {name: tf.constant(value, tf.float64) for name, value in weights.items()}


def time_major(outputs):
    """[B, T, C] as the golden vectors list it: flat [T, B, C]."""
    return np.asarray(outputs).transpose(1, 0, 2).ravel()


def published_order(hypernetwork):
    """Tensors in the published order, as (variable, row of it or None): task embeddings, W and b by layer, chunk
    embeddings, which are tensors for each task where tasks have their own.
    """
    layers = []
    for index, kernel in enumerate(hypernetwork.kernels):
        layers.append((kernel, None))
        if hypernetwork.biases:
            layers.append((hypernetwork.biases[index], None))
    shared = hypernetwork.shared_chunk_embeddings
    chunks = _rows(hypernetwork.task_chunk_embeddings) if shared is None else [(shared, None)]
    return [*_rows(hypernetwork.task_embeddings), *layers, *chunks]


def _rows(variables):
    return [(variable, row) for variable in variables for row in range(variable.shape[0])]


def add_fill(hypernetwork, first, scale):
    """Adds scale * fill(first + i) to its i-th tensor in the published order and layout."""
    for index, (variable, row) in enumerate(published_order(hypernetwork), start=first):
        shape = tuple(variable.shape)
        if row is not None:
            rows = np.zeros(shape)
            rows[row] = fill(index, shape[1:])
            variable.assign_add(scale * rows)
        else:
            of_kernel = variable.name.startswith("kernel")
            variable.assign_add(scale * (fill(index, shape[::-1]).T if of_kernel else fill(index, shape)))


def fill_hypernetwork(hypernetwork):
    """Gives all its variables the values of the golden vectors."""
    for variable in hypernetwork.variables:
        variable.assign(np.zeros(variable.shape))
    add_fill(hypernetwork, 0, 1.0)
