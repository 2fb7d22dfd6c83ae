"""CoNLL-U files, word vectors, character n-grams, and the stream made of them."""

import dataclasses
import gzip
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import pos_tagging
from data_pipelines.char_ngrams import NUM_NGRAMS, ngram_buckets, ngram_vectors
from data_pipelines.conllu_files import UPOS, read_sentences
from data_pipelines.treebanks import find_treebanks
from data_pipelines.word_vectors import UNKNOWN, WordVectors, read_vectors

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CLRNN_DATA_DIR") or ROOT.parent / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "ud").is_dir(), reason="no real data: set CLRNN_DATA_DIR")

HAUS = """# text = Im Haus
1-2\tIm\t_\t_\t_\t_\t_\t_\t_\t_
1\tIn\t_\tADP\t_\t_\t_\t_\t_\t_
2\tdem\t_\tDET\t_\t_\t_\t_\t_\t_
3\tHaus\t_\tNOUN\t_\t_\t_\t_\t_\t_
3.1\tgibt\t_\tVERB\t_\t_\t_\t_\t_\t_

1\tNein\t_\tINTJ\t_\t_\t_\t_\t_\t_
2\t!\t_\tPUNCT\t_\t_\t_\t_\t_\t_
"""


def word(number, form, upos="NOUN"):
    return f"{number}\t{form}\t_\t{upos}\t_\t_\t_\t_\t_\t_\n"


def write_treebank(root, language="de", train=HAUS, test=HAUS, dev=None):
    folder = root / "ud" / f"UD_{language}-Tiny"
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in (("train", train), ("test", test), ("dev", dev)):
        if text is not None:
            (folder / f"{language}_tiny-ud-{split}.conllu").write_text(text, encoding="utf-8")
    return root


def write_npz(path, words, vectors):
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = np.full(vectors.shape[1], 0.5, np.float32)
    joined = np.frombuffer("\n".join(words).encode(), np.uint8)
    np.savez(path, words=joined, q=(vectors / 0.5).astype(np.int8), scale=scale, count=np.ones(len(words)))


# --- CoNLL-U ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_words_are_read_without_ranges_and_empty_nodes(tmp_path, suffix):
    path = tmp_path / f"de_tiny-ud-train.conllu{suffix}"
    path.write_bytes(gzip.compress(HAUS.encode()) if suffix else HAUS.encode())
    sentences = read_sentences(path)
    assert [[(w.form, UPOS[w.upos]) for w in sentence] for sentence in sentences] == [
        [("In", "ADP"), ("dem", "DET"), ("Haus", "NOUN")],
        [("Nein", "INTJ"), ("!", "PUNCT")],
    ]


def test_forms_may_hold_spaces(tmp_path):
    path = tmp_path / "file.conllu"
    path.write_text(word(1, "10  000", "NUM"))
    assert read_sentences(path)[0][0].form == "10  000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HAUS + "\n1\tso\tADV\n", "line 11: a CoNLL-U line must have 10 columns separated by tabs. Received: 3"),
        (word(1, "so", "ADVERB"), "line 1: unknown universal tag 'ADVERB'. Wanted: ADJ ADP"),
        (word("one", "so"), "line 1: the first column must be a word's number, a range 3-4 .* Received: 'one'"),
        ("", "holds no sentence"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, message):
    path = tmp_path / "file.conllu"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_sentences(path)


def test_text_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "file.conllu"
    path.write_bytes(word(1, "so").encode() + word(2, "é").encode("latin1"))
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_sentences(path)


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "file.conllu.gz"
    path.write_bytes(gzip.compress(HAUS.encode())[:-9])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_sentences(path)


@pytest.mark.parametrize("below", ["ud", ".", "UD_de-Tiny"])
def test_treebanks_are_found_at_three_depths(tmp_path, below):
    write_treebank(tmp_path)
    root = {"ud": tmp_path, ".": tmp_path / "ud", "UD_de-Tiny": tmp_path / "ud" / "UD_de-Tiny"}[below]
    assert [treebank.language for treebank in find_treebanks(root)] == ["de"]


# --- word vectors --------------------------------------------------------------------------------------------------

VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2) / 2
WORDS = ["the", "Haus", "haus", "##", "USA", "Berlin"]


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("Haus", 2),
        ("haus", 3),
        ("HAUS", 2),
        ("THE", 1),
        ("42", 4),
        ("usa", 5),
        ("berlin", 6),
        ("BERLIN", 6),
        ("house", UNKNOWN),
        ("4", UNKNOWN),
    ],
)
def test_the_published_look_up_rule(form, row):
    vectors = WordVectors(WORDS, VECTORS)
    assert vectors.row(form) == row


