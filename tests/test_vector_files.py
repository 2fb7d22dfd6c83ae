"""Files of word vectors as people have them: published, odd, damaged, hostile."""

import gzip

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines.pos_tagging import Config, make_stream
from data_pipelines.vector_files import find_vectors
from data_pipelines.word_vectors import read_vectors
from tests.data_files import noticed, treebank, write_files

ROWS = np.array([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], np.float32)


def read(tmp_path, content, name="en.vec"):
    write_files(tmp_path, {name: content})
    return noticed(lambda: read_vectors(tmp_path / name))


def vectors_of(vectors, *words):
    return vectors.table[[vectors.row(word) for word in words]]


# --- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("the\t.5\t1\t1.5\nof\t2\t2.5\t3\n", ("the", "of")),
        ("2\t3\nthe\t.5\t1\t1.5\nof\t2\t2.5\t3\n", ("the", "of")),
        ("a b\t.5\t1\t1.5\nof\t2\t2.5\t3\n", ("a b", "of")),
        ("the .5 1\t1.5 \nof  2   2.5 3\t\r\n", ("the", "of")),
        ("2 3\n. . . .5 1 1.5\nat name@domain.com 2 2.5 3\n", (". . .", "at name@domain.com")),
        (". . . .5 1 1.5\nof 2 2.5 3\n", (". . .", "of")),
        ("at 5 .5 1 1.5\nof 2 2.5 3\nto 1 1 1\n", ("at 5", "of")),
        ("7 .5 1 1.5\n8 2 2.5 3\n", ("7", "8")),
        ("nan .5 1 1.5\ninf 2 2.5 3\n", ("nan", "inf")),
        ("\u00a0 .5 1 1.5\n10\u00a0000 2 2.5 3\n", ("\u00a0", "10\u00a0000")),
        ("\u0085 .5 1 1.5\na\u2028b 2 2.5 3\n", ("\u0085", "a\u2028b")),
        ("\ufeff2 3\nthe .5 1 1.5\nof 2 2.5 3\n", ("the", "of")),
        ("\ufeffthe .5 1 1.5\n\nof 2 2.5 3\n\n", ("the", "of")),
        ("\n2 3\nthe .5 1 1.5\nof 2 2.5 3\n", ("the", "of")),
        ("2 3\nthe .5 1 1.5\nof 2 2.5 3", ("the", "of")),
        ("the 5e-1 +1 1.5\nof 2.0e0 2.5 3\nthe 9 9 9\n", ("the", "of")),
        (gzip.compress(b"the .5 1 1.5\nof 2 2.5 3\n", mtime=0), ("the", "of")),
        ("2 3\n" + "x" * 20_000 + " .5 1 1.5\nof 2 2.5 3\n", ("x" * 20_000, "of")),
    ],
)
def test_text_is_read_by_its_width(tmp_path, content, words):
    vectors, messages = read(tmp_path, content)
    np.testing.assert_array_equal(vectors_of(vectors, *words), ROWS)
    assert not messages


