"""Hyperfan initialisation: the *generated* weights start with the variance that a main network wants.

Source: Chang, Flokas, Lipson, "Principled Weight Initialization for Hypernetworks" (ICLR 2020), for full
hypernetworks; for chunked ones, von Oswald et al.'s heuristic that tunes the variance of each chunk embedding.

Let V be the size-weighted variance of the hypernetwork's inputs, d the width of its last hidden layer, m_in and
m_out the fan-in and fan-out of a main-network tensor, c = 2. Kaiming fan-in initialisation carries V to the last
hidden layer, and the rows of the output layer that make

    a kernel  get  var_in = c / (2 m_in d V)    or  var_out = c / (m_out d V)
    a bias    get  var_in = c / (2 d V)         or  var_out = max(0, c (1 - m_in / m_out) / (d V))

`hyperfan_harmonic` takes the harmonic mean 2 / (1/var_in + 1/var_out). (The published code, and hypnettorch, use
2 (1/var_in + 1/var_out).)
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from clrnn_tf.weights import WeightSpec

if TYPE_CHECKING:
    from clrnn_tf.hypernetwork import Hypernetwork

_GAIN = 2.0  # Kaiming's c
_SMALLEST_VARIANCE = 1e-5


def initialize(hypernetwork: Hypernetwork, mode: str) -> None:
    """Set the initial values of `hypernetwork` in place.

    Args:
      hypernetwork: A newly made hypernetwork.
      mode: `hyperfan_in`, `hyperfan_out` or `hyperfan_harmonic`.
    """
    last = len(hypernetwork.kernels) - 1
    for index, kernel in enumerate(hypernetwork.kernels):
        generator = np.random.default_rng([hypernetwork.seed, 2000, index])
        gain = 1.0 if index == last else _GAIN  # no rectifier follows the output layer
        bound = math.sqrt(3.0 * gain / kernel.shape[0])
        kernel.assign(generator.uniform(-bound, bound, kernel.shape))
    for bias in hypernetwork.biases:
        bias.assign(np.zeros(bias.shape))
    if hypernetwork.config.chunk_size is None:
        _scale_output_layer(hypernetwork, mode)
    else:
        _scale_chunk_embeddings(hypernetwork, mode)


def _scale_output_layer(hypernetwork: Hypernetwork, mode: str) -> None:
    kernel = hypernetwork.kernels[-1]
    scale = kernel.shape[0] * hypernetwork.config.task_embedding_std**2  # d V
    variances = np.concatenate([
        np.full(spec.size, _combine(mode, _GAIN / (2 * spec.fan_in * scale), _GAIN / (spec.fan_out * scale))
                if spec.kind != "bias"
                else _combine(mode, _GAIN / (2 * scale),
                              max(0.0, _GAIN * (1 - spec.fan_in / spec.fan_out) / scale)))
        for spec in hypernetwork.specs
    ])  # fmt: skip
    generator = np.random.default_rng([hypernetwork.seed, 2001])
    kernel.assign(generator.uniform(-1.0, 1.0, kernel.shape) * np.sqrt(3.0 * variances))


def _scale_chunk_embeddings(hypernetwork: Hypernetwork, mode: str) -> None:
    targets = np.concatenate([np.full(spec.size, _target_variance(mode, spec)) for spec in hypernetwork.specs])
    surplus = hypernetwork.num_chunks * hypernetwork.chunk_size - hypernetwork.num_weights
    targets = np.concatenate([targets, np.full(surplus, targets[-1])])
    wanted = targets.reshape(hypernetwork.num_chunks, -1).mean(axis=1)
    task_size, chunk_size = hypernetwork.config.task_embedding_size, hypernetwork.config.chunk_embedding_size
    task_variance = hypernetwork.config.task_embedding_std**2
    variances = ((task_size + chunk_size) * wanted - task_size * task_variance) / chunk_size
    if variances.min() < _SMALLEST_VARIANCE:
        share = np.mean(variances < _SMALLEST_VARIANCE)
        warnings.warn(
            f"hypernetwork.task_embedding_std = {hypernetwork.config.task_embedding_std} is too large for {mode}: "
            f"task embeddings alone exceed the wanted variance of {share:.0%} of the chunks. Use a smaller one.",
            stacklevel=2,
        )
    bounds = np.sqrt(3.0 * np.maximum(variances, _SMALLEST_VARIANCE))[:, np.newaxis]
    (embeddings,) = hypernetwork.task_chunk_embeddings or [hypernetwork.shared_chunk_embeddings]
    sets = [
        np.random.default_rng([hypernetwork.seed, 2002, index]).uniform(-1.0, 1.0, embeddings.shape[-2:]) * bounds
        for index in range(math.prod(embeddings.shape[:-2]))  # of chunks: one of each task, or one of all
    ]
    embeddings.assign(np.reshape(sets, embeddings.shape))


def _target_variance(mode: str, spec: WeightSpec) -> float:
    if spec.kind == "bias":
        return 1.0 / (3.0 * spec.fan_in)
    return _combine(mode, _GAIN / spec.fan_in, _GAIN / spec.fan_out)


def _combine(mode: str, fan_in: float, fan_out: float) -> float:
    if mode == "hyperfan_in":
        return fan_in
    if mode == "hyperfan_out":
        return fan_out
    return 2.0 * fan_in * fan_out / (fan_in + fan_out) if fan_in + fan_out > 0 else 0.0