def test_the_unknown_word_is_a_row_of_zeros_of_its_own():
    vectors = WordVectors(WORDS, VECTORS + 1)
    np.testing.assert_array_equal(vectors.table[UNKNOWN], [0, 0])
    np.testing.assert_array_equal(vectors.table[vectors.row("the")], VECTORS[0] + 1)


def write_vectors(path):
    if path.name.endswith(".npz"):
        write_npz(path, WORDS, VECTORS)
    elif path.name.endswith(".pkl"):
        path.write_bytes(pickle.dumps((tuple(WORDS), VECTORS), protocol=2))
    else:
        lines = ["6 2", *(f"{w} {a} {b}" for w, (a, b) in zip(WORDS, VECTORS, strict=True))]
        content = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["de.npz", "de.vec", "de.vec.gz", "de.pkl"])
def test_every_format_gives_the_same_table(tmp_path, name):
    write_vectors(tmp_path / name)
    vectors = read_vectors(tmp_path / name)
    np.testing.assert_array_equal(vectors.table[1:], VECTORS)
    assert vectors.row("Berlin") == 6


def test_plain_npz_and_text_without_a_head_line(tmp_path):
    np.savez(tmp_path / "a.npz", words=np.array(WORDS), vectors=VECTORS)
    np.testing.assert_array_equal(read_vectors(tmp_path / "a.npz").table[1:], VECTORS)
    (tmp_path / "a.vec").write_text("the 1 2 3\nHaus 4 5 6\n")
    assert read_vectors(tmp_path / "a.vec").width == 3


class _Harmful:
    def __reduce__(self):
        return (os.system, ("touch harmed",))


def test_a_pickle_that_calls_something_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "de.pkl").write_bytes(pickle.dumps((("a",), _Harmful())))
    with pytest.raises(ConfigurationError, match="wants to call .*system, which is no part of an array"):
        read_vectors(tmp_path / "de.pkl")
    assert not (tmp_path / "harmed").exists()


def test_lines_of_another_width_and_other_files_are_named(tmp_path):
    (tmp_path / "de.vec").write_text("the 1 2 3\nHaus 4 5\n")
    with pytest.raises(ConfigurationError, match="de.vec, line 2: a word and 3 numbers are wanted. Received: 2"):
        read_vectors(tmp_path / "de.vec")
    (tmp_path / "de.npz").write_bytes(b"no archive")
    with pytest.raises(ConfigurationError, match="de.npz cannot be read as word vectors"):
        read_vectors(tmp_path / "de.npz")


# --- character n-grams ---------------------------------------------------------------------------------------------


def test_ngrams_are_prefixes_suffixes_and_the_word():
    buckets = ngram_buckets(tf.constant([["gehen", "stehen"], ["gehen", ""]]), 100_000).numpy()
    assert buckets.shape == (2, 2, NUM_NGRAMS)
    gehen, stehen = buckets[0]
    assert list(gehen == stehen) == [False, False, True, False, True, False, True, False, True]
    np.testing.assert_array_equal(buckets[1, 0], gehen)
    np.testing.assert_array_equal(buckets[1, 1], 0)
    assert buckets[0].min() >= 1
    assert len(set(gehen)) == NUM_NGRAMS


def test_digits_are_alike_and_characters_are_not_bytes():
    buckets = ngram_buckets(tf.constant(["1999", "2024", "änder", "äußer"]), 100_000).numpy()
    np.testing.assert_array_equal(buckets[0], buckets[1])
    assert buckets[2][1] == buckets[3][1]  # prefix ä: two bytes, one character
    assert buckets[2][3] != buckets[3][3]  # än, äu
    assert buckets[2][4] == buckets[3][4]  # suffix er
    assert ngram_buckets(tf.constant(["änder"]), 7).numpy().max() < 7


def test_fixed_vectors_are_scaled_sums_of_those_of_the_ngrams():
    forms = tf.constant([["gehen", "stehen"], ["gehen", ""]])
    vectors = ngram_vectors(forms, 100_000, 64).numpy()
    gehen, stehen = vectors[0]
    np.testing.assert_array_equal(vectors[1, 0], gehen)
    np.testing.assert_array_equal(vectors[1, 1], 0.0)
    assert abs(gehen @ stehen / 64 - 4 / 9) < 0.3  # four of nine n-grams in common; the others are independent
    words = [chr(97 + i) + chr(97 + j) + "en" for i in range(20) for j in range(20)]
    assert abs(ngram_vectors(tf.constant(words), 4096, 16).numpy().var() - 1.0) < 0.2


# --- the stream ----------------------------------------------------------------------------------------------------


def batch_of(source, size=2):
    return next(iter(source.in_order(size, 0)))


