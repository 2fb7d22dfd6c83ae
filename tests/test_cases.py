"""The folder of cases: files on which something went wrong once, by what must happen with each.

The folder is `shared/cases` beside the project, or `$CLRNN_CASES_DIR`. Tests of the data modules write files of the
same kinds themselves.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.yaml_files import read_settings
from data_pipelines.conllu_files import read_sentences
from data_pipelines.pos_tagging import Config, make_stream
from data_pipelines.treebanks import find_treebanks
from data_pipelines.word_vectors import read_vectors
from tests.data_files import noticed

CASES = Path(os.environ.get("CLRNN_CASES_DIR") or Path(__file__).parent.parent.parent / "shared" / "cases")
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of cases: set CLRNN_CASES_DIR")


def refused(function, *messages):
    with pytest.raises(ConfigurationError) as caught:
        function()
    text = str(caught.value)
    assert "\n" not in text
    for message in messages:
        assert message in text


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("conllu_blank_lines/x.conllu", [["a"], ["b"]]),
        ("conllu_bom_file/x.conllu", [["Hei"]]),
        ("conllu_bom_file/y.conllu", [["Hei"]]),
        ("conllu_crlf/x.conllu", [["a", "b"], ["c"]]),
        ("conllu_empty_form/x.conllu", [["", "b"]]),
        ("conllu_odd_spaces/x.conllu", [["10 000", "20\u00a0000", "a\u2028b", "c\u0085d", "e\x0bf"]]),
        ("conllu_self_range/x.conllu", [["sa", "za\u0148"]]),
        ("conllu_underscore_form/x.conllu", [["_", "_"], ["_"]]),
    ],
)
def test_treebank_files_that_are_read(name, forms):
    assert [[word.form for word in words] for words in read_sentences(CASES / name)] == forms


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conllu_cr/x.conllu", "line 1: a CoNLL-U line must have 10 columns"),
        ("conllu_eleven/x.conllu", "line 1: a CoNLL-U line must have 10 columns separated by tabs. Received: 11"),
        ("conllu_newline_in_form/x.conllu", "line 2: a CoNLL-U line must have 10 columns"),
        ("conllu_two_spaces/x.conllu", "separated by blanks"),
        ("conllu_utf16/x.conllu", "UTF-16"),
        ("gz_truncated/en_x-ud-train.conllu.gz", "cannot be read"),
        ("gz_truncated/html.conllu", "web page"),
        ("gz_truncated/lfs.conllu", "Git LFS"),
    ],
)
def test_treebank_files_that_are_refused(name, message):
    refused(lambda: read_sentences(CASES / name), name, message)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("vec_tabs/en.vec", ["the", "of"], None),
        ("vec_glove_space/en.vec", ["the", ". . .", "at name@domain.com"], None),
        ("vec_nbsp_token/en.vec", ["the", "\u00a0", "\u0085", "10\u00a0000"], None),
        ("vec_duplicate/en.vec", ["the", "of"], None),
        ("vec_bad_utf8/en.vec", ["the", "\ufffd"], "replaced characters: 1"),
        ("vec_truncated/en.vec", ["the", "of"], "says 1,000 vectors, 2 are there"),
        ("vec_truncated_number/en.vec", ["the"], "says 2 vectors, 1 are there"),
        ("vec_no_header_int/en.vec", ["8", "9"], "says 7 vectors, 2 are there"),
        ("gz_truncated/en.pkl", ["\u00e9t\u00e9", "the"], None),
    ],
)
def test_vectors_that_are_read(name, words, message):
    vectors, messages = noticed(lambda: read_vectors(CASES / name))
    assert [vectors.row(word) for word in words] == list(range(1, len(words) + 1))
    assert np.isfinite(vectors.table).all()
    assert not messages if message is None else any(message in received for received in messages)


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("vec_nan/en.vec", ["line 2", "'of'", "nan"]),
        ("vec_cli/nan/wordvec/en.vec", ["line 6", "'the'", "nan"]),
        ("vec_conflict/en.vec", ["line 1"]),
        ("vec_header_only/en.vec", ["holds no vectors"]),
        ("vec_header_width/en.vec", ["line 2", "300 numbers"]),
        ("vec_word2vec_bin/en.vec", ["line 2"]),
        ("gz_truncated/en.vec.gz", ["cannot be read"]),
        ("gz_truncated/notgz.vec.gz", ["cannot be read"]),
        ("gz_truncated/evil.pkl", ["os.system"]),
    ],
)
def test_vectors_that_are_refused(name, messages):
    refused(lambda: read_vectors(CASES / name), name, *messages)


def test_withheld_forms_are_passed_over():
    stream, messages = noticed(lambda: make_stream(Config(), CASES / "withheld_forms"))
    assert "UD_French-Starter (passed over: UD_French-Aaa)" in stream.data_source
    assert "fr_aaa (100% of the words" in messages[0]
    refused(lambda: make_stream(Config(languages=("fr_aaa",)), CASES / "withheld_forms"), "withheld")


@pytest.mark.parametrize(("name", "sentences"), [("names_pdt", 2), ("names_pdt2", 2), ("names_iso3", 1)])
def test_names_that_are_found(name, sentences):
    (treebank,) = find_treebanks(CASES / name)
    assert len(read_sentences(treebank.train)) == sentences
    assert make_stream(Config(), CASES / name)[0].name == treebank.language


def test_a_treebank_without_training_file_is_refused():
    refused(lambda: make_stream(Config(), CASES / "names_testonly"), "has no train file", "Wanted: folders UD_*")


@pytest.mark.parametrize(("name", "train"), [("ok", 1.0), ("tabs", 1.0), ("truncated", 0.2168)])
def test_coverage_is_told(name, train):
    stream, messages = noticed(lambda: make_stream(Config(), CASES / "vec_cli" / name))
    assert stream.num_features == 8
    assert stream.data_facts["coverage"]["en"]["train"] == train
    assert [message.rsplit("/")[-1] for message in messages] == (
        []
        if train == 1
        else [
            "en.vec: the first line says 344 vectors, 20 are there. Was the download cut off?",
            "few words of 'en' have a vector: 22% (train), 23% (test), 46% (validation).",
        ]
    )


@pytest.mark.parametrize("name", ["cc.en.300.vec", "glove.6B.50d.txt", "wiki.en.align.vec", "wiki.en.vec"])
def test_vectors_as_published_are_found(name):
    stream, _ = noticed(lambda: make_stream(Config(), CASES / "vec_published_names" / name))
    assert (stream.num_features, stream.ngrams) == (3, None)


def test_a_polyglot_file_is_found_and_what_it_holds_is_judged():
    refused(lambda: make_stream(Config(), CASES / "vec_published_names" / "polyglot-en.pkl"), "polyglot-en.pkl")


def test_norwegian_is_a_language():
    assert read_settings(CASES / "yaml_norway" / "norway.yaml")["data"] == {"languages": ["da", "no", "sv"]}


def test_every_folder_of_cases_has_a_test():
    text = Path(__file__).read_text(encoding="utf-8")
    folders = [path.name for path in CASES.iterdir() if path.is_dir()]
    assert not [name for name in folders if f'"{name}' not in text]
