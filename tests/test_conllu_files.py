"""Lines of treebanks as people have them: of other systems, of other kinds, too long."""

import gzip

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines import conllu_files
from data_pipelines.conllu_files import UNLIMITED, read_sentences
from data_pipelines.pos_tagging import Config, make_stream
from tests.data_files import noticed, sentence, treebank, word, write_files


def forms(path, limits=UNLIMITED):
    return [[w.form for w in words] for words in read_sentences(path, limits)]


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "content",
    [
        MARK + sentence("a").encode() + MARK + sentence("b").encode(),
        MARK + b"# one\n" + (sentence("a") + "# two\n" + sentence("b")).encode(),
        gzip.compress(MARK + (sentence("a") + sentence("b")).encode(), mtime=0),
        (sentence("a") + sentence("b")).replace("\n", "\r\n").encode(),
        ("\n\n" + sentence("a") + " \t \n\n" + sentence("b").rstrip("\n")).encode(),
        gzip.compress(sentence("a").encode(), mtime=0) + gzip.compress(sentence("b").encode(), mtime=0),
    ],
    ids=["marks_of_joined_files", "mark_at_comment", "gzip_without_its_name", "windows", "blank_lines", "two_gzips"],
)
def test_odd_files_are_read(tmp_path, content):
    path = tmp_path / "x.conllu"
    path.write_bytes(content)
    assert forms(path) == [["a"], ["b"]]


def test_spaces_of_all_kinds_stay_in_forms(tmp_path):
    odd = ["10 000", "20\u00a0000", "a\u2028b", "c\u0085d", "e\x0bf", "\u3000", "g\x1ch", "_"]
    path = tmp_path / "x.conllu"
    path.write_bytes(sentence(*odd).encode())
    assert forms(path) == [odd]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (sentence("a").encode("utf-16"), "is UTF-16 text. Convert"),
        (sentence("a").encode("utf-16-be"), "NUL bytes, which is binary or UTF-16"),
        (sentence("a", "b").replace("\n", "\r").encode(), "Received: 19, with a carriage return inside the line"),
        (word(1, "a").replace("\t", "  ").encode(), "Received: 1, separated by blanks"),
        (b"<!DOCTYPE html>\n<html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"PK\x03\x04....", "is a zip archive. Unpack it"),
        (b"BZh91AY", "compressed by bzip2"),
        (word(1, "og", "CONJ").encode(), "unknown universal tag 'CONJ'. Wanted: ADJ .* Now written: CCONJ."),
        (word(1, "a", ".").encode(), "Now written: PUNCT."),
        (word(1, "a", "noun").encode(), "Now written: NOUN."),
        (word("9" * 5000, "a").encode(), "must be a word's number"),
        (word(1, "a", "N" * 5000).encode(), "unknown universal tag 'NNN"),
        (word(1, "a").encode() + b"2\t" + b"\xff" * 9, "line 2 is not UTF-8"),
        (gzip.compress((b"#" * 999 + b"\n") * 2**15, mtime=0), "unpacks to more than"),
        (gzip.compress(b"x" * 2**22, mtime=0), "line 1 must be shorter than"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 50, "cannot be read"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "x.conllu"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_sentences(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_very_long_sentences_are_cut_and_their_line_is_named(tmp_path):
    texts = treebank("en_gum")
    texts["UD_en_gum/en_gum-ud-train.conllu"] = sentence("a", "b") + sentence(*"abcdefghijk")
    config = Config(max_sentence_words=4)
    stream, messages = noticed(lambda: make_stream(config, write_files(tmp_path, texts)))
    assert stream[0].train.num_examples == 4
    assert stream[0].train.max_time == 4
    total = sum(batch.eval_weights.numpy().sum() for batch in stream[0].train.in_order(2, 0))
    assert total == 13  # no word is lost
    assert len(messages) == 1
    assert "en_gum-ud-train.conllu, line 4: a sentence of more than 4 words" in messages[0]
    assert stream[0].train.num_examples == 4


def test_one_long_word_does_not_decide_the_memory_of_all(tmp_path):
    import tracemalloc

    texts = treebank("en_gum")
    texts["UD_en_gum/en_gum-ud-train.conllu"] = sentence("x" * 20_000) + "".join(
        sentence(f"w{number}") for number in range(5000)
    )
    write_files(tmp_path, texts)
    tracemalloc.start()
    stream = make_stream(Config(), tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6  # fixed-width strings: 5000 words of 20,000 characters take 400 MB
    assert stream[0].train.num_examples == 5001


def test_composed_and_decomposed_letters_are_one_word(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    write_files(tmp_path, treebank("fr_aaa", [composed, decomposed], [composed, decomposed]))
    inputs = next(iter(make_stream(Config(), tmp_path)[0].train.in_order(1, 0))).inputs[0]
    np.testing.assert_array_equal(inputs[0], inputs[1])
    for stored in (composed, decomposed):
        write_files(tmp_path, {"wordvec/fr.vec": f"{stored} 1 2\n"})
        stream = make_stream(Config(), tmp_path)
        np.testing.assert_array_equal(next(iter(stream[0].train.in_order(1, 0))).inputs[0], [[1, 2], [1, 2]])


PIECES = [b"\t", b"\n", b"\r", b"\n\n", b" ", b"_", b"#", b"1-2", b"\xff", b"\xc2\xa0", b"\xe2\x80\xa8", b"X", b""]
PLAIN = "".join(
    ["# text\n", sentence("a", "\u00e9 b"), word("1-2", "im", "_"), sentence("in", "dem"), sentence("x")]
).encode()


def outcome(path):
    """Sentences with their places, or the error."""
    try:
        return list(conllu_files._sentences(path))
    except ConfigurationError as error:
        return str(error)


def damaged(draws):
    """The plain file with up to three pieces put in, or in place of one or two bytes."""
    content = PLAIN
    for _ in range(draws.integers(1, 4)):
        place = draws.integers(len(content))
        content = content[:place] + PIECES[draws.integers(len(PIECES))] + content[place + draws.integers(3) :]
    return content


def test_sentences_divided_at_once_are_those_read_line_by_line_and_so_are_the_errors(tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.conllu" for number in range(400)]
    for path in paths:
        path.write_bytes(damaged(draws))
    at_once = [outcome(path) for path in paths]
    monkeypatch.setattr(conllu_files, "_plain_sentence", lambda *_: None)
    assert 50 < sum(isinstance(result, list) for result in at_once) < 350
    for path, result in zip(paths, at_once, strict=True):
        assert outcome(path) == result, path.read_bytes()


def test_ranges_and_comments_do_not_need_reading_line_by_line(tmp_path, monkeypatch):
    path = tmp_path / "x.conllu"
    path.write_bytes(PLAIN)
    monkeypatch.setattr(conllu_files, "_line_by_line", None)
    assert [(line, [w.form for w in words]) for line, words in outcome(path)] == [
        (2, ["a", "\u00e9 b"]),
        (6, ["in", "dem"]),
        (9, ["x"]),
    ]
