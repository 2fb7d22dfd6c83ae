"""Names of tasks, classes and runs in figures: whatever they are, figures are drawn, and fit."""

import warnings

import numpy as np
import pytest

from clrnn_tf.analysis import plots
from clrnn_tf.analysis.comparison import SeedGroup, compare
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.pictures import attempted, letters_of, short_names, shortened
from clrnn_tf.recording import figures
from clrnn_tf.recording.curves import Borders, Curve, curves_figure
from clrnn_tf.recording.heat_maps import HeatMap, heat_map_figure, heat_map_of, matrix_image
from clrnn_tf.recording.report.elements import NARROW, WIDE, figure
from clrnn_tf.recording.svg import GREY, page_svg

NAMES = {
    "long": ["bearing ok", "bearing must be replaced within a week"],
    "very long": [f"{'x' * 3000} {number}" for number in range(3)],
    "digits": ["1234567890" * 3 + "1", "2"],
    "formulas": ["$\\frac{1", "a $ b $ c", "_", "\\"],
    "scripts": [
        "اتجاه المحرك الذي يجب استبداله هذا الأسبوع",
        "軸受は一週間以内に交換する必要があります必ず",
        "🙂" * 40,
    ],
    "empty": ["", " ", "\n"],
    "control": ["a\nb\tc\x00d", "\u202eabc", "\ud800"],
    "marks": ["e" + "\u0301" * 500, "z"],
    "many": [f"class of number {number}" for number in range(40)],
}


def matrix_of(names):
    rows = [[Evaluation(0.5, 50.0 + row) for _ in names] for row in range(len(names))]
    return ResultMatrix(tuple(names), initial=rows[0], rows=rows)


def figures_of(names, width):
    matrix = matrix_of(names)
    confusion = HeatMap(np.eye(len(names)) * 99, names, names, "true class", "answer", "wrong answers, %")
    runs = dict.fromkeys([f"run {name}" for name in names[:5]], matrix)
    yield figures.accuracy_over_tasks(runs, width=width)
    yield figures.accuracy_over_tasks(runs, width=width, named=False)
    yield figures.task_panels(runs, width=width)
    yield heat_map_figure(heat_map_of([matrix]), width)
    yield heat_map_figure(confusion, width)
    starts = [10 * number for number in range(len(names))]
    curve = Curve("loss", [([start + 1, start + 10], [0.1, 0.2]) for start in starts])
    yield curves_figure([curve], "loss", Borders(starts, names), True, width)


@pytest.mark.parametrize("kind", NAMES)
def test_figures_are_drawn_whatever_the_names_are(kind):
    every = list(figures_of(NAMES[kind], NARROW))
    first = every[0]
    for drawn in every:
        for axes in drawn.axes:
            box = axes.get_window_extent()
            assert box.width > 2 and box.height > 2
        if kind != "many" or drawn is first:  # of many names, the others take a second
            assert attempted(lambda each=drawn: page_svg(each, "f", "t"), kind)


@pytest.mark.parametrize("kind", ["long", "very long", "formulas", "scripts"])
def test_figures_of_a_paper_are_drawn_whatever_the_names_are(kind):
    runs = {seed: matrix_of(NAMES[kind]) for seed in range(2)}
    groups = [SeedGroup(name or str(place), runs, "hnet") for place, name in enumerate(NAMES[kind])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Glyph .* missing|Matplotlib currently does not support")
        for draw in plots.FIGURES.values():
            drawn = draw(compare(groups))
            drawn.canvas.draw()
            assert all(axes.get_position().width > 0.05 for axes in drawn.axes if axes.get_visible())


def texts_outside(drawn):
    """Texts of a figure that do not lie on it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    FigureCanvasAgg(drawn).draw()
    texts = [text for text in drawn.findobj(Text) if text.get_visible() and "bearing" in text.get_text()]
    sheet = drawn.bbox.padded(3)
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    return [name for name, box in boxes.items() if not (sheet.contains(*box.min) and sheet.contains(*box.max))]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_long_names_lie_on_the_figure(width):
    for drawn in figures_of([f"{name} {number}" for number, name in enumerate(NAMES["long"] * 2)], width):
        assert texts_outside(drawn) == []


def test_names_that_differ_still_differ_when_they_are_shortened():
    names = [f"replace bearing {side} this week" for side in ("left", "right")] + ["ok"]
    short = short_names(names, 12)
    assert len({*short}) == 3 and short[2] == "ok" and max(map(letters_of, short)) <= 12
    assert short_names(["a" * 40, "a" * 40], 9)[0] == short_names(["a" * 40, "a" * 40], 9)[1]


def test_a_name_that_fits_is_shown_as_it_is():
    assert shortened("left_no", 7) == "left_no"
    assert shortened("left_yes", 7) == "left…es"


def test_the_matrix_of_tensorboard_is_drawn_with_long_names():
    assert matrix_image(matrix_of(NAMES["very long"])).shape[2] == 4


def test_a_figure_that_cannot_be_drawn_leaves_a_note():
    def draw(width):
        raise ValueError("no such size")

    with pytest.warns(UserWarning, match="no figure of the matrix: ValueError: no such size"):
        assert "could not be drawn" in figure(draw, "matrix", "the matrix")


def test_losses_of_one_decade_have_labels_that_fit_beside_the_axis():
    drawn = curves_figure([Curve("task", [([1, 2], [0.13, 0.17])])], "loss", Borders([0], ["t"]), True, NARROW)
    (axes,) = drawn.axes
    drawn.draw_without_rendering()
    labels = [label for label in axes.get_yticklabels(minor=True) if label.get_text()]
    assert "0.15" in [label.get_text() for label in labels]
    assert all(label.get_window_extent().x0 >= 0 and label.get_color() == GREY for label in labels)
