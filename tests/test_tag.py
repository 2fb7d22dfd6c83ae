"""A trained run in use: sentences in, tags out, from the command line and from Python."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import clrnn_tf
from clrnn_tf.errors import ConfigurationError
from data_pipelines.conllu_files import UPOS
from trainers import clrnn, exported_taggers, tag
from trainers.pos_tagging import BENCHMARK
from trainers.run import main as run_benchmark

ROOT = Path(__file__).parent.parent
TINY = (
    "--preset starter_fine_tuning --data.languages de en --data.letters --data.ngram-dim 8 --train.steps 60 "
    "--train.log-every 60 --train.validate-every 60 --train.jit off --network.hidden-sizes 8"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two languages."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    kept = os.environ.pop("CLRNN_DATA_DIR", None)
    try:
        assert run_benchmark(BENCHMARK, [*TINY.split(), "--out", str(out)]) == 0
    finally:
        if kept is not None:
            os.environ["CLRNN_DATA_DIR"] = kept
    return out


@pytest.fixture
def answer(capfdbinary, monkeypatch):
    """Exit code, standard output and standard error of the command."""

    def answer_to(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = tag.main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return answer_to


def error_of(result):
    """The one line on standard error of a command that exits with 2 and prints nothing else."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1), result
    return err.removeprefix("error: ").rstrip("\n")


def split(line):
    """Words and tags of a line `word/TAG word/TAG`."""
    return [tuple(pair.rsplit("/", 1)) for pair in line.split(" ")]


def test_a_sentence_is_tagged(run, answer):
    code, out, err = answer(run, "--language", "de", "Das ist gut .", "Die Katze schläft .")
    assert (code, err) == (0, "")
    first, second = map(split, out.splitlines())
    assert [word for word, _ in first] == ["Das", "ist", "gut", "."]
    assert first[-1][1] == second[-1][1] == "PUNCT"
    assert {upos for _, upos in first + second} <= set(UPOS)


def test_lines_of_standard_input_keep_their_places(run, answer):
    lines = "\ufeffDas ist gut .\n\n  Die\tKatze schläft .  \r\n".encode()
    code, out, _ = answer(run, "-l", "de", stdin=lines)
    assert code == 0
    assert answer(run, "-l", "de", "Das ist gut .", "", "Die Katze schläft .")[1] == out
    assert out.splitlines()[1] == "" and out.splitlines()[2].startswith("Die/")


def test_columns_have_a_word_a_line_and_an_empty_line_after_each_sentence(run, answer):
    _, out, _ = answer(run, "-l", "de", "--format", "columns", "Das ist", "gut")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["Das", "ist", "", "gut", ""]


def test_without_a_language_the_surest_tagger_answers(run, answer):
    code, out, err = answer(run, "Das ist ein Buch .", "Der Hund schläft nicht .")
    taggers = exported_taggers.find_taggers(run)
    sentences = [["Das", "ist", "ein", "Buch", "."], ["Der", "Hund", "schläft", "nicht", "."]]
    language = exported_taggers.infer_language(taggers, sentences)
    (best, first), (other, second) = language.probabilities.items()
    assert {best, other} == {"de", "en"} and first >= second and first + second == pytest.approx(1)
    assert code == 0 and err.count("\n") == 1
    assert f"language: {best} (probability {first:.2f}; next: {other} {second:.2f})" in err
    assert out == answer(run, "-l", best, *map(" ".join, sentences))[1]


def test_the_tagger_needs_its_exports_only(run, answer, tmp_path):
    expected = answer(run, "-l", "de", "Das ist gut .")[1]
    shutil.copytree(run / "export" / "de", tmp_path / "taggers" / "de")
    assert answer(tmp_path / "taggers", "-l", "de", "Das ist gut .") == (0, expected, "")
    assert answer(tmp_path / "taggers", "Das ist gut .") == (0, expected, "")  # there is one language


CONLLU = (
    b"\xef\xbb\xbf# newdoc id = 1\r\n# text = Zum Haus\r\n"
    b"1-2\tZum\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\r\n"
    b"1\tZu\tzu\tX\tAPPR\tA=B\t3\tcase\t_\t \r\n"
    b"2\tdem\t_\t_\t_\t_\t3\tdet\t_\t_\r\n"
    b"3\tHaus 10 000\t_\tVERB\t\t_\t0\troot\t_\t_\r\n"
    b"3.1\tist\t_\tAUX\t_\t_\t_\t_\t_\t_\r\n\r\n"
    b"# only a comment\n\n\n"
    b"1\t\t_\t_\t_\t_\t_\t_\t_\t_\n2\t.\t_\t_\t_\t_\t_\t_\t_\t_"
)