@pytest.mark.parametrize(
    ("content", "words", "messages"),
    [
        ("1000 3\nthe .5 1 1.5\nof 2 2.5 3\n", 2, ["says 1,000 vectors, 2 are there. Was the download cut off"]),
        ("1 3\nthe .5 1 1.5\nof 2 2.5 3\n", 2, ["says 1 vectors, 2 are there."]),
        ("9 3\nthe .5 1 1.5\nof 2 2.5", 1, ["says 9 vectors, 1 are there", "the word 'of', is left out"]),
        ("2 3\nthe .5 1 1.5\nof 2 2.5 3.", 1, ["says 2 vectors, 1 are there", "the word 'of', is left out"]),
        ("the .5 1 1.5\nof 2 2.5 -", 1, ["ends in the middle of a line", "the word 'of', is left out"]),
        ("the .5 1 1.5\nof 2 2.5 3", 2, ["ends in the middle of a line", "the word 'of', may be cut short"]),
        ("the .5 1 1.5", 1, ["ends in the middle of a line", "the word 'the', may be cut short"]),
        ("the .5 1 1.5\no", 1, ["ends in the middle of a line", "the word 'o', is left out"]),
        (b"the .5 1 1.5\n\xcf 2 2.5 3\n\xe2\x82 1 1 1\n", 2, ["words with replaced characters: 2"]),
    ],
)
def test_damage_that_leaves_vectors_is_warned_of(tmp_path, content, words, messages):
    vectors, received = read(tmp_path, content)
    np.testing.assert_array_equal(vectors.table[1 : words + 1], ROWS[:words])
    assert len(vectors.table) == words + 1
    assert len(received) == len(messages)
    for message, wanted in zip(received, messages, strict=True):
        assert wanted in message
        assert "en.vec" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2 3\nof 4 nan 6\n", "line 2: the word 'of' must have 3 finite numbers. Received: nan"),
        ("the 1 2 -inf\n", "line 1: the word 'the' must have 3 finite numbers. Received: -inf"),
        ("2 2\nthe 1 2\nof 4 1e60\n", "line 3: the word 'of' must have 2 finite numbers. Received: 1e60"),
        ("2 2\nthe 1 0,5\n", "line 2: the word 'the' must have 2 finite numbers. Received: 0,5"),
        ("2 300\nthe 1 2 3\n", "line 2: a word and 300 numbers are wanted. Received: 3"),
        ("2 2\nthe 1 2 3\nof 4 5 6\n", "line 1 says that vectors have 2 numbers. Received: 3"),
        ("the 1 2 3\nof 4 5\nto 7 8 9\n", "line 2: a word and 3 numbers are wanted. Received: 2"),
        ("<<<<<<< HEAD\nthe 1 2\n", "line 1: a word and its numbers are wanted. Received: '<<<<<<< HEAD'"),
        ("0 300\n", "holds no vectors"),
        ("", "holds no vectors"),
        ("the 0.1 0.", "holds no vectors"),
        ("5 0\nthe\n", "width of the vectors must be in"),
        ("5 99999999\nthe 1\n", "width of the vectors must be in"),
        ("the 1 2\rof 3 4\r", "carriage return"),
        ("the 1 2\n".encode("utf-16"), "is UTF-16 text"),
        (b"2 2\nthe \0\1\2\3\4\5\6\7\n", "NUL bytes"),
        (gzip.compress(b"the 1 2 3\n" * 9, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_other_text_is_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, content)
    assert "en.vec" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_of_text_takes_the_memory_of_its_numbers(tmp_path):
    import tracemalloc

    lines = "\n".join(f"w{number} " + "0.5 " * 200 for number in range(3000))
    for header in ("", "3000 200\n", "999999999999 200\n"):
        write_files(tmp_path, {"en.vec": header + lines + "\n"})
        tracemalloc.start()
        vectors, _ = noticed(lambda: read_vectors(tmp_path / "en.vec"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert vectors.table.shape == (3001, 200)
        assert peak < 3 * vectors.table.nbytes, header


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("wiki.en.vec", "en"),
        ("wiki.en.align.vec", "en"),
        ("wiki.multi.fr.vec", "fr"),
        ("wiki.de.vec.gz", "de"),
        ("cc.en.300.vec", "en"),
        ("cc.no.300.vec.gz", "no"),
        ("glove.6B.50d.txt", "en"),
        ("glove.840B.300d.txt", "en"),
        ("glove.twitter.27B.25d.txt.gz", "en"),
        ("polyglot-en.pkl", "en"),
        ("polyglot_he.pkl", "he"),
        ("wiki-news-300d-1M.vec", "en"),
        ("crawl-300d-2M.vec", "en"),
        ("numberbatch-en-19.08.txt.gz", "en"),
        ("en.300.vec", "en"),
        ("yue.txt", "yue"),
        ("en.vec.gz", "en"),
    ],
)
def test_vectors_are_found_under_the_names_they_are_published_by(tmp_path, name, language):
    write_files(tmp_path, {name: "", "wiki.zz.vec": "", "zz.npz": "", "manifest.json": ""})
    assert find_vectors(tmp_path, language) == tmp_path / name
    assert find_vectors(tmp_path, "is") is None
    write_files(tmp_path, {f"{language}.npz": ""})
    assert find_vectors(tmp_path, language).name == f"{language}.npz"


def test_a_published_file_and_its_gzip_are_no_two_files(tmp_path):
    write_files(tmp_path, {"cc.en.300.vec": "", "cc.en.300.vec.gz": ""})
    assert find_vectors(tmp_path, "en").name == "cc.en.300.vec"


def test_of_several_published_files_none_is_guessed(tmp_path):
    write_files(tmp_path, {"glove.6B.50d.txt": "", "glove.6B.100d.txt": ""})
    with pytest.raises(ConfigurationError, match="several files .*'en' .*: glove.6B.100d.txt, glove.6B.50d.txt. Keep"):
        find_vectors(tmp_path, "en")


@pytest.mark.parametrize(
    "name",
    [
        "wordvec/cc.en.300.bin",
        "wordvec/glove.6B.zip",
        "wordvec/GoogleNews-vectors-negative300.bin.gz",
        "wordvec/vectors.txt",
        "wordvec/wiki.de.vec",
        "cc.en.300.vec",
        "wordvec/embeddings_pkl.tar.bz2",
    ],
)
def test_vectors_that_lie_unused_are_named(tmp_path, name):
    write_files(tmp_path, treebank("en_gum") | {name: "x"})
    stream, messages = noticed(lambda: make_stream(Config(), tmp_path))
    assert stream.ngrams is not None
    (message,) = messages
    assert "words come in as character n-grams" in message
    assert name.rsplit("/")[-1] in message


def test_a_link_to_vectors_that_leads_nowhere_is_named(tmp_path):
    write_files(tmp_path, treebank("en_gum"))
    (tmp_path / "wordvec").mkdir()
    (tmp_path / "wordvec" / "en.vec").symlink_to(tmp_path / "gone")
    _, messages = noticed(lambda: make_stream(Config(), tmp_path))
    assert "not used: en.vec." in messages[0]


def test_vectors_of_some_languages_alone_are_refused_and_the_others_files_named(tmp_path):
    write_files(tmp_path, treebank("en_gum") | treebank("de_gsd") | {"wordvec/en.vec": "x", "wordvec/german.vec": "x"})
    with pytest.raises(ConfigurationError, match="no word vectors of de in .* Files that are not used: german.vec"):
        make_stream(Config(), tmp_path)
