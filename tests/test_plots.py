"""Figures of several seeds: what is drawn are the means and intervals; how it looks in grey and on paper."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from clrnn_tf.analysis import plots
from clrnn_tf.analysis.comparison import SeedGroup, compare
from clrnn_tf.analysis.curves import curves_of, over_training
from clrnn_tf.analysis.statistics import estimate
from clrnn_tf.analysis.style import WIDTH, looks, save
from clrnn_tf.metrics import Evaluation, ResultMatrix

NAMES = ("en", "de", "fr")


def run(seed, fall, joint=False):
    scores = (
        np.random.default_rng(seed).normal(90, 2, (1 if joint else 3, 3))
        - fall * np.tri(3, 3, -1)[-1 if joint else 0 :]
    )
    rows = [[Evaluation(0.1, score) for score in row] for row in scores]
    return ResultMatrix(NAMES, initial=rows[0], rows=rows, joint=joint)


@pytest.fixture
def comparison():
    falls = {"HNET": ("hnet", 0), "SI": ("si", 9), "all at once": ("multitask", 0)}
    return compare(
        [
            SeedGroup(label, {seed: run(seed, fall, method == "multitask") for seed in range(4)}, method)
            for label, (method, fall) in falls.items()
        ]
    )


def test_lines_are_means_and_bands_are_intervals(comparison):
    (axes,) = plots.accuracy(comparison).axes
    line, band = axes.lines[1], axes.collections[1]
    values = [[matrix.scores()[2].mean() for matrix in group.matrices] for group in comparison.groups[:2]]
    expected = estimate(values[1])
    assert line.get_ydata()[2] == pytest.approx(expected.mean)
    edges = band.get_paths()[0].vertices
    at_the_end = edges[np.isclose(edges[:, 0], 3), 1]
    assert (at_the_end.min(), at_the_end.max()) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)


def test_a_method_that_learns_jointly_is_a_level_line(comparison):
    (axes,) = plots.accuracy(comparison).axes
    assert len({*axes.lines[2].get_ydata()}) == 1
    assert list(axes.lines[2].get_xdata()) == [1, 3]


def test_forgetting_has_no_last_task_and_no_joint_method(comparison):
    (axes,) = plots.forgetting(comparison).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["en", "de"]
    drawn = [container.get_label() for container in axes.containers]
    assert drawn == ["HNET", "SI"]
    means = axes.containers[1].lines[0].get_ydata()
    assert list(means) == pytest.approx([comparison.score("SI", "forgetting", task).mean for task in ("en", "de")])


def test_matrices_are_means_on_one_scale(comparison):
    figure = plots.matrix(comparison)
    images = [axes.images[0] for axes in figure.axes[:3]]
    mean = np.mean([matrix.scores() for matrix in comparison.groups[0].matrices], axis=0)
    np.testing.assert_allclose(images[0].get_array(), mean)
    assert len({image.get_clim() for image in images}) == 1
    assert np.isnan(images[2].get_array().filled(np.nan)[:2]).all()
    assert [axes.get_title() for axes in figure.axes[:3]] == ["HNET", "SI", "all at once"]


def test_one_legend_names_every_method_and_a_single_one_needs_none(comparison):
    (legend,) = plots.accuracy(comparison).legends
    assert [text.get_text() for text in legend.get_texts()] == ["HNET", "SI", "all at once"]
    assert plots.accuracy(compare(comparison.groups[:1])).legends == []


def test_a_single_seed_has_a_line_without_a_band(comparison):
    one = compare([SeedGroup("HNET", {0: run(0, 0)}, "hnet")])
    (axes,) = plots.accuracy(one).axes
    assert not np.isnan(axes.lines[0].get_ydata()).any()
    for draw in plots.FIGURES.values():
        draw(one)


def test_methods_look_the_same_in_all_figures_and_differ_in_grey():
    assert looks(["si", "hnet"])[1] == looks(["hnet", "online_ewc", "fine_tuning"])[0]
    eight = looks(["hnet", "si", "online_ewc", "fine_tuning", "masking", "coresets", "from_scratch", "multitask"])
    assert len({look.marker for look in eight}) == len({str(look.dash) for look in eight}) == 8
    assert all(max(to_rgb(look.color)) < 0.95 for look in eight)  # none is pale on white


@pytest.mark.parametrize("ending", ["pdf", "png", "svg"])
def test_files_have_the_width_that_is_asked_for(comparison, tmp_path, ending):
    figure = plots.forgetting(comparison)
    save(figure, tmp_path / f"a.{ending}")
    content = (tmp_path / f"a.{ending}").read_bytes()
    if ending == "pdf":
        assert f"/MediaBox [ 0 0 {72 * WIDTH:.0f} ".encode() in content
        assert b"/FontFile2" in content and b"/Type3" not in content and b"CreationDate" not in content
    elif ending == "png":
        assert int.from_bytes(content[16:20]) == 300 * WIDTH
    else:
        assert b'width="396pt"' in content and b"<dc:date>" not in content


def test_curves_are_read_from_the_log_by_kind_and_metric():
    entries = [
        {"kind": "train", "task_id": 0, "step": 10, "accuracy": 1.0},
        {"kind": "validation", "task_id": 0, "step": 10, "accuracy": 2.0, "loss": None},
        {"kind": "validation", "task_id": 1, "step": 5, "accuracy": 3.0},
    ]
    assert curves_of(entries, "accuracy") == {0: {10: 2.0}, 1: {5: 3.0}}
    assert curves_of(entries, "accuracy", "train") == {0: {10: 1.0}}
    assert curves_of(entries, "loss") == {}


def test_tasks_stand_one_after_another_in_steps():
    logs = [[{0: {50: 1.0, 100: 2.0}, 1: {50: 3.0, 100: 4.0}}, {0: {100: 6.0, 50: 5.0}, 1: {100: 8.0}}]]
    found = over_training(logs)
    (first, second) = found.groups[0]
    assert first[0].tolist() == [50, 100] and first[1].tolist() == [[1, 2], [5, 6]]
    assert second[0].tolist() == [200] and second[1].tolist() == [[4], [8]]  # the step that both runs have
    assert (found.borders, found.label) == ([0, 100], "training step")


def test_methods_with_other_numbers_of_steps_share_an_axis_of_tasks():
    found = over_training([[{0: {50: 1.0, 100: 2.0}}], [{0: {100: 1.0, 200: 2.0}}]])
    assert [group[0][0].tolist() for group in found.groups] == [[0.5, 1.0], [0.5, 1.0]]
    assert found.span == 1 and "from its first step to its last" in found.label
