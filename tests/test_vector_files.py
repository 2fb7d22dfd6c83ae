"""Files of word vectors as people have them: published, odd, damaged, hostile."""

import gzip
import io
import pickle
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines.conllu_files import read_sentences
from data_pipelines.pos_tagging import Config, make_stream
from data_pipelines.vector_files import find_vectors
from data_pipelines.word_vectors import read_vectors
from tests.data_files import noticed, sentence, treebank, write_files

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


# --- archives --------------------------------------------------------------------------------------------------------


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def text(*words):
    return np.frombuffer("\n".join(words).encode(), np.uint8)


def claiming(header, content=b"", **arrays):
    """An archive in which the header of `q` claims something."""
    buffer = io.BytesIO(npz(**arrays))
    head = header.encode() + b"\n"
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("q.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content)
    return buffer.getvalue()


def encrypted():
    content = bytearray(npz(words=text("a"), vectors=ROWS[:1]))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        while place >= 0:
            content[place + at] |= 1
            place = content.find(signature, place + 4)
    return bytes(content)


@pytest.mark.parametrize(
    "words", [np.array(["a", "b"]), np.array([b"a", b"b"]), text("a", "b"), text("a", "b", ""), text("\ufeffa", "b")]
)
def test_archives_hold_words_in_several_ways(tmp_path, words):
    vectors, _ = read(tmp_path, npz(words=words, vectors=np.asfortranarray(ROWS.astype(">f8"))), "en.npz")
    np.testing.assert_array_equal(vectors_of(vectors, "a", "b"), ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz(words=text("a"), vectors=ROWS), "Received: 1 words and shape"),
        (npz(words=text("a", "b"), vectors=ROWS[0, :2]), "Received: 2 words and shape"),
        (npz(words=text("a", "b")), "must hold words and vectors, or words, q and scale. Received: words"),
        (npz(words=text("a", "b"), q=ROWS, scale=ROWS), "scale must be"),
        (npz(words=text("a", "b"), vectors=ROWS * np.nan), "vector 1, of the word 'a', holds nan"),
        (npz(words=text("a", "b"), vectors=ROWS.astype(complex)), "array 'vectors' must hold numbers"),
        (npz(words=text("a", "b"), vectors=ROWS.astype(object)), "array 'vectors' must hold numbers"),
        (npz(words=text("a", "b"), vectors=ROWS[:, :0]), "Received: 2 words of width 0"),
        (npz(words=np.zeros(2**25, np.uint8), vectors=ROWS), "must unpack to at most"),
        (
            claiming(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 300), }",
                words=text("a"),
                scale=ROWS[0],
            ),
            "as large as its header says. Received: ",
        ),
        (
            claiming(
                "{'descr': '|V9999999999', 'fortran_order': False, 'shape': (1,), }", words=text("a"), scale=ROWS[0]
            ),
            "cannot be read|must hold numbers",
        ),
        (
            claiming("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), }", words=text("a"), scale=ROWS[0]),
            "as large as its header says",
        ),
        (claiming("(" * 5000, words=text("a"), scale=ROWS[0]), "cannot be read"),
        (encrypted(), "encrypted"),
        (npz(words=text("a", "b"), vectors=ROWS)[:-30], "cannot be read"),
        (b"PK\x03\x04", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_other_archives_are_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, content, "en.npz")
    assert "en.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- pickles ---------------------------------------------------------------------------------------------------------

CRASH = b"\x80\x02((Va\ntcnumpy\nndarray\n((I1\nI1\ntVO\nc_codecs\nencode\n(VAAAAAAAA\nVlatin1\ntRtRt."


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "words",
    [
        ("the", "\u00e9t\u00e9"),
        ["the", "\u00e9t\u00e9"],
        ("the", "\u00e9t\u00e9".encode()),
        np.array(["the", "\u00e9t\u00e9"]),
        np.array(["the", "\u00e9t\u00e9"], object),
        tuple(np.array(["the", "\u00e9t\u00e9"])),
    ],
)
def test_pickles_of_all_protocols_are_read(tmp_path, protocol, words):
    for array in (ROWS, np.asfortranarray(ROWS), ROWS.astype(">f8"), np.float16(ROWS)):
        vectors, _ = read(tmp_path, pickle.dumps((words, array), protocol), "en.pkl")
        np.testing.assert_array_equal(vectors_of(vectors, "the", "\u00e9t\u00e9"), ROWS)


def test_the_pickles_of_python_2_are_read(tmp_path):
    start = pickle.dumps(ROWS, 2).replace(b"numpy._core", b"numpy.core")
    content = b"\x80\x02((U\x05\xc3\xa9t\xc3\xa9U\x03thet" + start[2:-1] + b"t."
    vectors, _ = read(tmp_path, content, "en.pkl")
    np.testing.assert_array_equal(vectors_of(vectors, "\u00e9t\u00e9", "the"), ROWS)


def state(shape, kind="f4", content=b"\0" * 24, order="<"):
    """A pickle whose array has this state."""
    dtype = b"cnumpy\ndtype\n" + pickle.dumps((kind, 0, 1), 2)[2:-1] + b"R"
    dtype += pickle.dumps((3, order, None, None, None, -1, -1, 0), 2)[2:-1] + b"b"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n"
    array += pickle.dumps(shape, 2)[2:-1]
    return b"\x80\x02((Va\nVb\nt" + array + dtype + b"I00\n" + pickle.dumps(content, 3)[2:-1] + b"tbt."


