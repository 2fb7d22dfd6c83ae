import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.streams.tasks import Task, TaskStream
from tests import tiny


def task_stream(*tasks):
    source = tiny.stream(1)[0].train
    made = tuple(Task(task_id, name, source, source) for task_id, name in tasks)
    return TaskStream("s", made, num_features=3, num_outputs=3, outputs="softmax", data_source="made up")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ((), "a task stream needs at least one task"),
        (((1, "a"),), r"task ids must count from 0\. Received: \[1\]\."),
        (((0, "a"), (1, "a")), r"task names must differ\. Received: \['a', 'a'\]\."),
    ],
)
def test_errors_say_what_was_wanted(tasks, message):
    with pytest.raises(ConfigurationError, match=message):
        task_stream(*tasks)


def test_stream_is_a_sequence_of_tasks():
    stream = task_stream((0, "a"), (1, "b"))
    assert len(stream) == 2
    assert [task.name for task in stream] == ["a", "b"]
    assert stream[-1].task_id == 1
    assert stream[0].validation is None


def test_a_slice_is_a_tuple_of_tasks():
    stream = task_stream((0, "a"), (1, "b"), (2, "c"))
    assert stream[1:] == (stream[1], stream[2])
