"""Products that a training step cannot avoid, and this machine's rate of doing them.

A step is listed as matrix products [rows, inner] x [inner, columns], each done a number of times one after another.
Two floors follow. *At the large rate* divides all operations by the rate of one large product, which no small product
reaches. *At the shapes' own rates* adds up the times that the same products take alone.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import WeightSpec

LARGE = 1024  # side of the product that gives the machine's rate
_TIMED_FOR = 1e-3  # seconds for which a product is repeated


class Product(NamedTuple):
    """A float32 matrix product [rows, inner] x [inner, columns], and how often a step needs it."""

    rows: int
    inner: int
    columns: int
    times: float

    @property
    def operations(self) -> float:
        """Multiplications and additions of all its times."""
        return 2.0 * self.rows * self.inner * self.columns * self.times


def operations(products: list[Product]) -> float:
    """Multiplications and additions of all products."""
    return sum(product.operations for product in products)


class Steps(NamedTuple):
    """Time steps of a batch, means over batches."""

    all: float
    """T; the recurrence takes them all."""
    scored: float
    """S; the layers after the last recurrence are needed from the first step on at which any sequence counts."""


def forward_products(network: RecurrentNetwork, batch_size: int, steps: Steps) -> list[Product]:
    """Products of the main network on one batch; only the current task's head counts."""
    return [_forward(network, spec, batch_size, steps) for spec in network.weight_specs if spec.kind != "bias"]


def training_products(network: RecurrentNetwork, config: TrainConfig, steps: Steps) -> list[Product]:
    """Products of the main network forwards and backwards, and of the orthogonal penalty where it is set."""
    products = forward_products(network, config.batch_size, steps)
    for spec in network.weight_specs:
        if spec.kind == "bias":
            continue
        forward = _forward(network, spec, config.batch_size, steps)
        products.append(Product(forward.inner, round(forward.rows * forward.times), forward.columns, 1))
        if not _reads_data(network, spec):
            products.append(Product(forward.rows, forward.columns, forward.inner, forward.times))
        if spec.kind == "recurrent" and config.orthogonal_strength:
            units, blocks = spec.shape[0], spec.shape[1] // spec.shape[0]
            products.append(Product(units, units, units, 2 * blocks))
    return products


def hypernetwork_products(hypernetwork: Hypernetwork, num_tasks: int, without_last: int = 0) -> list[Product]:
    """Products of generating the weights of `num_tasks` tasks at once, and of the gradients.

    The last layer leaves out `without_last` chunks of each task.
    """
    chunks = math.ceil(hypernetwork.num_task_weights / hypernetwork.chunk_size)  # other tasks' heads are not needed
    shared = hypernetwork.shared_chunk_embeddings
    forward = []
    if hypernetwork.config.task_embedding_size:
        forward.append((num_tasks, hypernetwork.config.task_embedding_size, hypernetwork.kernels[0].shape[1]))
    if hypernetwork.config.chunk_size:
        rows = chunks if shared is not None else chunks * num_tasks
        forward.append((rows, hypernetwork.config.chunk_embedding_size, hypernetwork.kernels[0].shape[1]))
    forward += [(chunks * num_tasks, *kernel.shape) for kernel in hypernetwork.kernels[1:-1]]
    if len(hypernetwork.kernels) > 1:
        forward.append(((chunks - without_last) * num_tasks, *hypernetwork.kernels[-1].shape))
    return [
        Product(*shape, 1)
        for rows, inner, columns in forward
        for shape in ((rows, inner, columns), (inner, rows, columns), (rows, columns, inner))
    ]


def regularizer_products(regularizer: OutputRegularizer, num_old: int) -> list[Product]:
    """Products of comparing `num_old` old tasks with their targets in the form that is used, and of the gradients."""
    if num_old == 0:
        return []
    hypernetwork, gram_chunks = regularizer.source, regularizer.num_gram_chunks
    products = hypernetwork_products(hypernetwork, num_old, gram_chunks)
    if gram_chunks:
        units, width = hypernetwork.kernels[-1].shape
        side, rows = 2 * units + 1, num_old * gram_chunks
        products += [
            Product(side, width, side, 1),
            Product(rows, side, side, 1),
            Product(side, rows, side, 1),
            Product(side, side, width, 1),
        ]
    return products


def large_product() -> Product:
    """The product whose rate stands for the machine's."""
    return Product(LARGE, LARGE, LARGE, 1)


def seconds_once(product: Product) -> float:
    """Time of doing a product once: the better one of NumPy and TensorFlow."""
    left = np.full((product.rows, product.inner), 0.5, np.float32)
    right = np.full((product.inner, product.columns), 0.5, np.float32)
    result = np.empty((product.rows, product.columns), np.float32)
    left_tensor, right_tensor = tf.constant(left), tf.constant(right)
    return min(
        _mean_seconds(lambda: np.matmul(left, right, out=result)),
        _mean_seconds(lambda: tf.matmul(left_tensor, right_tensor)),
    )


def _mean_seconds(product: object) -> float:
    product()
    count, began, now = 0, time.perf_counter(), 0.0
    while count == 0 or now - began < _TIMED_FOR:
        product()
        count, now = count + 1, time.perf_counter()
    return (now - began) / count


def _forward(network: RecurrentNetwork, spec: WeightSpec, batch_size: int, steps: Steps) -> Product:
    inner, columns = spec.shape[-2:]  # of one head, where there are several
    if spec.kind == "recurrent":
        return Product(batch_size, inner, columns, steps.all)
    last_layer = f"recurrent{len(network.config.hidden_sizes) - 1}/"
    is_output = spec.name.startswith(last_layer) and spec.name.endswith("/output_kernel")
    after = is_output or spec.name.startswith(("dense_after", "head"))
    return Product(round(batch_size * (steps.scored if after else steps.all)), inner, columns, 1)


def _reads_data(network: RecurrentNetwork, spec: WeightSpec) -> bool:
    """Whether the layer's inputs are the data, whose gradient nobody needs."""
    if network.config.dense_before:
        return spec.name == "dense_before0/kernel"
    return spec.name.startswith("recurrent0/") and spec.name.endswith("/kernel")
