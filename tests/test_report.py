"""The report of a run is one page that stands alone, says what the files say, and can be read on paper and phones."""

import json
import re

import numpy as np
import pytest
import yaml

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording import figures, heat_maps
from clrnn_tf.recording.comparisons import Comparison, comparison_from_run
from clrnn_tf.recording.curves import Borders, Curve, curves_figure
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.report.confusions import confusions
from clrnn_tf.recording.report.costs import memory_section
from clrnn_tf.recording.report.stored_run import read_run
from clrnn_tf.recording.svg import page_svg
from clrnn_tf.task_inference import InferenceScores
from tests.pages import Page
from tests.test_recording import create, matrix_of, record

ROWS = [[81.25, 40.0], [70.5, 90.0]]


def page_of(run, comparisons=()):
    return Page(write_report(run.path, comparisons).read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = create(tmp_path_factory.mktemp("report") / "run")
    record(run, matrix_of(ROWS))
    return run


@pytest.fixture(scope="module")
def page(run):
    other = create(run.path.parent / "other")
    record(other, matrix_of([[80.0, 30.0], [40.0, 91.0]]))
    published = Comparison("hnet <expected>", 89.83, None, None, "a paper & its settings")
    return page_of(run, [published, comparison_from_run(other.path)])


def test_the_page_needs_nothing_else(page):
    assert page.links, "figures refer to their own parts"
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.findall(r"url\((?!#)|@import|<script|<link|https?:", page.text)


def test_no_two_parts_of_the_page_have_the_same_id_and_every_reference_has_its_part(page):
    assert len(page.ids) == len(set(page.ids)) > 0
    referred = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', page.text))
    assert {one or other for one, other in referred} == set(page.ids)


def test_the_page_fits_a_phone_and_a_dark_screen_and_paper(page):
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    for rule in ("max-width: 640px", "prefers-color-scheme: dark", "@media print"):
        assert rule in page.text
    kinds = [attrs.get("class") for name, attrs in page.tags if name == "div"]
    assert kinds.count("wide") == kinds.count("narrow") == 5
    assert kinds.count("scroll") == len(page.tables)  # a table that is too wide scrolls by itself


def test_every_figure_says_what_it_shows(page):
    drawn = [attrs for name, attrs in page.tags if name == "svg" and attrs.get("aria-hidden") != "true"]
    assert len(drawn) == 10
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 5 for attrs in drawn)


def test_the_numbers_of_the_page_are_those_of_the_results(page, run):
    results = json.loads(run.results.read_text())
    for place, name in enumerate(results["task_names"]):
        during, final = results["during_accuracy"][place], results["final_accuracy"][place]
        shown = [f"{during:.2f}", f"{final:.2f}", f"{final - during:+.2f}".replace("-", "−")]
        assert page.row(name)[2:5] == shown
    means = [results[f"mean_{when}_accuracy"] for when in ("during", "final")]
    assert page.row("mean")[2:4] == [f"{mean:.2f}" for mean in means]
    this_run = page.row("hnet (this run)")
    assert this_run[1:3] == [f"{mean:.2f}" for mean in means]
    assert this_run[4] == f"{results['forgetting']:.2f}"
    for number in (*means, results["forgetting"], results["worst_final_accuracy"]):
        assert f"<b>{number:.2f}<span>" in page.text
    assert page.row("t1")[5] == "1.0 s" and page.row("mean")[5] == "2.0 s"


def test_what_others_have_written_is_no_markup(page):
    assert page.row("hnet <expected>")[1:3] == ["89.83", "–"]
    assert "a paper & its settings" in page.row("hnet <expected>")[0]


def test_the_picture_of_all_runs_comes_first(page):
    assert page.headings[0] == "hnet on tiny"
    assert page.headings[1:4] == [
        "Accuracy over the tasks learned",
        "Beside other results",
        "Accuracy on every task after each task",
    ]
    assert "same data" in page.row("hnetrun")[0]  # the row of the other run does not repeat them
    labels = re.findall(r'<li><span class="key">.*?</span>(.*?)</li>', page.text)
    assert labels == ["hnet (this run)", "hnet"]


def test_the_page_says_where_the_run_comes_from(page, run):
    provenance = yaml.safe_load(run.config.read_text())["provenance"]
    assert page.row("machine")[1] == provenance["host"]
    assert page.row("began")[1].startswith(provenance["began"][:10])
    assert page.row("data")[1] == "generated for tests"
    assert page.row("directory")[1] == str(run.path)
    assert "tensorflow" in page.row("versions")[1]


