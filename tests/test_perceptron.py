"""UDPipe's perceptron learns the sentences that the taggers learn, and reports show its figures."""

import json
import sys

import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.comparisons import comparisons_from
from clrnn_tf.recording.report import write_report
from data_pipelines import pos_tagging
from data_pipelines.conllu_files import UPOS, Word, read_sentences
from data_pipelines.treebanks import find_treebanks
from results import registry
from tests.data_files import treebank, write_files
from tests.pages import Page
from tests.test_recording import create, matrix_of, record
from trainers import clrnn, perceptron, udpipe

LANGUAGES = ("--data.languages", "de", "fi")


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The file of two languages of the embedded treebank, and all that was printed."""
    pytest.importorskip("ufal.udpipe", reason="the perceptron is the package ufal.udpipe")
    path = tmp_path_factory.mktemp("perceptron") / "perceptron.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CLRNN_DATA_DIR", raising=False)
        assert perceptron.main([*LANGUAGES, "--out", str(path)]) == 0
    return path


def error_of(capfd, *arguments):
    """The one line on standard error of a command that must exit with 2."""
    assert perceptron.main([str(argument) for argument in arguments]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    return line


def figures(task, accuracy, with_vector=None):
    return {
        "task": task,
        "treebank": f"UD_{task}",
        "fingerprint": "0",
        "accuracy": accuracy,
        "accuracy_with_vector": with_vector,
    }


def write_file(path, *tasks):
    path.write_text(json.dumps({"method": "perceptron", "tasks": tasks}))
    return path


def test_the_file_holds_the_figures_of_each_language(trained):
    results = json.loads(trained.read_text())
    german, finnish = results["tasks"]
    (treebank_of,) = (each for each in find_treebanks(pos_tagging.STARTER) if each.language == "de")
    assert (german["task"], finnish["task"]) == ("de", "fi")
    assert german["treebank"] == "UD_German-Starter"
    assert german["train_words"] == sum(map(len, read_sentences(treebank_of.train)))
    assert german["test_words"] == sum(map(len, read_sentences(treebank_of.test)))
    assert results["mean_accuracy"] == pytest.approx((german["accuracy"] + finnish["accuracy"]) / 2)
    assert min(german["accuracy"], finnish["accuracy"]) > 60  # nouns alone are a fifth to a third of the words
    assert german["model_bytes"] > 10_000
    assert "iterations_1=10" in results["settings"]["tagger"]
    assert set(results["versions"]) == {"clrnn_tf", "ufal.udpipe"}
    assert str(trained.parent) not in trained.read_text()


def test_accuracy_is_counted_over_all_words_and_over_those_with_a_vector():
    class Nouns:
        def tag(self, forms):
            return ["NOUN"] * len(forms)

    class Vectors:
        def row(self, form):
            return {"a": 1, "b": 2}.get(form, 0)

    noun, verb = UPOS.index("NOUN"), UPOS.index("VERB")
    sentences = [[Word("a", noun), Word("b", verb), Word("x", noun)], [Word("y", noun)]]
    assert udpipe.score(Nouns(), sentences, Vectors()) == (4, 75.0, 2, 50.0)
    assert udpipe.score(Nouns(), sentences) == (4, 75.0, None, None)


def test_equal_sentences_give_equal_models_and_nothing_is_printed(capfd):
    pytest.importorskip("ufal.udpipe", reason="the perceptron is the package ufal.udpipe")
    noun, verb = UPOS.index("NOUN"), UPOS.index("VERB")
    sentences = [[Word("dogs", noun), Word("bark", verb)], [Word("cats", noun), Word("sleep", verb)]]
    model = udpipe.train(sentences, iterations=2)
    assert model == udpipe.train(sentences, iterations=2)
    assert udpipe.Tagger(model).tag(["cats", "bark"]) == ["NOUN", "VERB"]
    assert capfd.readouterr() == ("", "")


def test_a_continued_run_trains_only_what_is_new_or_has_changed(trained, tmp_path, monkeypatch, capsys):
    learned = []
    usual = perceptron.train
    monkeypatch.setattr(perceptron, "train", lambda *arguments: learned.append(1) or usual(*arguments))
    path = tmp_path / "perceptron.json"
    stored = json.loads(trained.read_text())
    path.write_text(trained.read_text())
    assert perceptron.main([*LANGUAGES, "--out", str(path), "--resume"]) == 0
    assert not learned
    assert json.loads(path.read_text()) == stored
    printed = capsys.readouterr().out
    assert f"{stored['tasks'][0]['accuracy']:.2f}" in printed and "mean of 2" in printed
    changed = {**stored, "tasks": [stored["tasks"][0], {**stored["tasks"][1], "fingerprint": "other", "accuracy": 0.0}]}
    path.write_text(json.dumps(changed))
    assert perceptron.main([*LANGUAGES, "--out", str(path), "--resume"]) == 0
    assert len(learned) == 1
    assert json.loads(path.read_text())["mean_accuracy"] == stored["mean_accuracy"]


def test_an_interrupted_run_keeps_the_languages_that_are_done(tmp_path, monkeypatch):
    pytest.importorskip("ufal.udpipe", reason="the perceptron is the package ufal.udpipe")
    usual, calls = perceptron.train, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return usual(*arguments)

    monkeypatch.setattr(perceptron, "train", interrupted)
    path = tmp_path / "perceptron.json"
    assert perceptron.main([*LANGUAGES, "--out", str(path), "--iterations", "1"]) == 130
    (entry,) = json.loads(path.read_text())["tasks"]
    assert entry["task"] == "de"
    other = tmp_path / "other.json"
    assert perceptron.main([*LANGUAGES, "--out", str(other)]) == 130
    assert not other.exists()
    monkeypatch.setattr(perceptron, "train", usual)
    assert perceptron.main([*LANGUAGES, "--out", str(other), "--resume", "--iterations", "1"]) == 0
    assert len(json.loads(other.read_text())["tasks"]) == 2


def test_results_are_not_replaced_or_mixed_by_mistake(trained, capfd):
    assert "--resume" in error_of(capfd, *LANGUAGES, "--out", trained)
    other = error_of(capfd, *LANGUAGES, "--out", trained, "--resume", "--iterations", 3)
    assert "other settings: settings.tagger" in other and "--overwrite" in other
    assert "--out must be a file" in error_of(capfd, "--out", trained.parent)


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "ufal.udpipe", None)
    line = error_of(capfd, "--out", tmp_path / "perceptron.json")
    assert line == "error: the perceptron needs the package ufal.udpipe: pip install 'clrnn_tf[perceptron]'."
    assert not list(tmp_path.iterdir())


def test_flags_that_are_wrong_are_refused(capfd):
    assert "unknown flag --data.language." in error_of(capfd, "--data.language", "de")
    assert "unknown flag --data.vector-norm." in error_of(capfd, "--data.vector-norm", "2")
    assert "iterations must be above 0. Received: 0." in error_of(capfd, "--iterations", 0)


def test_words_with_a_vector_are_scored_where_the_data_have_vectors(tmp_path):
    pytest.importorskip("ufal.udpipe", reason="the perceptron is the package ufal.udpipe")
    data = write_files(tmp_path / "data", {**treebank("de_a"), "wordvec/de.vec": "2 2\nab 1 0\ncd 0 1\n"})
    path = tmp_path / "perceptron.json"
    assert perceptron.main(["--data-dir", str(data), "--out", str(path)]) == 0
    (entry,) = json.loads(path.read_text())["tasks"]
    assert (entry["test_words"], entry["test_words_with_vector"]) == (2, 1)
    assert entry["accuracy_with_vector"] == 100.0


def test_clrnn_lists_the_command_and_passes_its_flags_on(capsys):
    assert clrnn.main([]) == 0
    assert "clrnn perceptron" in capsys.readouterr().out
    assert clrnn.main(["perceptron", "--help"]) == 0
    shown = capsys.readouterr().out
    for part in ("clrnn perceptron --data-dir", "--data.languages", "--iterations", "--resume"):
        assert part in shown, part
    assert clrnn.main(["percepton"]) == 2
    assert "Did you mean perceptron?" in capsys.readouterr().err


def test_a_report_shows_the_perceptron_beside_a_run_of_the_same_tasks(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of([[81.25, 40.0], [70.5, 90.0]]))
    path = write_file(tmp_path / "p.json", figures("t0", 92.0, 93.5), figures("other", 1.0), figures("t1", 94.5, 95.0))
    page = Page(write_report(run.path, comparisons_from(path)).read_text())
    named = "UDPipe 1 (perceptron)"
    assert page.row("task")[5:7] == [named, f"{named}, words with a vector"]
    assert page.row("t0")[2:7] == ["81.25", "70.50", "−10.75", "92.00", "93.50"]
    assert page.row("mean")[2:7] == ["85.62", "80.25", "−5.38", "93.25", "94.25"]
    assert page.row(named)[1:3] == ["93.25", "93.25"] and page.row(named)[4] == "–"


def test_a_mean_over_some_of_the_tasks_is_called_so(tmp_path):
    run = create(tmp_path / "run")
    record(run, matrix_of([[81.25, 40.0], [70.5, 90.0]]))
    file = write_file(tmp_path / "p.json", figures("t1", 94.5))
    page = Page(write_report(run.path, comparisons_from(file)).read_text())
    assert "mean of 1 of 2 tasks" in page.row("UDPipe")[0]
    assert page.row("t0")[4:6] == ["−10.75", "–"]
    assert "words with a vector" not in page.text


def test_a_file_of_another_kind_is_no_comparison(tmp_path):
    path = tmp_path / "p.json"
    for text in ("{}", "[]", '{"method": "perceptron", "tasks": [{"task": "de"}]}'):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="must be a file that python -m trainers.perceptron has written"):
            comparisons_from(path)
    for damaged in (b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(damaged)
        with pytest.raises(ConfigurationError, match="cannot be read as results of a perceptron"):
            comparisons_from(path)


def test_the_table_of_results_is_language_by_language_beside_registered_runs():
    sizes = {"train_words": 72581, "cpu_seconds": 63.4, "model_bytes": 2_500_400}
    tasks = [{**figures("de", 91.25, 91.5), **sizes}, {**figures("fi", 83.0), **sizes}]
    run = {"preset": "from_scratch", "command": "python -m trainers.pos_tagging --preset from_scratch"}
    entries = [{**run, "task_names": ["fi", "de"], "final_accuracy": [74.7, 88.6]}]
    assert registry.perceptron_table({"tasks": tasks}, entries).splitlines() == [
        "| language | words trained | all words | words with a vector | `from_scratch`, final | CPU s | model kB |",
        "|---|---|---|---|---|---|---|",
        "| de | 72,581 | 91.2 | 91.5 | 88.6 | 63 | 2,500 |",
        "| fi | 72,581 | 83.0 | – | 74.7 | 63 | 2,500 |",
        "| mean of 2 |  | 87.1 | – | 81.7 |  |  |",
    ]
