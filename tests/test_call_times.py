import pytest

from clrnn_tf.execution.call_times import CallTimes


def times_of(*calls):
    times = CallTimes()
    for call in calls:
        times.add(*call)
    return times


def test_compilation_is_what_calls_take_beyond_the_usual_one():
    times = times_of(*(("steps", seconds, 50) for seconds in (22.0, 1.0, 3.5, 1.0)), ("steps", 0.4, 20))
    assert times.seconds == pytest.approx(27.9)
    assert times.compile_seconds == pytest.approx(21.0 + 2.5)


def test_kinds_of_calls_have_their_own_usual_time():
    times = times_of(("one", 1.0), ("one", 1.0), ("other", 5.0), ("other", 5.0), ("other", 9.0))
    assert times.compile_seconds == pytest.approx(4.0)


def test_of_two_calls_the_faster_one_is_usual_and_a_single_call_says_nothing():
    assert times_of(("test", 1.4), ("test", 0.1)).compile_seconds == pytest.approx(1.3)
    assert times_of(("test", 1.4)).compile_seconds == 0.0
    assert CallTimes().compile_seconds == CallTimes().seconds == 0.0


def test_calls_that_are_faster_than_usual_take_nothing_off_other_kinds():
    fast = times_of(("one", 1.0), ("one", 1.0), ("one", 0.5))
    assert fast.compile_seconds == 0.0