def test_a_run_that_goes_on_from_another_is_made_again_by_extending_that_one(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    settings = yaml.safe_load(run.config.read_text())
    extends = {"run": "/runs/first", "keep_exact": True, "max_drop": 0.5}
    settings["provenance"] |= {"preset": "p", "extends": extends}
    run.config.write_text(yaml.safe_dump(settings))
    page = page_of(run)
    call = "load_run(&quot;/runs/first&quot;).extend(&quot;NEW&quot;, changes, keep_exact=True, max_drop=0.5)"
    assert f"<pre>{call}</pre>" in page.text
    assert "It goes on from /runs/first and needs that run as it was" in page.text
    settings["provenance"]["command"] = "python -m trainers.tiny --extend /runs/first --out /runs/next"
    run.config.write_text(yaml.safe_dump(settings))
    page = page_of(run)
    assert "<pre>python -m trainers.tiny --extend /runs/first --out /runs/next</pre>" in page.text
    assert "It goes on from /runs/first" in page.text
    assert "--config" not in page.text and "do the same" not in page.text


def test_facts_of_the_data_and_the_command_are_shown_where_they_are_known(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    assert "Again" not in page_of(run).headings  # nobody typed it
    provenance = {"command": "python -m trainers.tiny --seed 3", "preset": "p", "quick": True, "data_dir": "D"}
    settings = yaml.safe_load(run.config.read_text())
    settings["provenance"] |= provenance
    run.config.write_text(yaml.safe_dump(settings))
    run.add_result("data", {"fingerprint": "abc", "licence": "CC BY 4.0"})
    page = page_of(run)
    assert "<pre>python -m trainers.tiny --seed 3</pre>" in page.text
    assert f"--config {run.config} --out NEW" in page.text
    assert page.row("licence of the data")[1] == "CC BY 4.0"
    assert page.row("fingerprint of the files")[1] == "abc"
    assert "Made with --quick: too short to learn." in page.text


def test_an_unfinished_run_says_so(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS[:1]))
    page = page_of(run)
    assert "Unfinished run: 1 of 2 tasks are learned." in page.text
    assert page.row("t0")[2:4] == ["81.25", "81.25"]
    assert "After the first task its test accuracy is 81.25 %." in page.text


def test_the_report_shows_inferred_tasks_beside_known_ones(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    assert "Task unknown" not in page_of(run).headings
    scores = InferenceScores(("t0", "t1"), np.array([[3, 1], [4, 0]]), np.array([61.5, 42.0]))
    run.add_result("task_inference", scores.to_dict())
    rows = page_of(run).rows()
    for row in (
        ["t0", "75.00", "61.50", "70.50", "t0"],
        ["t1", "0.00", "42.00", "90.00", "t0"],
        ["mean", "37.50", "51.75", "80.25", ""],
    ):
        assert row in rows


def test_the_report_does_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "available", lambda: False)
    run = create(tmp_path / "run")
    record(run, matrix_of(ROWS))
    page = page_of(run)
    assert page.count("svg") == 0
    assert "matplotlib is not installed" in page.text
    assert page.row("t0")[2] == "81.25"


def test_comparisons_come_from_the_files_of_another_run(run, tmp_path):
    comparison = comparison_from_run(run.path)
    assert (comparison.during, comparison.final, comparison.forgetting) == (85.625, 80.25, 10.75)
    assert "generated for tests" in comparison.source
    with pytest.raises(ConfigurationError, match="no results in"):
        comparison_from_run(tmp_path / "nowhere")


def test_classes_that_have_names_are_shown_with_what_they_are_taken_for(page):
    assert "Classes" not in page.headings  # confusion matrices of 2 classes, 3 names
    counts = np.array([[80, 15, 5], [0, 50, 0], [1, 3, 6]])
    found = confusions("", counts, ("a", "b", "c"))
    assert [(each.true, each.predicted, each.times) for each in found] == [
        ("a", "b", 15),
        ("a", "c", 5),
        ("c", "a", 1),
        ("c", "b", 3),
    ]
    assert [each.share for each in found] == [15.0, 5.0, 10.0, 30.0]
    assert confusions("t0", counts, ()) == []


@pytest.mark.parametrize("own", [False, True], ids=["classes of all tasks", "classes of each task"])
def test_the_page_has_a_table_of_confusions(tmp_path, own):
    run = create(tmp_path / "run")
    counts = np.array([[3, 1], [2, 4]])
    matrix = ResultMatrix(("t0", "t1"), [Evaluation(1.0, 50.0, counts)] * 2)
    for _ in range(2):
        matrix.add([Evaluation(1.0, 70.0, counts)] * 2)
    record(run, matrix)
    run.add_result("class_names", ["cat", "dog"])
    if own:
        run.add_result("data", {"classes": {"t0": ["cat", "dog"], "t1": ["one", "two"]}})
    rows = page_of(run).rows()
    if own:
        assert ["t1", "two", "one", "2", "33.3 %"] in rows
    else:
        assert ["dog", "cat", "4", "33.3 %"] in rows


def test_the_ledger_says_what_is_kept_and_how_it_grows(run, tmp_path):
    page = Page(memory_section(read_run(run.path)))
    assert page.row("teacher")[1].endswith("; on average 0.000 MB more with each task")
    other = create(tmp_path / "run")
    record(other, matrix_of(ROWS))
    results = json.loads(other.results.read_text())
    results |= {"num_parameters": 250_000, "separate_networks_bytes": 4_000_000}
    results["kept_bytes"] = [{"coresets": 500_000}, {"coresets": 1_000_000}]
    other.results.write_text(json.dumps(results))
    page = Page(memory_section(read_run(other.path)))
    assert "needs 1.000 MB of trained parameters, 25 % of what 2 separate networks take (4.000 MB)" in page.text
    assert "it keeps another 1.000 MB" in page.text
    assert page.row("coresets")[1:] == [
        "kept to learn on: stored sequences of old tasks; on average 0.500 MB more with each task",
        "1.000 MB",
    ]
    assert page.row("2 separate networks")[2] == "4.000 MB"


def test_the_colours_of_the_matrix_cover_the_tasks_that_are_learned():
    matrix = matrix_of([[81.0, 3.0], [70.0, 90.0]])
    figure = heat_maps.matrix_figure(matrix)
    (image,) = figure.axes[0].get_images()
    assert image.get_clim() == (70.0, 90.0)
    assert image.get_array().mask.tolist() == [[False, True], [False, False]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["81", "3", "70", "90"]
    picture = heat_maps.matrix_image(matrix_of(ROWS[:1]))  # tasks not yet learned have rows
    assert (picture.dtype, picture.shape[2]) == (np.uint8, 4)


def test_a_matrix_of_many_tasks_has_no_numbers_and_is_no_wider():
    names = tuple(f"task{number}" for number in range(100))
    rows = [[Evaluation(1.0, 50.0)] * 100 for _ in range(100)]
    figure = heat_maps.matrix_figure(ResultMatrix(names, rows[0], rows), width=900)
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_xticklabels()) < 60
    assert 72 * figure.get_size_inches()[0] <= 901


def test_each_task_has_a_panel_with_a_line_for_each_run():
    figure = figures.task_panels({"a": matrix_of(ROWS), "b": [matrix_of(ROWS), matrix_of([[80.0, 1.0], [60.5, 88.0]])]})
    first, second = figure.axes
    np.testing.assert_allclose(first.lines[0].get_ydata(), [81.25, 70.5])
    np.testing.assert_allclose(first.lines[1].get_ydata(), [80.625, 65.5])  # the mean of two seeds
    np.testing.assert_allclose(second.lines[0].get_xdata(), [2])  # from the task's own on
    assert len(first.collections) == 1  # the band from the lowest to the highest seed
    assert first.lines[0].get_marker() != first.lines[1].get_marker()  # told apart without colour


def test_of_many_tasks_some_have_a_panel():
    names = tuple(f"task{number}" for number in range(45))
    rows = [[Evaluation(1.0, 50.0)] * 45 for _ in range(45)]
    figure = figures.task_panels({"a": ResultMatrix(names, rows[0], rows)})
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert len(titles) == 20 and titles[0] == "1  task0" and titles[-1] == "45  task44"


def test_curves_do_not_run_across_the_borders_of_tasks():
    curve = Curve("loss", [([1, 2], [3.0, 2.0]), ([3, 4], [5.0, 4.0])])
    (axes,) = curves_figure([curve], "loss", Borders([0, 2], ["a", "b"]), log=True).axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]]
    assert [list(line.get_xdata()) for line in drawn] == [[1, 2], [3, 4]]
    assert axes.get_yscale() == "log"


def test_losses_below_zero_are_drawn_too():
    curve = Curve("loss", [([1, 2], [0.5, -2.0])])
    (axes,) = curves_figure([curve], "loss", Borders([0], ["a"]), log=True).axes
    assert axes.get_ylim()[0] < -2.0


def test_two_figures_of_a_page_share_no_id():
    drawn = [page_svg(figures.task_panels({"a": matrix_of(ROWS)}), name, "a & b") for name in ("one", "two")]
    ids = [Page(svg).ids for svg in drawn]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    assert 'aria-label="a &amp; b"' in drawn[0] and "font-family" not in drawn[0] and "var(--muted)" in drawn[0]


def test_noise_does_not_look_like_forgetting():
    runs = {"a": matrix_of([[99.9, 1.0], [99.7, 99.8]])}
    for figure in (figures.accuracy_over_tasks(runs), figures.task_panels(runs)):
        bottom, top = figure.axes[0].get_ylim()
        assert top - bottom == pytest.approx(5.0)