def test_the_state_that_these_tests_damage_is_right(tmp_path):
    vectors, _ = read(tmp_path, state((2, 3), content=ROWS.tobytes()), "en.pkl")
    np.testing.assert_array_equal(vectors_of(vectors, "a", "b"), ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CRASH, "an array that is not made from bytes"),
        (state((2, 10**12)), "another number of bytes"),
        (state((2, -3)), "the shape of an array"),
        (state((2, 3, 1)), "the shape of an array"),
        (state((2, True)), "the shape of an array"),
        (state((2, 3), "O8"), "another number of them"),
        (state((2, 3), "V4"), "arrays of type 'V4' are no word vectors"),
        (state((2, 3), "f4,f4"), "arrays of type"),
        (state((2, 3), "S4"), "vectors must be numbers"),
        (state((2, 3), order="x"), "byte order"),
        (state((3, 2)), "Received: 2 words and shape"),
        (b"\x80\x02((Va\ntI5\nt.", "a pair .words, array. is wanted. Received: tuple"),
        (b"cos\nsystem\n(S'echo'\ntR.", "wants to call os.system, which is no part of an array"),
        (b"cnumpy\nndarray\n)\x81.", "opcode b'.x81', which no array needs"),
        (b"cnumpy\ndtype\n}U\x01aU\x01bsb.", "opcode"),
        (b"cnumpy\nndarray\nU\x01ab.", "wants to change a function"),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VO\ntRVAAAAAAAA\ntR.", "array of objects"),
        (b"c_codecs\nencode\n(Va\nVrot13\ntR.", "wants to encode"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62), "cannot be read"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".", "cannot be read"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "a pair"),
        (b"(" * 10**5 + b"t" * 10**5 + b".", "a pair"),
        (b"", "cannot be read"),
    ],
)
def test_other_pickles_are_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, content, "en.pkl")
    assert "en.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- mutations -------------------------------------------------------------------------------------------------------


def _mutated(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        place = draw.randrange(len(content) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            content[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del content[place : place + draw.choice((1, 4, 100))]
        elif kind == 2:
            content[place:place] = draw.randbytes(draw.choice((1, 2, 8)))
        elif kind == 3:
            content[place : place + 4] = struct.pack("<I", draw.choice((0, 1, 2**31 - 1, 2**32 - 1, 10**9)))
        else:
            content[place:place] = content[: draw.randrange(40)]
        content = content or bytearray(b"x")
    return bytes(content)


_PICKLES = (
    state((2, 3)),
    CRASH,
    *(
        pickle.dumps((("the", "\u00e9"), ROWS.astype(kind)), protocol)
        for protocol in (0, 2, 4, 5)
        for kind in ("f4", ">f8")
    ),
    pickle.dumps((np.array(["the", "of"]), ROWS), 2),
)
_TREEBANK = (sentence("In", "dem", "Haus") + "# c\n1-2\tx" + "\t_" * 8 + "\n" + sentence("a", "b")).encode()
_SEEDS = {
    "en.pkl": _PICKLES,
    "en.npz": (
        npz(words=text("the", "of"), q=ROWS.astype(np.int8), scale=ROWS[0]),
        npz(words=text("a", "b"), vectors=ROWS),
    ),
    "en.vec": (b"2 3\nthe .5 1 1.5\nof 2 2.5 3\n", b"the\t.5\t1\nof\t2\t1e3\n. . 1 2\n"),
    "en.vec.gz": (gzip.compress(b"2 3\nthe .5 1 1.5\nof 2 2.5 3\n", mtime=0),),
    "x.conllu": (_TREEBANK,),
    "x.conllu.gz": (gzip.compress(_TREEBANK, mtime=0),),
}


def _try(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    try:
        noticed(lambda: read_sentences(path) if ".conllu" in name else read_vectors(path))
    except ConfigurationError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000


def _fuzz(tmp_path, name, count, seed):
    draw = random.Random(seed)
    for number in range(count):
        seed_file = draw.choice(_SEEDS[name])
        _try(tmp_path, name, draw.randbytes(60) if number % 10 == 9 else _mutated(seed_file, draw))


@pytest.mark.parametrize("name", _SEEDS)
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, name):
    _fuzz(tmp_path, name, 300, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", _SEEDS)
def test_thousands_of_mutated_files_are_read_or_refused_in_one_line(tmp_path, name):
    _fuzz(tmp_path, name, 10_000 if name.endswith(".pkl") else 3000, seed=1)


@pytest.mark.slow
def test_damage_behind_an_intact_checksum_is_refused_too(tmp_path):
    """Mutations of what is in an archive, packed again."""
    draw = random.Random(2)
    buffer = io.BytesIO(_SEEDS["en.npz"][0])
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(1000):
        packed = io.BytesIO()
        damaged = draw.choice(sorted(members))
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, _mutated(content, draw) if name == damaged else content)
        _try(tmp_path, "en.npz", packed.getvalue())
        _try(tmp_path, "en.vec.gz", gzip.compress(_mutated(_SEEDS["en.vec"][0], draw), mtime=0))
        _try(tmp_path, "x.conllu.gz", zlib.compress(_TREEBANK, wbits=31)[: draw.randrange(200)])
