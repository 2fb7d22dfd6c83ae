"""Odder relatives of the folder of cases (`tests/test_cases.py`): each is read as it is meant, or refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.yaml_files import read_settings
from data_pipelines.conllu_files import read_sentences
from data_pipelines.treebanks import find_treebanks
from data_pipelines.word_vectors import read_vectors
from tests.data_files import treebank, word, write_files

A, B = word(1, "a").encode(), word(1, "b").encode()
GHOST = "0.1\tghost" + "\t_" * 8 + "\n"
BOM = b"\xef\xbb\xbf"


def in_windows(content):
    return content.replace(b"\n", b"\r\n")


READ = {
    "joined files of windows, each with a mark": (BOM + in_windows(A) + b"\r\n" + BOM + in_windows(B), [["a"], ["b"]]),
    "a blank line of a blank that does not break": (A + "\u00a0\n".encode() + B, [["a"], ["b"]]),
    "an empty node before the first word": ((GHOST + word(1, "a") + word(2, "b")).encode(), [["a", "b"]]),
    "a range beyond the last word": (("1-9\tab" + "\t_" * 8 + "\n" + word(1, "a")).encode(), [["a"]]),
    "forms of no width": ((word(1, "\u200b") + word(2, "\ufeff")).encode(), [["\u200b", "\ufeff"]]),
    "archives one after another": (gzip.compress(A + b"\n") + gzip.compress(B), [["a"], ["b"]]),
    "an archive on a tape": (gzip.compress(A) + bytes(512), [["a"]]),
}
REFUSED = {
    "a range that runs backwards": (("3-1\tab" + "\t_" * 8 + "\n").encode(), "line 1: the first column must be"),
    "digits of another script": (word("\u0661", "a").encode(), "line 1: the first column must be"),
    "half a surrogate": (A.replace(b"a", b"\xed\xa0\x80"), "line 1 is not UTF-8"),
    "UTF-16 without a mark": (A.decode().encode("utf-16-le"), "NUL bytes, which is binary or UTF-16"),
    "UTF-16 in an archive": (gzip.compress(A.decode().encode("utf-16")), "is UTF-16 text"),
    "an archive in an archive": (gzip.compress(gzip.compress(A)), "NUL bytes"),
    "the second archive cut off": (gzip.compress(A) + gzip.compress(B)[:-9], "ended before the end-of-stream marker"),
    "an archive and a page": (gzip.compress(A) + b"<html>", "Not a gzipped file"),
    "a page after blank lines": (b"\n\n  <HTML><body>", "is a web page"),
    "comments alone": (b"# newdoc\n# text = a\n", "holds no sentence"),
}


@pytest.mark.parametrize("name", READ)
def test_odder_treebank_files_are_read(tmp_path, name):
    content, forms = READ[name]
    path = tmp_path / "x.conllu"
    path.write_bytes(content)
    assert [[word.form for word in words] for words in read_sentences(path)] == forms


@pytest.mark.parametrize("name", REFUSED)
def test_odder_treebank_files_are_refused(tmp_path, name):
    content, message = REFUSED[name]
    path = tmp_path / "x.conllu"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_sentences(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words", "first"),
    [
        (b"3 2\n1 2 3\n4 5 6\n7 8 9\n", ["1", "4", "7"], [2, 3]),
        (BOM + b"2 2\r\n" + BOM + b"the\t1 2\r\nof 1\t2\r\n", ["the", "of"], [1, 2]),
        (b"the 1 2\n\n\nof 1e-400 2\n\n", ["the", "of"], [1, 2]),
        (gzip.compress(b"2 2\nthe 1 2\n") + gzip.compress(b"of 3 4\n"), ["the", "of"], [1, 2]),
    ],
    ids=["numbers as words", "marks, tabs and windows", "blank lines", "joined archives"],
)
def test_odder_vectors_are_read(tmp_path, content, words, first):
    path = tmp_path / "en.vec"
    path.write_bytes(content)
    vectors = read_vectors(path)
    assert [vectors.row(word) for word in words] == list(range(1, len(words) + 1))
    np.testing.assert_array_equal(vectors.table[1], np.array(first, np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 1e39 2\nof 1 2\n", "line 1: the word 'the' must have 2 finite numbers. Received: 1e39"),
        (b"the infinity 2\nof 1 2\n", "line 1: the word 'the' must have 2 finite numbers. Received: infinity"),
        (b"-2 2\nthe 1 2\nof 1 2\n", "line 1: a word and 2 numbers are wanted"),
        (b"9" * 20 + b" 2\nthe 1 2\nof 1 2\n", "line 1: a word and 2 numbers are wanted"),
        (b"2 2\rthe 1 2\rof 1 2\r", "line 1 has a carriage return inside"),
        (b"th\0e 1 2\nof 1 2\n", "NUL bytes"),
    ],
    ids=["above float32", "infinity", "fewer than none", "too many", "line ends of old Macs", "a zero byte"],
)
def test_odder_vectors_are_refused(tmp_path, content, message):
    path = tmp_path / "en.vec"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_vectors(path)


def test_odder_folders_do_not_hide_a_treebank(tmp_path):
    """A folder with the name of a file, links that lead nowhere and in circles, files of another system."""
    good = treebank("fi_tdt", folder="UD_Finnish-TDT")
    write_files(tmp_path, {**good, "UD_Dutch-X/nl_x-ud-train.conllu/inside": "", "UD_Dutch-X/nl_x-ud-test.conllu": A})
    write_files(
        tmp_path, {"UD_Finnish-TDT/._fi_tdt-ud-train.conllu": b"\0\5\x16\7", "__MACOSX/UD_Finnish-TDT/x": b"\0"}
    )
    folder = tmp_path / "UD_Finnish-TDT"
    (folder / "again").symlink_to(tmp_path)
    (tmp_path / "UD_Loop-X").symlink_to(tmp_path / "UD_Loop-X")
    (folder / "fi_tdt-ud-dev.conllu").symlink_to(tmp_path / "nowhere")
    (found,) = find_treebanks(tmp_path)
    assert (found.language, found.train) == ("fi", (folder / "fi_tdt-ud-train.conllu",))


def test_languages_that_yaml_reads_as_something_else_are_text(tmp_path):
    path = Path(tmp_path) / "odd.yaml"
    path.write_text("data: {languages: [no, NO, On, y, n, 1:30, 0o17, 2026-01-01, 1_0]}\n")
    assert read_settings(path)["data"]["languages"] == ["no", "NO", "On", "y", "n", "1:30", "0o17", "2026-01-01", "1_0"]
