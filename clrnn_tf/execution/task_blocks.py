"""Work on many tasks, block by block: two programs serve any number of tasks, in the memory of one block."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_BLOCK_SIZE = 2_000_000  # numbers in the memory of a block: 8 MB per array, of which there are half a dozen
_TASKS_PER_BLOCK = (16, 4)  # the last block is a small one, filled up with tasks of weight 0


class TaskBlocks:
    """Blocks of two sizes, large ones first.

    Args:
      max_tasks: Upper bound on the number of tasks.
      numbers_per_task: How many numbers a task takes in memory.

    Example:
      >>> TaskBlocks(max_tasks=40, numbers_per_task=10).sizes
      (16, 4)
      >>> TaskBlocks(max_tasks=40, numbers_per_task=400_000).sizes
      (5, 4)
    """

    def __init__(self, max_tasks: int, numbers_per_task: int) -> None:
        fitting = max(1, _BLOCK_SIZE // numbers_per_task)
        self.sizes = tuple(sorted({min(fitting, size, max_tasks) for size in _TASKS_PER_BLOCK}, reverse=True))
        """Tasks per block, descending."""

    def loop(self, number: tf.Tensor, body: Callable[..., tuple], state: tuple) -> tuple:
        """`state` after `state = body(positions, counts, *state)` for each block of positions 0 .. number - 1.

        Args:
          number: The number of tasks, a scalar; it may be 0.
          body: Gets the positions [size] of a block, and which of them count, [size] float32: 1, or 0 for the
            positions that fill the block up, which repeat the last one.
          state: Tensors, or lists of them.
        """
        start = tf.constant(0)
        for size in self.sizes:
            min_remaining = size if size != self.sizes[-1] else 1  # only the last size fills a block up

            def block(start: tf.Tensor, *state: tf.Tensor, size: int = size) -> tuple:
                positions = start + tf.range(size)
                counts = tf.cast(positions < number, tf.float32)
                return start + size, *body(tf.minimum(positions, number - 1), counts, *state)

            start, *state = tf.while_loop(
                lambda start, *_, min_remaining=min_remaining: start + min_remaining <= number, block, (start, *state)
            )
        return tuple(state)