def test_conllu_gets_its_tags_and_keeps_every_other_byte(run, answer, tmp_path):
    path = tmp_path / "in.conllu"
    path.write_bytes(CONLLU)
    code, out, err = answer(run, "-l", "de", "--conllu", path)
    assert code == 0
    received, given = out.encode().splitlines(keepends=True), CONLLU.splitlines(keepends=True)
    assert len(received) == len(given)
    tags = []
    for new, old in zip(received, given, strict=True):
        if old.split(b"\t")[0].isdigit():
            columns = new.split(b"\t")
            tags.append(columns[3].decode())
            columns[3] = old.split(b"\t")[3]
            new = b"\t".join(columns)
        assert new == old
    assert len(tags) == 5 and set(tags) <= set(UPOS)
    same = 50 * ((tags[0] == "X") + (tags[2] == "VERB"))
    assert err == f"2 words had a tag; {same:.2f} % of these tags are the same now.\n"
    path.write_bytes(out.encode())
    again = "5 words had a tag; 100.00 % of these tags are the same now.\n"
    assert answer(run, "-l", "de", "--conllu", path) == (0, out, again)
    path.write_bytes(CONLLU)
    loaded = exported_taggers.load_tagger(exported_taggers.find_taggers(run), "de")
    assert tags == [upos for each in loaded([["Zu", "dem", "Haus 10 000"], ["_", "."]]) for upos in each.tags]
    assert answer(run, "-l", "de", "--conllu", "-", stdin=CONLLU)[1] == out
    path.write_bytes(gzip.compress(CONLLU))
    assert answer(run, "-l", "de", "--conllu", path)[1] == out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\tDas\t_\tX\n", "line 1: a CoNLL-U line must have 10 columns separated by tabs. Received: 4."),
        (b"# a\n\n" + 10 * b"x\t" + b"\n", "line 3: a CoNLL-U line must have 10 columns"),
        (b"a\t" + 8 * b"_\t" + b"_\n", "line 1: the first column must be a word's number"),
        (b"1\t\xff\t" + 7 * b"_\t" + b"_\n", "line 1 is not UTF-8. Convert the file."),
        ("1\tDas\n".encode("utf-16"), "line 1 holds NUL bytes: the file is binary or UTF-16. Convert it to UTF-8."),
        (gzip.compress(CONLLU, mtime=0)[:50], "cannot be read: "),
    ],
)
def test_a_malformed_conllu_file_is_one_line(run, answer, tmp_path, content, message):
    path = tmp_path / "in.conllu"
    path.write_bytes(content)
    line = error_of(answer(run, "-l", "de", "--conllu", path))
    assert line.startswith(str(path)) and message in line


def test_what_is_not_there_is_one_line(run, answer, tmp_path):
    assert error_of(answer(tmp_path / "a", "Das")).startswith(f"no such directory: {tmp_path / 'a'}.")
    assert f"no taggers in {tmp_path}: it has no exports" in error_of(answer(tmp_path, "Das"))
    assert error_of(answer(run, "-l", "xx", "Das")) == "no tagger of language 'xx'. Known: de, en."
    assert "cannot be read: No such file" in error_of(answer(run, "-l", "de", "--conllu", tmp_path / "b"))
    assert error_of(answer()) == "the following arguments are required: RUN. --help shows what to type."
    assert "--conllu takes its sentences from the file" in error_of(answer(run, "--conllu", "-", "Das"))
    assert "invalid choice: 'xml'" in error_of(answer(run, "--format", "xml", "Das"))


def test_models_without_words_and_damaged_ones_are_one_line(run, answer, tmp_path):
    model = shutil.copytree(run / "export" / "de", tmp_path / "export" / "de") / "1"
    os.truncate(model / "variables" / "variables.data-00000-of-00001", 300)
    assert f"{model} cannot be loaded as a SavedModel: " in error_of(answer(tmp_path, "-l", "de", "Das"))
    (model / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    assert f"{model} cannot be loaded as a SavedModel: " in error_of(answer(tmp_path, "-l", "de", "Das"))
    (model / "metadata.json").write_text('{"signatures": ["serving_default"]}')
    assert "take no words" in error_of(answer(tmp_path, "Das"))
    (model / "metadata.json").unlink()
    assert "take no words" in error_of(answer(tmp_path, "Das"))


def test_text_that_is_not_utf8_is_one_line(run, answer):
    stdin = "Das ist gut .\nüber\n".encode("latin-1")
    assert error_of(answer(run, "-l", "de", stdin=stdin)) == "standard input, line 2 is not UTF-8. Convert it."
    assert error_of(answer(run, "-l", "de", os.fsdecode(b"\xfcber"))).startswith("sentences must be UTF-8.")


def test_no_input_has_no_output(run, answer):
    assert answer(run) == (0, "", "")
    assert answer(run, "--conllu", "-") == (0, "", "")
    assert answer(run, "-l", "de", stdin=b"\n\n") == (0, "\n\n", "")


def test_a_sentence_of_ten_thousand_words_is_tagged_beside_short_ones(run, answer):
    words = " ".join(["Das", "ist", "gut", "."] * 2500)
    _, out, _ = answer(run, "-l", "de", "Das ist gut .", words, "Das ist gut .")
    first, long, last = out.splitlines()
    assert first == last and len(long.split(" ")) == 10_000
    assert long.split(" ")[-1] == "./PUNCT"


def test_the_reader_may_stop_before_the_end(run):
    command = f"yes 'Das ist gut .' | head -n 30000 | {sys.executable} -m trainers.tag {run} -l de | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Das/") and done.stdout.count("\n") == 1 and done.stderr == ""


