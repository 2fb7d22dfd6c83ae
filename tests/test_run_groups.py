"""Stored runs in groups, and the commands that compare and draw them."""

import dataclasses
import json
import re

import pytest
import yaml

from clrnn_tf.errors import ConfigurationError
from tests.stored_runs import store, store_seeds
from trainers import clrnn, compare, plot
from trainers.run_groups import read_groups


@pytest.fixture
def runs(tmp_path):
    return [store_seeds(tmp_path / "hnet"), store_seeds(tmp_path / "si", range(1, 4), "si", low=10)]


def with_strength(value):
    return lambda experiment: dataclasses.replace(
        experiment, method_options=dataclasses.replace(experiment.method_options, strength=value)
    )


def refusal(paths, labels=()):
    with pytest.raises(ConfigurationError) as refused:
        read_groups(paths, labels)
    (line,) = str(refused.value).splitlines()
    return line


def edit(path, name, value):
    """Change an entry of a JSON or YAML file."""
    stored = yaml.safe_load(path.read_text())
    stored[name] = value
    path.write_text(json.dumps(stored))


def test_runs_are_grouped_by_all_settings_but_the_seed(runs):
    found = read_groups(runs)
    assert [(group.label, group.seeds) for group in found.groups] == [("hnet", (0, 1, 2)), ("si", (1, 2, 3))]
    assert found.notes == ()
    assert [run.seed for run in found.runs[1]] == [1, 2, 3]


def test_single_runs_and_directories_of_seeds_may_be_mixed(runs):
    singles = [runs[0] / "seed2", runs[0] / "seed0", runs[0] / "seed0"]
    assert [group.seeds for group in read_groups([*singles, runs[1]]).groups] == [(0, 2), (1, 2, 3)]


def test_a_method_that_is_there_twice_is_named_with_what_differs(tmp_path):
    weak = store_seeds(tmp_path / "weak", change=with_strength(0.1))
    strong = store_seeds(tmp_path / "strong", change=with_strength(5.0))
    labels = [group.label for group in read_groups([weak, strong]).groups]
    assert labels == ["hnet (strength 0.1)", "hnet (strength 5.0)"]
    assert [group.label for group in read_groups([weak, strong], ["weak", "strong"]).groups] == ["weak", "strong"]


def test_settings_newer_than_a_run_count_with_their_defaults(tmp_path):
    old, new = store(tmp_path / "old", 0), store(tmp_path / "new", 1)
    settings = yaml.safe_load((old / "config.yaml").read_text())
    del settings["train"]["precision"]
    (old / "config.yaml").write_text(yaml.safe_dump(settings))
    assert [group.seeds for group in read_groups([old, new]).groups] == [(0, 1)]


def test_unfinished_runs_are_left_out_and_named(runs):
    store(runs[0] / "seed7", 7, rows=((90, 50),))
    store(runs[0] / "seed8", 8)
    (runs[0] / "seed8" / "results.json").unlink()
    found = read_groups(runs)
    assert found.groups[0].seeds == (0, 1, 2)
    unfinished, none = found.notes
    assert unfinished.endswith("seed7 is left out: 1 of 2 tasks are learned.")
    assert none.endswith("seed8 is left out: it has no results yet.")


def test_other_settings_of_the_data_are_said(tmp_path):
    def longer(experiment):
        return dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, input_length=4))

    paths = [store_seeds(tmp_path / "a"), store_seeds(tmp_path / "b", change=longer)]
    assert read_groups(paths).notes == ("settings of the data differ between methods: data.input_length.",)


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, runs):
    (tmp_path / "empty").mkdir()
    assert refusal([tmp_path / "nowhere"]).endswith("nowhere.")
    assert "it has no config.yaml, and no directories of seeds" in refusal([tmp_path / "empty"])
    unfinished = store(tmp_path / "unfinished", rows=((90, 50),))
    assert refusal([unfinished]) == f"a comparison needs at least one finished run. Received: none in {unfinished}."
    twice = store(tmp_path / "twice", 1)
    assert "must not have the same settings and seed" in refusal([*runs, twice])
    assert "--labels must name 2 groups (hnet, si). Received: 1." in refusal(runs, ["HNET"])


