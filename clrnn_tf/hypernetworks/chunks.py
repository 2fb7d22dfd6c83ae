"""Which chunks of a generated vector hold the weights that a task of a multi-head network needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clrnn_tf.networks.weights import WeightSpec, task_indices


class ChunkPlan(NamedTuple):
    """Where the weights that a task needs lie among the chunks."""

    num_heads: int
    body_size: int
    """Weights before the heads; all of them where tasks share one."""
    body_chunks: int
    """Chunks that hold them."""
    head_chunks: np.ndarray | None
    """[K, n] chunks that hold each task's head; None where all chunks are needed anyway."""
    head_positions: np.ndarray
    """[K, V - body] positions of each task's head in what the needed chunks hold one after another."""

    @classmethod
    def of(cls, specs: Sequence[WeightSpec], chunk_size: int, num_chunks: int) -> ChunkPlan:
        """The plan for a network; heads must come last."""
        num_heads = max([spec.shape[0] for spec in specs if spec.per_head], default=1)
        body_size = sum(spec.size for spec in specs if num_heads == 1 or not spec.per_head)
        body_chunks = -(-body_size // chunk_size)
        own = np.stack([task_indices(specs, task_id)[body_size:] for task_id in range(num_heads)])
        needed = [np.unique(row // chunk_size) for row in own]
        count = max(len(chunks) for chunks in needed)
        if body_chunks + count >= num_chunks:
            return cls(num_heads, body_size, body_chunks, None, own.astype(np.int32))
        chunks = np.stack([np.pad(row, (0, count - len(row)), mode="edge") for row in needed])
        ranks = np.stack([np.searchsorted(row, each // chunk_size) for row, each in zip(needed, own, strict=True)])
        positions = (body_chunks + ranks) * chunk_size + own % chunk_size
        return cls(num_heads, body_size, body_chunks, chunks.astype(np.int32), positions.astype(np.int32))
