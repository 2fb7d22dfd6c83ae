"""Pictures of samples say what they show: tasks, labels, inputs, parts."""

import dataclasses

import numpy as np
import pytest
from matplotlib.text import Text

from clrnn_tf import TaskStream
from clrnn_tf.streams.own import Preparation
from data_pipelines import cognitive_tasks, describe, own_data, student_teacher
from data_pipelines.sample_texts import listed, title_of
from tests import tiny

DRAWS = np.random.default_rng(0)
INPUTS = DRAWS.normal(size=(10, 6, 2)).astype(np.float32)


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def own(labels, inputs=INPUTS, facts=("heat", "noise"), **preparation):
    stream = TaskStream.from_arrays([(inputs, labels)], preparation=Preparation(**preparation))
    return dataclasses.replace(stream, data_facts={"features": list(facts)})


def drawn(stream):
    return describe.samples_figure(stream, own_data.draw_example)


def test_inputs_are_named_and_missing_values_are_marks_and_no_curves():
    inputs = INPUTS.copy()
    inputs[:, 2, 1] = np.nan
    figure = drawn(own(np.arange(10) % 2, inputs, missing="mean", missing_flags=True))
    assert legend_of(figure) == ["heat", "noise", "value is missing"]
    first = figure.axes[0].lines
    assert len(first) == 3 and first[2].get_xdata().tolist() == [2]
    assert first[2].get_ydata()[0] == first[1].get_ydata()[2]


def test_inputs_without_names_are_numbered_and_of_many_some_are_in_the_legend():
    assert legend_of(drawn(own(np.arange(10) % 2, facts=())))[0] == "input 1"
    many = legend_of(drawn(own(np.arange(10) % 2, np.repeat(INPUTS, 10, axis=2), facts=())))
    assert len(many) == 12 and many[-1] == "and 9 more"


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (np.full([10, 1], 132.0) + np.eye(10)[:, :1] * 1e-3, "label 132"),  # in the units of the files
        (np.tile([True, False, True], (10, 1)), "label 0, 2"),
        (np.zeros([10, 3], bool), "no label"),
        (np.array(["a walk", "a run"] * 5), "a walk"),
        (np.tile([0, 0, 1, 1, 1, 0], (10, 1)), "6 steps: 0, 1, 0"),
        (np.array(["$x^{", "b" * 40] * 5), "b" * 17 + "…" + "b" * 8),
    ],
)
def test_titles_say_what_is_asked_for(labels, wanted):
    assert wanted in texts_of(drawn(own(labels)))


def test_numbers_of_every_step_are_a_curve_of_their_own():
    assert legend_of(drawn(own(DRAWS.normal(size=(10, 6, 1))))) == ["heat", "noise", "label"]


def test_curves_of_teachers_are_named_targets():
    config = student_teacher.Config(num_tasks=1, num_train=6, num_test=2, num_validation=0, output_width=3)
    stream = student_teacher.make_stream(config)
    figure = describe.samples_figure(stream, student_teacher.draw_example)
    assert legend_of(figure) == ["target 1", "target 2", "target 3"]
    assert "training examples of 1 task" in texts_of(figure)


def test_parts_of_trials_are_named_and_tasks_that_are_left_out_are_counted():
    config = cognitive_tasks.Config(num_train=6, num_test=1, num_validation=0)
    figure = describe.samples_figure(cognitive_tasks.make_stream(config), cognitive_tasks.draw_example)
    ticks = figure.axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["fixation in", "ring 1 in", "ring 2 in", "fixation out", "ring out"]
    assert "training examples of the first 6 of 9 tasks" in texts_of(figure)


def test_words_are_titles_and_numbers_are_called_classes():
    stream = own(np.array(["go", "7"] * 5))
    assert {"go", "class 7"} <= {*texts_of(drawn(stream))}


def test_names_with_commas_are_listed_with_semicolons():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b"], among=["c, d"]) == "a; b"
    stream = dataclasses.replace(tiny.stream(1), class_names=("Bird vocalization, bird call", "Speech"))
    assert "classes    Bird vocalization, bird call; Speech" in describe.description(stream)


def test_samples_that_cannot_be_drawn_leave_a_picture_that_says_so():
    def draw(axes, example, stream):
        raise ValueError("no such letter")

    with pytest.warns(UserWarning, match="no figure of samples of the data: ValueError: no such letter"):
        assert describe.samples_png(tiny.stream(1), draw).startswith(b"\x89PNG")


def test_a_title_of_a_sequence_with_several_steps_that_count_is_its_length():
    stream = tiny.stream(1)
    example = next(iter(stream[0].test.in_order(1, 0).as_numpy_iterator()))
    one = type(example)(*(np.asarray(field)[0] for field in example))
    assert title_of(one, stream[0], stream) == f"{one.lengths} steps"
