"""Words into inputs inside a graph, beside what the splits of the training pipeline make of the same words."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import pos_tagging, tagging_inputs
from data_pipelines.conllu_files import Limits, Word, read_sentences
from data_pipelines.letters import NUM_FEATURES, letter_buckets
from data_pipelines.tagging_splits import frozen_ngram_split, letter_split, ngram_split, rows_of, vector_split
from data_pipelines.word_encoder import VectorLookup, WordEncoder
from data_pipelines.word_vectors import WordVectors, composed_form, read_vectors

REAL_DATA = Path(os.environ.get("CLRNN_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")
ODD = [
    *("", " ", "-", "İstanbul", "ıslak", "ẞ", "ß", "STRASSE", "ΣΊΣΥΦΟΣ", "σίσυφος", "ſ", "ǆ", "ǅ", "Ǆ", "ﬁnd", "ŉ"),
    *("x²", "①②", "٣٤", "3.14", "1e5", "'s", "O'NEIL", "o'neil", "l'Homme", "mcdonald", "McDonald", "MCDONALD"),
    *("10 000", "😀", "a" * 300, "été", "ÉTÉ", "Été", "हिन्दी", "שלום", "nan", "#", "##", "\u200b", "a\tb"),
]


def vectors_of(words, width=3, seed=0):
    return WordVectors(words, np.random.default_rng(seed).normal(size=(len(words), width)))


def mismatches(lookup, vectors, words):
    """Words whose vector in the graph is not that of the Python rule."""
    expected = vectors.table[[vectors.row(word) for word in words]]
    received = lookup(tf.constant(words)).numpy()
    close = np.isclose(received, expected, rtol=1e-3, atol=1e-6).all(axis=1)
    return [word for word, same in zip(words, close, strict=True) if not same]


def test_the_look_up_follows_the_published_rule():
    vectors = vectors_of(["the", "Bush", "bush", "USA", "##", "O'Neil", "McDonald", "x#", "straße", "#"])
    lookup = VectorLookup(vectors)
    words = [
        "the",
        "THE",
        "The",
        "BUSH",
        "usa",
        "Usa",
        "42",
        "421",
        "o'neil",
        "O'NEIL",
        "mcdonald",
        "x²",
        "x1",
        "STRASSE",
    ]
    assert mismatches(lookup, vectors, words) == []
    assert not lookup(tf.constant(["of", "421", "mcdonald", ""])).numpy().any()
    assert lookup(tf.constant(["BUSH"])).numpy() == pytest.approx(vectors.table[[2]], rel=1e-3)  # Bush is more frequent


def test_of_cases_the_most_frequent_counts():
    vectors = vectors_of(["A", "b", "ab", "AB", "Ab"])
    assert mismatches(VectorLookup(vectors), vectors, ["aB", "a", "B"]) == []


def test_odd_words_are_looked_up_as_in_python_but_for_letters_without_a_way_back():
    known = [composed_form(word) for word in ODD if word]
    more = [case for word in known for case in (word.lower(), word.upper(), word.title())]
    vectors = vectors_of([*known, *(f"{word}s" for word in more)])
    assert mismatches(VectorLookup(vectors), vectors, [*ODD, *more]) == ["İstanbul".lower()]
    vectors = vectors_of(list(dict.fromkeys(more)))
    assert set(mismatches(VectorLookup(vectors), vectors, [*ODD, *more])) <= {
        "İstanbul",
        "İstanbul".lower(),
        "ıslak",
        "ẞ",
    }


def test_decomposed_words_of_a_file_are_found_by_composed_ones():
    vectors = vectors_of(["e\u0301te\u0301", "a"])
    assert mismatches(VectorLookup(vectors), vectors, ["été", "e\u0301te\u0301", "ÉTÉ"]) == []


def test_words_beyond_the_most_frequent_are_unknown():
    lookup = VectorLookup(vectors_of(["a", "b", "c"]), most=2)
    assert lookup(tf.constant(["a", "b", "c"])).numpy().any(axis=1).tolist() == [True, True, False]
    with pytest.raises(ConfigurationError, match=r"most must be above 0 words. Received: 0\."):
        VectorLookup(vectors_of(["a"]), most=0)


def stored_dtypes(module):
    return {variable.name.partition(":")[0]: variable.dtype for variable in module.variables}


def test_vectors_of_bytes_are_stored_as_bytes_and_others_as_halves(tmp_path):
    path, q = tmp_path / "xx.npz", np.random.default_rng(0).integers(-128, 128, (4, 3)).astype(np.int8)
    np.savez(path, words=np.array(["a", "b", "c", "d"]), q=q, scale=np.array([0.5, 0.0, 2.0], np.float32))
    vectors = read_vectors(path)
    vectors.scale_to(2.0)
    lookup = VectorLookup(vectors)
    assert stored_dtypes(lookup)["word_vectors"] == tf.int8
    np.testing.assert_allclose(lookup(tf.constant(["a", "b", "c", "d", "e"]))[:4], vectors.table[1:], rtol=1e-6)
    vectors.align_to(vectors)
    assert stored_dtypes(VectorLookup(vectors)) == {"word_vectors": tf.float16}
    large = WordVectors(["a"], np.array([[1e6]]))
    assert VectorLookup(large)(tf.constant(["a"])).numpy() == 1e6


def inputs_of(split):
    return next(iter(split.in_order(split.num_examples, 0))).inputs.numpy()


@pytest.mark.parametrize("way", ["letters", "vectors and letters", "vectors", "n-grams", "frozen n-grams"])
def test_the_encoder_gives_the_inputs_of_training(tmp_path, way):
    forms = [["Das", "ist", "gut", "42", "e\u0301te\u0301"], ["Nichts", "neues"]]
    sentences = [[Word(form, 0) for form in forms[1]], [Word(form, 0) for form in forms[0]]]
    vectors = vectors_of(["das", "##", "gut", "été"]) if "vectors" in way else None
    if "letters" in way:
        split, spelling = letter_split(sentences, vectors, 50), lambda words: letter_buckets(words, 50)
    elif way == "vectors":
        rows = rows_of(sentences, vectors)
        split, spelling = vector_split(sentences, rows, vectors, False, tmp_path), None
    else:
        config = pos_tagging.Config(num_buckets=50, ngram_dim=4, ngrams="frozen" if "frozen" in way else "trained")
        spelling = tagging_inputs.spelling_of(config, has_vectors=False)
        split = frozen_ngram_split(sentences, 50, 4) if "frozen" in way else ngram_split(sentences, 50)
    encoder = WordEncoder(None if vectors is None else VectorLookup(vectors), spelling)
    rows = [[word.form for word in sentence] for sentence in sentences]
    words = [[composed_form(word) for word in row] + [""] * (5 - len(row)) for row in rows]
    expected = inputs_of(split)[:, :5]
    received = tf.function(encoder)(tf.constant(words)).numpy()
    assert received.dtype == expected.dtype and received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-3)
    if expected.dtype == np.int32:
        np.testing.assert_array_equal(received, expected)


def test_a_stream_makes_the_encoder_of_each_task():
    for config in (pos_tagging.Config(), pos_tagging.Config(letters=True), pos_tagging.Config(ngrams="frozen")):
        stream = pos_tagging.make_stream(dataclasses.replace(config, num_tasks=2, max_sentences=4))
        encoded = stream.word_encoder(1)(tf.constant([["ein", ""]]))
        assert encoded.shape == (1, 2, stream.input_width) and encoded.dtype == stream.input_dtype
        assert not encoded[0, 1].numpy().any()


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="needs the shared data")
@pytest.mark.parametrize("language", ["de", "hi"])
def test_every_word_of_a_real_test_split_has_the_inputs_of_training(language):
    config = pos_tagging.Config(languages=("en", language), letters=True, vector_norm=2.0, max_sentences=300)
    stream = pos_tagging.make_stream(config, REAL_DATA)
    seen = compared = different = 0
    encoder, split = stream.word_encoder(1), stream[1].test
    (folder,) = (REAL_DATA / "ud").glob(f"*/{language}_*-ud-test.conllu.gz")
    forms = read_sentences([folder], Limits(300_000, 300, 1000))
    for row, sentence in enumerate(forms):
        words = [composed_form(word.form) for word in sentence]
        batch = split._gather(tf.constant([row]), 1)
        expected, received = batch.inputs[0, : len(words)].numpy(), encoder(tf.constant([words])).numpy()[0]
        np.testing.assert_array_equal(received[:, -NUM_FEATURES:], expected[:, -NUM_FEATURES:])
        different += (~np.isclose(received, expected, rtol=1e-5, atol=1e-6).all(axis=1)).sum()
        compared, seen = compared + len(words), seen + expected[:, :-NUM_FEATURES].any(axis=1).sum()
    assert different == 0 and seen > 0.8 * compared
