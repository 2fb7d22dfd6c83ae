"""Words as vectors and letters, on the embedded treebank."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from data_pipelines import pos_tagging
from data_pipelines.letters import NUM_FEATURES, letter_buckets

DIM, BUCKETS = 3, 500


@pytest.fixture
def vectors_dir(tmp_path):
    """Vectors of three English words."""
    lines = ["the 1 2 3", "a 4 5 6", ". 7 8 9"]
    (tmp_path / "en.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def stream(**settings):
    config = pos_tagging.Config(languages=("en",), max_sentences=20, num_buckets=BUCKETS, letters=True, **settings)
    return pos_tagging.make_stream(config)


@pytest.mark.filterwarnings("ignore:few words")
def test_a_word_is_its_vector_and_its_buckets_and_all_words_are_scored(vectors_dir):
    made = stream(vectors_dir=vectors_dir, ngram_dim=8)
    assert (made.num_features, made.input_width) == (DIM + 8, DIM + NUM_FEATURES)
    batch = next(iter(made[0].test.in_order(20, 0)))
    assert batch.inputs.dtype == tf.float32 and batch.inputs.shape[-1] == made.input_width
    real = tf.sequence_mask(batch.lengths, tf.shape(batch.inputs)[1], tf.float32).numpy()
    np.testing.assert_array_equal(batch.eval_weights, real)
    rows = batch.inputs.numpy()[real == 1]
    (the,) = letter_buckets(tf.constant(["the"]), BUCKETS).numpy()
    is_the = (rows[:, DIM:] == the).all(axis=1)
    assert is_the.any() and (rows[is_the, :DIM] == [1, 2, 3]).all()
    unknown = ~rows[:, :DIM].any(axis=1)
    assert unknown.any() and rows[unknown][:, DIM:].any(axis=1).all()  # these have letters
    features, buckets = made.ngrams.split(batch.inputs)
    assert features.shape[-1] == DIM and buckets.dtype == tf.int32 and int(tf.reduce_max(buckets)) < BUCKETS


def test_without_vectors_letters_alone():
    made = stream(ngram_dim=8)
    assert (made.num_features, made.input_width, made.input_dtype) == (8, NUM_FEATURES, tf.int32)
    assert "letters" in made.data_source and "n-grams" not in made.data_source


@pytest.mark.parametrize("settings", [{"ngrams": "frozen"}, {"unknown_words": "drop_sentence"}])
def test_letters_are_trained_and_score_all_words(settings):
    with pytest.raises(ConfigurationError, match=r"data\.letters scores all words"):
        stream(**settings)


@pytest.mark.filterwarnings("ignore:few words")
def test_letters_stand_beside_the_long_vectors_of_the_data_where_there_are_some(tmp_path):
    treebank = tmp_path / "UD_English-Own"
    treebank.mkdir()
    for split in ("train", "dev", "test"):
        lines = [f"{n}\t{word}\t_\tDET\t_\t_\t0\troot\t_\t_" for n, word in enumerate(("the", "a"), start=1)]
        (treebank / f"en_own-ud-{split}.conllu").write_text("\n".join([*lines, "", ""]), encoding="utf-8")
    for name, vector in (("wordvec", "1 2"), ("wordvec128", "1 2 3 4")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "en.vec").write_text(f"the {vector}\na {vector}\n", encoding="utf-8")

    def made(letters):
        return pos_tagging.make_stream(pos_tagging.Config(letters=letters, ngram_dim=8), tmp_path)

    assert made(letters=False).num_features == 2
    assert made(letters=True).num_features == 4 + 8
    assert "word vectors wordvec128" in made(letters=True).data_source
    (tmp_path / "wordvec128" / "en.vec").unlink()
    (tmp_path / "wordvec128").rmdir()
    assert made(letters=True).num_features == 2 + 8
