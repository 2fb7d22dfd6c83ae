"""Hyperfan initialisation: the *generated* weights start with the variance that a main network needs.

Source: Chang, Flokas, Lipson, "Principled Weight Initialization for Hypernetworks" (ICLR 2020), for full
hypernetworks. Chunked ones follow the heuristic of von Oswald et al., which chooses the variance of each chunk
embedding.

Let V be the variance of the hypernetwork's inputs, d the width of its last hidden layer, m_in and m_out the fan-in and
fan-out of a tensor of the main network, and c = 2. Kaiming fan-in initialisation carries V to the last hidden layer.
The columns of the output layer that generate

    a kernel  have  var_in = c / (2 m_in d V)    or  var_out = c / (m_out d V)
    a bias    have  var_in = c / (2 d V)         or  var_out = max(0, c (1 - m_in / m_out) / (d V))

`hyperfan_harmonic` takes the harmonic mean 2 / (1/var_in + 1/var_out). (The published code, and hypnettorch, use
2 (1/var_in + 1/var_out).)

All functions are pure: they return initial values and touch no variable.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.networks.weights import WeightSpec, total_size
from clrnn_tf.seeds import InitialKey

_GAIN = 2.0  # Kaiming's c
_SMALLEST_VARIANCE = 1e-5


def kernel(shape: tuple[int, int], seed: int, index: int, is_last: bool) -> np.ndarray:
    """Initial kernel [inputs, units] of layer `index`: uniform, with Kaiming's fan-in variance c / inputs.

    The last layer has variance 1 / inputs, because no rectifier follows it.
    """
    gain = 1.0 if is_last else _GAIN
    bound = math.sqrt(3.0 * gain / shape[0])
    generator = np.random.default_rng([seed, InitialKey.HYPERFAN_KERNELS, index])
    return generator.uniform(-bound, bound, shape).astype(np.float32)


def output_kernel(specs: Sequence[WeightSpec], config: HypernetworkConfig, seed: int) -> np.ndarray:
    """Initial kernel [d, W] of the last layer of a full hypernetwork; see the module's docstring."""
    inputs = [config.task_embedding_size, *config.hidden_sizes][-1]
    scale = inputs * config.task_embedding_std**2  # d V
    variances = np.concatenate(
        [np.full(spec.size, _output_variance(config.initializer, spec, scale)) for spec in specs]
    )
    draws = np.random.default_rng([seed, InitialKey.HYPERFAN_OUTPUT_LAYER]).uniform(-1.0, 1.0, (inputs, variances.size))
    return (draws * np.sqrt(3.0 * variances)).astype(np.float32)


def chunk_bounds(specs: Sequence[WeightSpec], config: HypernetworkConfig) -> np.ndarray:
    """Bounds [N] of the uniform chunk embeddings with which chunk k generates weights of the mean variance v_k.

    The mean square of the inputs [c_k, e_t] must be v_k, so that with C and E their sizes

        var(c_k) = ((E + C) v_k - E var(e)) / C

    Warns:
      UserWarning: The task embeddings alone have more variance than some chunk needs.
    """
    num_weights = total_size(specs)
    chunk_size = config.chunk_size or num_weights
    num_chunks = math.ceil(num_weights / chunk_size)
    needed = np.concatenate([np.full(spec.size, _chunk_variance(config.initializer, spec)) for spec in specs])
    surplus = num_chunks * chunk_size - num_weights
    needed = np.concatenate([needed, np.full(surplus, needed[-1])]).reshape(num_chunks, -1).mean(axis=1)  # v_k
    task_inputs, chunk_inputs = config.task_embedding_size, config.chunk_embedding_size  # E, C
    task_variance = config.task_embedding_std**2
    variances = ((task_inputs + chunk_inputs) * needed - task_inputs * task_variance) / chunk_inputs
    if variances.min() < _SMALLEST_VARIANCE:
        share = np.mean(variances < _SMALLEST_VARIANCE)
        warnings.warn(
            f"hypernetwork.task_embedding_std = {config.task_embedding_std} is too large for {config.initializer}: "
            f"task embeddings alone exceed the wanted variance of {share:.0%} of the chunks. Use a smaller one.",
            stacklevel=2,
        )
    return np.sqrt(3.0 * np.maximum(variances, _SMALLEST_VARIANCE))


def chunk_embeddings(bounds: np.ndarray, size: int, seed: int, index: int) -> np.ndarray:
    """Initial chunk embeddings [N, C].

    Args:
      bounds: [N] from `chunk_bounds`.
      size: C.
      seed: Seed.
      index: The task that they belong to; 0 where all tasks share them.
    """
    generator = np.random.default_rng([seed, InitialKey.HYPERFAN_CHUNK_EMBEDDINGS, index])
    draws = generator.uniform(-1.0, 1.0, (len(bounds), size))
    return (draws * bounds[:, np.newaxis]).astype(np.float32)


def _output_variance(mode: str, spec: WeightSpec, scale: float) -> float:
    if spec.kind == "bias":
        return _combine(mode, _GAIN / (2 * scale), max(0.0, _GAIN * (1 - spec.fan_in / spec.fan_out) / scale))
    return _combine(mode, _GAIN / (2 * spec.fan_in * scale), _GAIN / (spec.fan_out * scale))


def _chunk_variance(mode: str, spec: WeightSpec) -> float:
    if spec.kind == "bias":
        return 1.0 / (3.0 * spec.fan_in)
    return _combine(mode, _GAIN / spec.fan_in, _GAIN / spec.fan_out)


def _combine(mode: str, fan_in: float, fan_out: float) -> float:
    if mode == "hyperfan_in":
        return fan_in
    if mode == "hyperfan_out":
        return fan_out
    return 2.0 * fan_in * fan_out / (fan_in + fan_out) if fan_in + fan_out > 0 else 0.0
