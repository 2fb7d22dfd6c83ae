import numpy as np
import tensorflow as tf

from data_pipelines import letters
from data_pipelines.letters import NUM_FEATURES, letter_buckets


def buckets(*forms, num_buckets=2**20):
    return letter_buckets(tf.constant(list(forms)), num_buckets).numpy()


def test_every_feature_has_its_place_and_padding_has_none():
    rows = buckets("Hausboote", "a", "")
    assert rows.shape == (3, NUM_FEATURES) and rows.dtype == np.int32
    assert (rows[0] > 0).sum() == 3 + 10 + 9  # nine letters have nine trigrams
    assert (rows[1] > 0).sum() == 3 + 2 + 1
    assert (rows[2] == 0).all()


def test_words_share_what_they_have_in_common():
    one, other = buckets("walking", "Talking")
    same = one == other
    assert not same[0] and not same[1]  # the word, the shape
    assert not same[3] and same[4] and same[6] and same[8] and same[10] and same[12]  # prefixes differ, suffixes agree
    assert same[13 + 3 : 13 + 7].all()  # trigrams "kin", "ing", "ng$" and "lki" stand at the same places


def test_case_and_digits_are_told_by_the_shape_only():
    one, other = buckets("EU-27", "eu-99")
    assert one[0] == other[0] and one[1] != other[1]
    assert (one[3:] == other[3:]).all()


def test_prefixes_and_suffixes_and_trigrams_of_the_same_letters_differ():
    (row,) = buckets("aaa")
    assert len(set(row[row > 0])) == (row > 0).sum()


def test_the_shape_is_short_and_speaks_of_any_script():
    shapes = letters._shape(tf.constant(["McDonald's", "NATO", "3.14", "слово", "Слово", "ab" * 50, "1a" * 50]))
    assert [shape.decode() for shape in shapes.numpy()] == ["XxXx'x", "X", "d.d", "x", "Xx", "x", "dxdxdxdx"]


def test_it_runs_in_a_graph_with_any_shape_and_small_tables():
    of_any_shape = [tf.TensorSpec([None, None], tf.string)]
    graph = tf.function(lambda forms: letter_buckets(forms, 7), input_signature=of_any_shape)
    rows = graph(tf.constant([["ein", ""], ["Haus", "!"]])).numpy()
    assert rows.shape == (2, 2, NUM_FEATURES)
    assert rows.max() < 7 and (rows[0, 1] == 0).all()
    assert graph(tf.zeros([0, 3], tf.string)).shape == (0, 3, NUM_FEATURES)
