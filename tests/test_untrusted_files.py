"""Archives and pickles of vectors: damaged, hostile, mutated; and mutations of every file that is read."""

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
from data_pipelines.word_vectors import read_vectors
from tests.data_files import noticed, sentence, write_files
from tests.fuzzing import in_time, mutated, nothing_runs

ROWS = np.array([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], np.float32)


def read(tmp_path, content, name="en.vec"):
    write_files(tmp_path, {name: content})
    return noticed(lambda: read_vectors(tmp_path / name))


def vectors_of(vectors, *words):
    return vectors.table[[vectors.row(word) for word in words]]


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
    ids=lambda value: value if isinstance(value, str) else "archive",  # whose bytes hold the time
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
        with in_time():
            noticed(lambda: read_sentences(path) if ".conllu" in name else read_vectors(path))
    except ConfigurationError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000


def _fuzz(tmp_path, name, count, seed):
    draw = random.Random(seed)
    with nothing_runs():
        for number in range(count):
            seed_file = draw.choice(_SEEDS[name])
            _try(tmp_path, name, draw.randbytes(60) if number % 10 == 9 else mutated(seed_file, draw))


@pytest.mark.parametrize("name", _SEEDS)
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, name):
    _fuzz(tmp_path, name, 300, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", _SEEDS)
def test_thousands_of_mutated_files_are_read_or_refused_in_one_line(tmp_path, name):
    _fuzz(tmp_path, name, 3000 if name.endswith(".pkl") else 1000, seed=1)


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
                archive.writestr(name, mutated(content, draw) if name == damaged else content)
        _try(tmp_path, "en.npz", packed.getvalue())
        _try(tmp_path, "en.vec.gz", gzip.compress(mutated(_SEEDS["en.vec"][0], draw)))
        _try(tmp_path, "x.conllu.gz", zlib.compress(_TREEBANK, wbits=31)[: draw.randrange(200)])