def test_runs_of_other_benchmarks_data_tasks_and_schemas_are_refused(tmp_path, runs):
    other = store(tmp_path / "other", names=("task0", "task9"))
    assert re.search(r"the same tasks. Received: task0, task1 \(.*\) and task0, task9", refusal([*runs, other]))
    other = store(tmp_path / "data", fingerprint="abc")
    assert re.search(r"the same data. Received: fingerprint None \(.*\) and abc \(", refusal([*runs, other]))
    other = store(tmp_path / "schema")
    edit(other / "results.json", "schema_version", 2)
    assert "must be of schema version 1. Received: 2." in refusal([*runs, other])
    other = store(tmp_path / "benchmark")
    settings = yaml.safe_load((other / "config.yaml").read_text())
    settings.update(benchmark="student_teacher", data={})
    (other / "config.yaml").write_text(yaml.safe_dump(settings))
    assert re.search(r"one benchmark. Received: copy_task \(.*\) and student_teacher", refusal([*runs, other]))
    edit(other / "config.yaml", "benchmark", "chess")
    assert refusal([*runs, other]).endswith("there is no module data_pipelines.chess.")
    (other / "results.json").write_text("{")
    edit(other / "config.yaml", "benchmark", "copy_task")
    assert "is damaged" in refusal([*runs, other])


def test_compare_prints_tables_and_writes_every_format(tmp_path, runs, capsys):
    out = tmp_path / "out"
    assert compare.main([*map(str, runs), "--labels", "HNET", "SI", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "| SI                | 2     | −5.00 ± 0.00" in printed.out
    names = ["accuracy", "forgetting", "matrix"]
    figures = [f"{name}.{ending}" for name in names for ending in ("pdf", "png")]
    tables = ["comparison.csv", "comparison.json", "comparison.md", "comparison.tex", "differences.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted(tables + figures)
    assert (out / "comparison.md").read_text() == printed.out
    stored = json.loads((out / "comparison.json").read_text())
    assert stored["provenance"][0]["settings"]["hnet"]["strength"] == 1.0
    assert stored["provenance"][1]["runs"] == [str(runs[1] / f"seed{seed}") for seed in (1, 2, 3)]
    assert all(b"/FontFile2" in (out / f"{name}.pdf").read_bytes() for name in names)
    assert not any(b"/Type3" in (out / f"{name}.pdf").read_bytes() for name in names)


@pytest.mark.parametrize("name", ["latex", "csv", "json"])
def test_compare_prints_other_formats(runs, capsys, name):
    assert compare.main([*map(str, runs), "--format", name, "--metric", "loss", "--level", "0.9"]) == 0
    text = capsys.readouterr().out
    assert {"latex": "Test loss, nats", "csv": "method,quantity,task", "json": '"interval_level": 0.9'}[name] in text


@pytest.mark.parametrize("what", ["accuracy", "matrix", "forgetting", "curves"])
def test_plot_writes_equal_files_for_equal_runs(tmp_path, runs, capsys, what):
    first, second = tmp_path / "new" / "a.pdf", tmp_path / "b.pdf"
    for out in (first, second):
        assert plot.main([*map(str, runs), "--what", what, "--out", str(out)]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"%PDF")
    assert capsys.readouterr().out.startswith(f"{what} of hnet, si in ")


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        (compare, ["--metric", "f1"], "metric must be one of loss, accuracy. Received: f1."),
        (compare, ["--level", "95"], "--level must be between 0 and 1. Received: 95.0."),
        (compare, ["--against", "ewc"], "unknown label 'ewc'. Known: hnet, si."),
        (compare, ["--format", "html"], "argument --format: invalid choice"),
        (compare, ["--out", "RUN/seed0/config.yaml"], "--out must be a directory."),
        (plot, ["--out", "a.bmp"], "--out must end with .pdf, .png, .svg. Received: a.bmp."),
        (plot, ["--out", "a.pdf", "--width", "99"], "--width must be in [1.5, 20] inches. Received: 99.0."),
        (plot, ["--out", "a.pdf", "--what", "loss"], "argument --what: invalid choice"),
        (plot, [], "the following arguments are required: --out."),
    ],
)
def test_bad_flags_end_with_one_line_and_exit_code_2(runs, capsys, command, words, message):
    words = [word.replace("RUN", str(runs[0])) for word in words]
    assert command.main([*map(str, runs), *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_curves_need_a_log_with_the_metric(tmp_path, runs, capsys):
    words = [str(runs[0]), "--what", "curves", "--out", str(tmp_path / "a.pdf")]
    log = runs[0] / "seed1" / "metrics.jsonl"
    log.write_text('{"kind": "validation"')
    assert plot.main(words) == 2
    assert "metrics.jsonl is damaged" in capsys.readouterr().err
    log.write_text("")
    assert plot.main(words) == 2
    assert "needs accuracy in metrics.jsonl of every run" in capsys.readouterr().err
    log.unlink()
    assert plot.main(words) == 2
    assert "needs the log of every run. Received: no " in capsys.readouterr().err


def test_clrnn_knows_the_commands(runs, capsys):
    assert clrnn.main(["compare", *map(str, runs), "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 1 + 2 * 3 * 3
    assert clrnn.main(["plot", "--out", "a.pdf", "nowhere"]) == 2
