"""Arithmetic that a training step cannot avoid, and this machine's rate of doing it."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.hypernetwork import Hypernetwork
from clrnn_tf.network import RecurrentNetwork

_BACKWARD = 3  # forward, gradient of the inputs, gradient of the weights: one product each


def matmul_rate(size: int = 1024, repeats: int = 30) -> float:
    """Floating-point operations per second of a large float32 product, median of `repeats`."""
    left, right = tf.random.normal([size, size]), tf.random.normal([size, size])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(left, right)))
    product()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        product().numpy()
        seconds.append(time.perf_counter() - began)
    return 2.0 * size**3 / float(np.median(seconds))


def network_operations(network: RecurrentNetwork, config: TrainConfig, time_steps: int) -> float:
    """Operations of forward and backward products of the main network on one batch."""
    rows = config.batch_size * time_steps
    total = 0.0
    for index, spec in enumerate(spec for spec in network.weight_specs if spec.kind != "bias"):
        columns = network.num_outputs if spec.name == "head/kernel" else spec.shape[1]
        products = _BACKWARD - (index == 0)  # nobody needs the gradient of the data
        total += 2.0 * rows * spec.shape[0] * columns * products
        if spec.kind == "recurrent" and config.orthogonal_strength:
            total += 2.0 * spec.shape[0] ** 2 * spec.shape[1] * _BACKWARD
    return total


def hypernetwork_operations(hypernetwork: Hypernetwork, num_tasks: int) -> float:
    """Operations of generating the weights of `num_tasks` tasks and of the gradients."""
    products = sum(float(np.prod(kernel.shape)) for kernel in hypernetwork.kernels[1:])
    return 2.0 * hypernetwork.num_chunks * num_tasks * products * _BACKWARD
