"""Work on many tasks, block by block: two programs serve any number of tasks, in the memory of one block."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_BLOCK_SIZE = 2_000_000  # numbers of all tasks of a block: 8 MB, and half a dozen arrays of that size
_TASKS_PER_BLOCK = (16, 4)  # the last block is a small one, filled up with tasks that do not count


class TaskBlocks:
    """Blocks of two sizes, large ones first.

    Args:
      most_tasks: Tasks that there can be.
      numbers_per_task: Numbers that a task takes in memory.
    """

    def __init__(self, most_tasks: int, numbers_per_task: int) -> None:
        fitting = max(1, _BLOCK_SIZE // numbers_per_task)
        self.sizes = tuple(sorted({min(fitting, size, most_tasks) for size in _TASKS_PER_BLOCK}, reverse=True))
        """Tasks per block, descending."""

    def loop(self, number: tf.Tensor, body: Callable[..., tuple], state: tuple) -> tuple:
        """`state` after `state = body(positions, counts, *state)` for each block of positions 0 .. number - 1.

        Args:
          number: Tasks, scalar; none are allowed.
          body: Gets the positions [size] of a block and which of them count, [size] float32: 1, or 0 for those that
            fill the block up, which repeat the last position.
          state: Tensors, or lists of them.
        """
        start = tf.constant(0)
        for size in self.sizes:
            least = size if size != self.sizes[-1] else 1  # tasks that such a block is worth

            def block(start: tf.Tensor, *state: tf.Tensor, size: int = size) -> tuple:
                positions = start + tf.range(size)
                counts = tf.cast(positions < number, tf.float32)
                return start + size, *body(tf.minimum(positions, number - 1), counts, *state)

            start, *state = tf.while_loop(
                lambda start, *_, least=least: start + least <= number, block, (start, *state)
            )
        return tuple(state)
