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
    """Weights before the heads; all weights where tasks share one head."""
    body_chunks: int
    """Chunks that hold the body."""
    head_chunks: np.ndarray | None
    """[K, n] chunks that hold the head of each task; None where every task needs all chunks."""
    head_positions: np.ndarray
    """[K, V - body] positions of the weights of each task's head in the concatenation of the chunks of the body and of
    this head."""

    @classmethod
    def of(cls, specs: Sequence[WeightSpec], chunk_size: int, num_chunks: int) -> ChunkPlan:
        """The plan for a network whose specs end with the heads; see `require_heads_last`."""
        num_heads = max([spec.shape[0] for spec in specs if spec.per_head], default=1)
        body_size = sum(spec.size for spec in specs if num_heads == 1 or not spec.per_head)
        body_chunks = -(-body_size // chunk_size)
        of_heads = np.stack([task_indices(specs, task_id)[body_size:] for task_id in range(num_heads)])
        needed = [np.unique(head // chunk_size) for head in of_heads]
        count = max(len(chunks) for chunks in needed)
        if body_chunks + count >= num_chunks:
            return cls(num_heads, body_size, body_chunks, None, of_heads.astype(np.int32))
        chunks = np.stack([np.pad(row, (0, count - len(row)), mode="edge") for row in needed])
        pairs = zip(needed, of_heads, strict=True)
        ranks = np.stack([np.searchsorted(head_chunks, head // chunk_size) for head_chunks, head in pairs])
        positions = (body_chunks + ranks) * chunk_size + of_heads % chunk_size
        return cls(num_heads, body_size, body_chunks, chunks.astype(np.int32), positions.astype(np.int32))
