import pytest
import tensorflow as tf

from clrnn_tf.execution.task_blocks import TaskBlocks


@pytest.mark.parametrize("number", [0, 1, 4, 15, 16, 17, 20, 21, 37])
def test_every_position_counts_once(number):
    blocks = TaskBlocks(max_tasks=40, numbers_per_task=10)

    @tf.function
    def seen(number):
        def count(positions, counts, totals, calls):
            tf.debugging.assert_less(positions, number)
            return tf.tensor_scatter_nd_add(totals, positions[:, tf.newaxis], counts), calls + 1

        return blocks.loop(number, count, (tf.zeros([40]), tf.constant(0)))

    totals, calls = seen(tf.constant(number))
    assert totals.numpy().tolist() == [1.0] * number + [0.0] * (40 - number)
    assert calls == number // 16 + -(-(number % 16) // 4)
    assert seen.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("max_tasks", "numbers_per_task", "sizes"),
    [(40, 10, (16, 4)), (3, 10, (3,)), (10, 10, (10, 4)), (40, 400_000, (5, 4)), (40, 10**9, (1,))],
)
def test_blocks_fit_the_tasks_and_the_memory(max_tasks, numbers_per_task, sizes):
    assert TaskBlocks(max_tasks, numbers_per_task).sizes == sizes