def test_the_command_clrnn_tags(run, answer, capfdbinary):
    expected = answer(run, "-l", "de", "Das ist gut .")[1]
    assert clrnn.main(["tag", str(run), "-l", "de", "Das ist gut ."]) == 0
    assert capfdbinary.readouterr().out.decode() == expected
    with pytest.raises(SystemExit, match="0"):
        clrnn.main(["tag", "--help"])
    assert capfdbinary.readouterr().out.startswith(b"usage: clrnn tag")


def changed(run, folder, **provenance):
    """A copy of a run, with other facts in its settings."""
    copy = shutil.copytree(run, folder / "copy")
    settings = yaml.safe_load((copy / "config.yaml").read_text())
    settings["provenance"].update(provenance)
    (copy / "config.yaml").write_text(yaml.safe_dump(settings))
    return copy


def test_a_run_is_loaded_with_its_model_and_tags_as_its_export(run, answer, tmp_path, monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    loaded = clrnn_tf.load_run(run)
    assert loaded.settings.train.steps == 60 and loaded.learned == ("de", "en")
    assert loaded.results == json.loads((run / "results.json").read_text())
    sentences = [["Das", "ist", "gut", "."], [], ["cafe\u0301"]]
    for language in ("de", "en"):
        tagged = loaded.tag(sentences, language)
        expected = answer(run, "-l", language, *map(" ".join, sentences))[1]
        assert [[upos for _, upos in split(line)] if line else [] for line in expected.splitlines()] == tagged
    path, *_, of_all = loaded.export(tmp_path / "models")
    assert of_all == tmp_path / "models" / "all-tasks" / "1"
    assert path == tmp_path / "models" / "de" / "1"
    metadata = json.loads((path / "metadata.json").read_text())
    assert metadata == json.loads((run / "export" / "de" / "1" / "metadata.json").read_text())
    assert metadata["test_accuracy"] == loaded.results["final_accuracy"][0]
    with pytest.raises(ConfigurationError, match=r"'xx' is not learned in .*tiny\. Known: de, en\."):
        loaded.tag(sentences, "xx")
    with pytest.raises(ConfigurationError, match="sentences must be lists of words"):
        loaded.tag(["Das ist gut ."], "de")


def test_an_unfinished_run_knows_what_it_has_learned(run, tmp_path):
    copy = changed(run, tmp_path)
    shutil.rmtree(copy / "export")
    results = json.loads((copy / "results.json").read_text())
    results.update(accuracy=results["accuracy"][:1], loss=results["loss"][:1])
    (copy / "results.json").write_text(json.dumps(results))
    loaded = clrnn_tf.load_run(copy)
    assert loaded.learned == ("de",) and len(loaded.tag([["gut"]], "de")[0]) == 1
    with pytest.raises(ConfigurationError, match=r"'en' is not learned in .*copy\. Known: de\."):
        loaded.tag([["good"]], "en")
    (copy / "results.json").unlink()
    with pytest.raises(ConfigurationError, match="has learned no task yet. Continue it with --resume"):
        clrnn_tf.load_run(copy)


def test_a_run_that_cannot_be_loaded_says_why(run, tmp_path):
    with pytest.raises(ConfigurationError, match=f"no run in {tmp_path}: it has no config.yaml"):
        clrnn_tf.load_run(tmp_path)
    copy = changed(run, tmp_path, data_dir=str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match=r"were in .*gone, which is not there. Say where .* --data-dir"):
        clrnn_tf.load_run(copy)
    with pytest.raises(ConfigurationError, match="no such directory: data_dir"):
        clrnn_tf.load_run(copy, data_dir=tmp_path / "nowhere")
    settings = copy / "config.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("benchmark: pos_tagging", "benchmark: knitting"))
    with pytest.raises(ConfigurationError, match="there is no module data_pipelines.knitting"):
        clrnn_tf.load_run(copy)
    settings.write_text(text.replace("benchmark: pos_tagging", "benchmark: ../pos"))
    with pytest.raises(ConfigurationError, match="must name a benchmark and a method"):
        clrnn_tf.load_run(copy)