def test_a_stream_of_vectors_equals_a_computation_by_hand(tmp_path):
    write_treebank(tmp_path, dev=HAUS)
    write_npz(tmp_path / "wordvec" / "de.npz", ["in", "haus", "!"], VECTORS[:3] + 1)
    stream = pos_tagging.make_stream(pos_tagging.Config(), tmp_path)
    assert (stream.num_features, stream.num_outputs, stream.ngrams) == (2, 17, None)
    assert stream[0].validation is not None
    batch = batch_of(stream[0].train)  # sorted by length: "Nein !", "In dem Haus"
    np.testing.assert_array_equal(batch.lengths, [2, 3])
    zero, first, second, third = [0, 0], VECTORS[0] + 1, VECTORS[1] + 1, VECTORS[2] + 1
    np.testing.assert_array_equal(batch.inputs, [[zero, third, zero], [first, zero, second]])
    np.testing.assert_array_equal(batch.targets[1], [UPOS.index(tag) for tag in ("ADP", "DET", "NOUN")])
    np.testing.assert_array_equal(batch.loss_weights, [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(batch.eval_weights, [[0, 1, 0], [1, 0, 1]])


def test_sentences_with_unknown_words_can_be_dropped(tmp_path):
    write_treebank(tmp_path)
    write_npz(tmp_path / "wordvec" / "de.npz", ["nein", "!"], VECTORS[:2])
    config = pos_tagging.Config(unknown_words="drop_sentence")
    assert pos_tagging.make_stream(config, tmp_path)[0].train.num_examples == 1
    write_npz(tmp_path / "wordvec" / "de.npz", ["no", "where"], VECTORS[:2])
    with pytest.raises(ConfigurationError, match="every sentence of .* has a word without a vector"):
        pos_tagging.make_stream(config, tmp_path)


def test_limits_of_words_and_sentences(tmp_path):
    write_treebank(tmp_path)
    for config, kept in (({"max_tokens": 3}, 1), ({"max_tokens": 4}, 2), ({"max_sentences": 1}, 1)):
        stream = pos_tagging.make_stream(pos_tagging.Config(**config), tmp_path)
        assert stream[0].train.num_examples == kept


def test_without_vectors_words_come_in_as_ngrams(tmp_path):
    write_treebank(tmp_path)
    stream = pos_tagging.make_stream(pos_tagging.Config(num_buckets=50, ngram_dim=5), tmp_path)
    assert stream.num_features == 5
    assert stream.ngrams.num_buckets == 50
    batch = batch_of(stream[0].test)
    assert batch.inputs.shape == (2, 3, NUM_NGRAMS)
    np.testing.assert_array_equal(batch.inputs[0, 2], 0)
    np.testing.assert_array_equal(batch.inputs[1, 2], ngram_buckets(tf.constant("Haus"), 50))
    np.testing.assert_array_equal(batch.eval_weights, batch.loss_weights)


def test_frozen_ngrams_give_every_word_its_fixed_vector(tmp_path):
    write_treebank(tmp_path)
    stream = pos_tagging.make_stream(pos_tagging.Config(ngrams="frozen", num_buckets=50, ngram_dim=5), tmp_path)
    assert (stream.num_features, stream.ngrams) == (5, None)
    assert "fixed random vectors" in stream.data_source
    batch = batch_of(stream[0].test)
    assert batch.inputs.shape == (2, 8, 5)  # padded to a length that languages share
    np.testing.assert_array_equal(batch.inputs[1, 2], ngram_vectors(tf.constant("Haus"), 50, 5))
    np.testing.assert_array_equal(batch.inputs[0, 2:], 0.0)
    np.testing.assert_array_equal(batch.loss_weights.numpy().sum(axis=1), batch.lengths)


def test_languages_are_taken_in_the_order_asked_for(tmp_path):
    for language in ("de", "en", "zz", "ar"):
        write_treebank(tmp_path, language)

    def names(**options):
        return [task.name for task in pos_tagging.make_stream(pos_tagging.Config(**options), tmp_path)]

    assert names() == ["en", "ar", "de", "zz"]
    assert names(languages=("zz", "en")) == ["zz", "en"]
    assert names(num_tasks=2) == ["en", "ar"]
    with pytest.raises(ConfigurationError, match="no treebank of language 'dee' .* Did you mean de"):
        names(languages=("dee",))


def test_vectors_must_be_there_for_all_and_of_one_width(tmp_path):
    for language in ("de", "en"):
        write_treebank(tmp_path, language)
    write_npz(tmp_path / "wordvec" / "de.npz", WORDS, VECTORS)
    with pytest.raises(ConfigurationError, match="no word vectors of en in"):
        pos_tagging.make_stream(pos_tagging.Config(), tmp_path)
    write_npz(tmp_path / "wordvec" / "en.npz", WORDS[:4], VECTORS.reshape(4, 3))
    with pytest.raises(ConfigurationError, match="must have one width. Received: .*en.npz with 3.*de.npz with 2"):
        pos_tagging.make_stream(pos_tagging.Config(), tmp_path)
    assert pos_tagging.make_stream(pos_tagging.Config(vectors="none"), tmp_path).ngrams is not None


def rotation(size):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]


def test_alignment_undoes_a_rotation_and_takes_other_words_along():
    vectors = np.random.default_rng(1).normal(size=(12, 4))
    english = WordVectors([f"w{number}" for number in range(8)], vectors[:8])
    german = WordVectors([f"w{number}" for number in range(11, -1, -1)], vectors[::-1] @ rotation(4))
    assert german.align_to(english) == 8
    np.testing.assert_allclose(german.table[1:], vectors[::-1], atol=1e-6)
    assert not german.table[UNKNOWN].any()


def test_vectors_of_a_stream_are_aligned_to_the_first_language_and_scaled(tmp_path):
    vectors = np.array([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    turned = np.stack([vectors[:, 1], -vectors[:, 0]], axis=1)
    for language, table in (("de", vectors), ("en", turned)):
        write_treebank(tmp_path, language)
        write_npz(tmp_path / "wordvec" / f"{language}.npz", ["in", "dem", "haus"], table)
    config = pos_tagging.Config(align_vectors=True, vector_norm=1.0, languages=("de", "en"))
    stream = pos_tagging.make_stream(config, tmp_path)
    assert stream.data_source.endswith("word vectors wordvec, aligned to de")
    for task in stream:
        np.testing.assert_allclose(batch_of(task.test).inputs[1], vectors / 2.0, atol=1e-6)  # 2 is the median length


def test_alignment_needs_vectors_and_enough_words_in_common(tmp_path):
    for language, words in (("de", WORDS[:4]), ("en", ["in", *"xyz"])):
        write_treebank(tmp_path, language)
        write_npz(tmp_path / "wordvec" / f"{language}.npz", words, np.arange(12.0).reshape(4, 3))
    config = pos_tagging.Config(align_vectors=True, languages=("de", "en"))
    with pytest.raises(ConfigurationError, match="at least 3 words, .* that en has in common with de. Received: [01]."):
        pos_tagging.make_stream(config, tmp_path)
    with pytest.raises(ConfigurationError, match="needs word vectors. Received: none"):
        pos_tagging.make_stream(dataclasses.replace(config, vectors="none"), tmp_path)


def test_a_folder_without_treebanks_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no treebank in .* Wanted: folders UD_"):
        pos_tagging.make_stream(pos_tagging.Config(), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 0}, "data.num_tasks must be above 0, or None. Received: 0"),
        ({"num_buckets": 1}, "data.num_buckets must be above 1"),
        ({"languages": ("de", "de")}, "data.languages must differ. Received twice: de"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigurationError, match=message):
        pos_tagging.Config(**options)


# --- the starter treebank and real data ---------------------------------------------------------------------------


def test_the_starter_treebank_is_large_varied_and_split_cleanly():
    treebanks = {treebank.language: treebank for treebank in find_treebanks(pos_tagging.STARTER)}
    assert len(treebanks) >= 8
    assert set(treebanks) <= set(pos_tagging.PAPER_ORDER)
    for language, treebank in treebanks.items():
        train, test = read_sentences(treebank.train), read_sentences(treebank.test)
        assert len(train) >= 60, language
        assert len(test) >= 20, language
        texts = [" ".join(w.form for w in sentence) for sentence in (*train, *test, *read_sentences(treebank.dev))]
        assert len(set(texts)) == len(texts), language
        assert len({w.upos for sentence in train for w in sentence}) >= 13, language


@needs_data
def test_real_data_has_the_sizes_of_its_manifest():
    manifest = {entry["lang"]: entry for entry in json.loads((DATA / "ud" / "manifest.json").read_text())}
    config = pos_tagging.Config(languages=("lt", "he"), max_tokens=10**9)
    stream = pos_tagging.make_stream(config, DATA)
    assert stream.num_features == 64
    for task in stream:
        entry = manifest[task.name]
        assert task.train.num_examples == entry["train_sentences"] + entry["extra_sentences"]
        assert task.test.num_examples == entry["test_sentences"]
        totals = np.zeros(2)
        for batch in task.test.in_order(256, task.task_id):
            totals += [batch.loss_weights.numpy().sum(), batch.eval_weights.numpy().sum()]
        assert totals[0] == entry["test_tokens"]
        assert totals[1] / totals[0] > 0.9
