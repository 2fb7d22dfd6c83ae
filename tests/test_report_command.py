"""`python -m trainers.report`: the report of one run anew, or of several runs and seeds."""

import json
import shutil

import pytest
import yaml

from clrnn_tf.recording.report.entries import Value
from tests.pages import Page
from tests.test_recording import create, matrix_of, record
from trainers import clrnn, report


def make(path, rows, **settings):
    """A run of given accuracies, with other settings than the usual ones."""
    run = create(path)
    record(run, matrix_of(rows))
    stored = yaml.safe_load(run.config.read_text())
    for name, value in settings.items():
        section, _, key = name.partition("__")
        if key:
            stored[section][key] = value
        else:
            stored[section] = value
    run.config.write_text(yaml.safe_dump(stored))
    results = json.loads(run.results.read_text())
    run.results.write_text(json.dumps({**results, **{name: settings[name] for name in settings if name in results}}))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [
        make(root / "h0", [[80.0, 1.0], [78.0, 90.0]]),
        make(root / "h1", [[82.0, 1.0], [82.0, 92.0]], seed=1),
        make(root / "strong", [[70.0, 1.0], [70.0, 75.0]], hnet__strength=5.0),
        make(root / "si", [[85.0, 1.0], [45.0, 88.0]], method="si"),
    ]


@pytest.fixture(scope="module")
def page(runs):
    assert report.main([str(run) for run in runs]) == 0
    return Page((runs[0].parent / "report.html").read_text())


def test_seeds_of_one_setting_are_one_row_with_the_error_of_their_mean(page):
    assert page.row("hnet (strength 0.01)2 seeds: 0, 1")[1:3] == ["86.00 ± 1.00", "85.50 ± 1.50"]
    assert page.row("hnet (strength 5.0)")[2] == "72.50"
    assert page.row("si")[2] == "66.50"
    assert page.row("t0")[1:] == ["80.00 ± 2.00", "70.00", "45.00"]


def test_every_run_has_a_row_with_its_own_numbers(page, runs):
    rows = {row[0]: row[1:5] for row in page.rows()}
    assert rows[f"hnet{runs[1]}"] == ["1", "87.00", "87.00", "0.00"]
    assert rows[f"hnet{runs[0]}"] == ["0", "85.00", "84.00", "2.00"]


def test_the_page_of_several_runs_stands_alone_too(page):
    assert page.headings[0] == "tiny: 4 runs"
    assert len(page.ids) == len(set(page.ids)) > 0
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert page.text.count("<details>") == 6  # how to make it again and all settings, for each of three groups


def test_the_error_of_the_mean_has_n_minus_1_degrees_of_freedom():
    assert Value.of([1.0, 2.0, 3.0, 4.0]).error == pytest.approx(0.6454972)  # sqrt(5/3)/2
    assert Value.of([7.0]).text == "7.00" and Value.of([None, 2.0]).text == "–"


def test_the_report_of_one_run_is_written_into_it_or_where_out_says(runs, tmp_path, capsys):
    assert report.main([str(runs[0])]) == 0
    assert "hnet (this run)" not in (runs[0] / "report.html").read_text()  # nothing to be told apart from
    out = tmp_path / "new" / "page.html"
    assert clrnn.main(["report", str(runs[0]), "--out", str(out), "--compare-with", str(runs[3])]) == 0
    assert Page(out.read_text()).row("si")[2] == "66.50"
    assert str(out) in capsys.readouterr().out


def test_a_directory_of_seeds_stands_for_its_runs(runs, tmp_path, capsys):
    for seed, run in enumerate(runs[:2]):
        shutil.copytree(run, tmp_path / "hnet" / f"seed{seed}")
    begun = tmp_path / "hnet" / "seed2"
    begun.mkdir()
    shutil.copy(runs[0] / "config.yaml", begun)
    (tmp_path / "hnet" / "seed0.log").write_text("what it printed")
    assert report.main([str(tmp_path / "hnet")]) == 0
    printed = capsys.readouterr().out
    assert "seed2 is left out" in printed and "report of 2 runs in" in printed
    page = Page((tmp_path / "hnet" / "report.html").read_text())
    assert page.row("hnet2 seeds: 0, 1")[1:3] == ["86.00 ± 1.00", "85.50 ± 1.50"]
    for run in (0, 1):
        (tmp_path / "hnet" / f"seed{run}" / "results.json").unlink()
    assert "no task has been learned" in error_of(capsys, tmp_path / "hnet")


def error_of(capsys, *arguments):
    assert report.main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_bad_input_is_answered_with_one_line(runs, tmp_path, capsys):
    assert "no such directory" in error_of(capsys, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no run in" in error_of(capsys, tmp_path / "empty")
    assert "--help shows what to type" in error_of(capsys)
    other = shutil.copytree(runs[0], tmp_path / "other")
    assert "must not have the same settings and seed" in error_of(capsys, runs[0], other)
    results = json.loads((other / "results.json").read_text())
    (other / "results.json").write_text(json.dumps({**results, "task_names": ["x", "y"]}))
    line = error_of(capsys, runs[0], other)
    assert "must have learned the same tasks" in line and "2 tasks, x, y" in line
    (other / "results.json").write_text(json.dumps({**results, "schema_version": 2}))
    assert "must be of schema version 1. Received: 2." in error_of(capsys, runs[0], other)
