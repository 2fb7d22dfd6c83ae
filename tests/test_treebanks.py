"""Treebanks as people have them: several of a language, in parts, withheld, from other systems."""

import gzip

import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines import pos_tagging
from data_pipelines.conllu_files import UNLIMITED, Limits, read_sentences
from data_pipelines.pos_tagging import Config, make_stream
from data_pipelines.treebanks import find_treebanks
from tests.data_files import noticed, sentence, treebank, write_files


def names(stream):
    return [task.name for task in stream]


def forms(path, limits=UNLIMITED):
    return [[w.form for w in words] for words in read_sentences(path, limits)]


def test_of_several_treebanks_that_with_the_most_training_words_is_taken(tmp_path):
    """Words count, and neither names nor bytes: comments make the smaller treebank the larger file."""
    write_files(tmp_path, treebank("fr_big", train=["mot"] * 9) | treebank("fr_all", train=["mot"] * 3))
    path = tmp_path / "UD_fr_all" / "fr_all-ud-train.conllu"
    path.write_text("# " + "x" * 5000 + "\n" + path.read_text())
    stream, messages = noticed(lambda: make_stream(Config(), tmp_path))
    assert names(stream) == ["fr"]
    assert "treebanks UD_fr_big (passed over: UD_fr_all);" in stream.data_source
    assert len(messages) == 1
    assert "the largest is taken, fr_big (9 training words)" in messages[0]
    assert "fr_all (3 training words)" in messages[0]


def test_a_gzipped_treebank_is_compared_by_its_words_too(tmp_path):
    texts = treebank("fr_big", train=["mot"] * 500) | treebank("fr_all", train=["mot"] * 100)
    big = "UD_fr_big/fr_big-ud-train.conllu"
    texts[f"{big}.gz"] = gzip.compress(texts.pop(big).encode())
    stream, _ = noticed(lambda: make_stream(Config(), write_files(tmp_path, texts)))
    assert "treebanks UD_fr_big " in stream.data_source


def test_a_treebank_is_named_by_the_prefix_of_its_files_or_its_folder(tmp_path):
    texts = treebank("cs_pdt", ["a"] * 5) | treebank("cs_cac", ["a"] * 3) | treebank("en_gum")
    write_files(tmp_path, texts)
    for name in ("cs_cac", "UD_cs_cac"):
        stream, messages = noticed(lambda name=name: make_stream(Config(languages=(name, "en")), tmp_path))
        assert names(stream) == ["cs", "en"]
        assert "treebanks UD_cs_cac, UD_en_gum;" in stream.data_source
        assert not messages
    stream = make_stream(Config(languages=("cs_cac", "cs_pdt")), tmp_path)
    assert names(stream) == ["cs_cac", "cs_pdt"]
    stream, _ = noticed(lambda: make_stream(Config(languages=("cs", "cs_cac")), tmp_path))
    assert names(stream) == ["cs", "cs_cac"]
    with pytest.raises(ConfigurationError, match="must name different treebanks. Received twice: cs_pdt"):
        noticed(lambda: make_stream(Config(languages=("cs", "cs_pdt")), tmp_path))
    with pytest.raises(ConfigurationError, match="no treebank of language 'cs_pud' .* Did you mean cs_pdt"):
        make_stream(Config(languages=("cs_pud",)), tmp_path)


def test_two_treebanks_of_a_language_share_its_vectors(tmp_path):
    texts = treebank("cs_pdt") | treebank("cs_cac") | {"wordvec/cs.vec": "ab 1 2\ncd 3 4\n"}
    stream = make_stream(Config(languages=("cs_cac", "cs_pdt")), write_files(tmp_path, texts))
    assert stream.data_facts["coverage"] == {
        "cs_cac": {"train": 1.0, "test": 0.5},
        "cs_pdt": {"train": 1.0, "test": 0.5},
    }


def test_treebanks_in_one_folder_are_not_mixed(tmp_path):
    texts = treebank("en_gum", ["gum"] * 2, folder="all") | treebank("en_ewt", ["ewt"] * 3, folder="all")
    root = write_files(tmp_path, texts) / "all"
    assert [[path.name for path in (*t.train, *t.test)] for t in find_treebanks(root)] == [
        ["en_ewt-ud-train.conllu", "en_ewt-ud-test.conllu"],
        ["en_gum-ud-train.conllu", "en_gum-ud-test.conllu"],
    ]


@pytest.mark.parametrize("where", ["", "ud", "ud-treebanks-v2.16"])
@pytest.mark.parametrize("prefix", ["yue_hk", "en", "qfn_fame", "no_nynorsklia"])
def test_names_of_releases_old_and_new_are_found(tmp_path, where, prefix):
    write_files(tmp_path / where, treebank(prefix))
    (found,) = find_treebanks(tmp_path)
    assert (found.language, found.prefix) == (prefix.split("_")[0], prefix)


def test_parts_of_a_split_are_joined_in_the_order_of_their_names(tmp_path):
    texts = treebank("de_hdt")
    del texts["UD_de_hdt/de_hdt-ud-train.conllu"]
    for part in ("b-1", "a-2", "a-1"):
        texts[f"UD_de_hdt/de_hdt-ud-train-{part}.conllu"] = sentence(part)
    texts["UD_de_hdt/de_hdt-ud-train-a-1.conllu.gz"] = gzip.compress(sentence("twice").encode())
    (found,) = find_treebanks(write_files(tmp_path, texts))
    assert forms(found.train) == [["a-1"], ["a-2"], ["b-1"]]
    assert forms(found.train, Limits(max_sentences=2)) == [["a-1"], ["a-2"]]


def test_a_whole_file_beside_its_parts_is_taken_alone(tmp_path):
    texts = treebank("cs_pdt", ["whole"]) | {"UD_cs_pdt/cs_pdt-ud-train-c.conllu": sentence("part")}
    (found,), messages = noticed(lambda: find_treebanks(write_files(tmp_path, texts)))
    assert forms(found.train) == [["whole"]]
    assert "Passed over: cs_pdt-ud-train-c.conllu" in messages[0]


def test_folders_and_hidden_copies_are_no_files_of_a_treebank(tmp_path):
    texts = treebank("en_gum") | {
        "UD_en_gum/._en_gum-ud-train.conllu": b"\0\1",
        "UD_en_gum/en_gum-ud-dev.conllu/x": "",
        "UD_en_gum/en_gum-ud-train.conllu.bak": "",
    }
    (found,) = find_treebanks(write_files(tmp_path, texts))
    assert [path.name for path in (*found.train, *found.test, *found.dev)] == [
        "en_gum-ud-train.conllu",
        "en_gum-ud-test.conllu",
    ]


# --- withheld text ---------------------------------------------------------------------------------------------------


def test_a_withheld_treebank_is_passed_over_for_a_smaller_one(tmp_path):
    """Even where punctuation was left in, and where the text is missing from the test file alone."""
    texts = treebank("fr_aaa", ["_", "_", "_", "."] * 20) | treebank("fr_bbb", ["mot"] * 9, ["_"] * 9)
    stream, messages = noticed(lambda: make_stream(Config(), write_files(tmp_path, texts | treebank("fr_ccc"))))
    assert "treebanks UD_fr_ccc (passed over: UD_fr_aaa, UD_fr_bbb);" in stream.data_source
    assert "75% of the words of fr_aaa-ud-train.conllu are written '_'" in messages[0]
    assert "100% of the words of fr_bbb-ud-test.conllu are written '_'" in messages[0]


def test_a_withheld_treebank_that_is_the_only_one_is_refused(tmp_path):
    write_files(tmp_path, treebank("fr_aaa", ["_"] * 9))
    for languages in ((), ("fr",), ("fr_aaa",)):
        with pytest.raises(ConfigurationError, match="withheld") as caught:
            noticed(lambda languages=languages: make_stream(Config(languages=languages), tmp_path))
        assert "\n" not in str(caught.value)


def test_a_language_without_text_is_left_out_unless_it_is_asked_for(tmp_path):
    write_files(tmp_path, treebank("fr_aaa", ["_"] * 9) | treebank("it_isdt"))
    stream, messages = noticed(lambda: make_stream(Config(), tmp_path))
    assert names(stream) == ["it"]
    assert messages[0].startswith("passed over: UD_fr_aaa: 100% of the words")
    with pytest.raises(ConfigurationError, match="UD_fr_aaa: 100% .* choose other data.languages"):
        make_stream(Config(languages=("it", "fr")), tmp_path)


def test_of_several_withheld_treebanks_none_can_be_used(tmp_path):
    write_files(tmp_path, treebank("fr_aaa", ["_"] * 9) | treebank("fr_bbb", ["_"] * 5))
    with pytest.raises(ConfigurationError, match="no treebank of 'fr' can be used: fr_aaa .100%.*, fr_bbb .100%"):
        make_stream(Config(), tmp_path)


def test_a_damaged_treebank_that_is_the_only_one_is_refused_as_damaged(tmp_path):
    texts = {f"{name}.gz": gzip.compress(text.encode()) + b"more" for name, text in treebank("fr_aaa").items()}
    with pytest.raises(ConfigurationError, match="fr_aaa-ud-train.conllu.gz cannot be read: Not a gzipped file"):
        make_stream(Config(), write_files(tmp_path, texts | treebank("it_isdt")))


def test_text_withheld_after_the_first_thousand_words_is_seen(tmp_path):
    texts = treebank("fr_aaa")
    texts["UD_fr_aaa/fr_aaa-ud-train.conllu"] = sentence("mot") * 1100 + sentence("_") * 2000
    with pytest.raises(ConfigurationError, match="65% of the words of .*fr_aaa-ud-train.conllu are written '_'"):
        make_stream(Config(), write_files(tmp_path, texts))


def test_a_part_that_is_withheld_is_warned_of_and_single_underscores_are_words(tmp_path):
    write_files(tmp_path, treebank("fr_aaa", ["_"] * 2 + ["mot"] * 8, ["_", *["mot"] * 30]))
    stream, messages = noticed(lambda: make_stream(Config(), tmp_path))
    assert len(stream) == 1
    (message,) = messages
    assert "20% of the words of " in message
    assert "train.conllu" in message


def test_a_damaged_treebank_is_passed_over_for_another(tmp_path):
    texts = treebank("fr_aaa") | treebank("fr_bbb")
    path = "UD_fr_aaa/fr_aaa-ud-train.conllu"
    texts[f"{path}.gz"] = gzip.compress(texts.pop(path).encode())[:-9]
    stream, messages = noticed(lambda: make_stream(Config(), write_files(tmp_path, texts)))
    assert "treebanks UD_fr_bbb (passed" in stream.data_source
    assert "fr_aaa-ud-train.conllu.gz cannot be read" in messages[0]


# --- coverage and fingerprint ----------------------------------------------------------------------------------------


def test_low_coverage_is_warned_of_and_none_is_an_error(tmp_path):
    texts = treebank("de_gsd", [*"abc"], [*"abcd"]) | {"wordvec/de.vec": "a 1 2\n"}
    stream, messages = noticed(lambda: make_stream(Config(), write_files(tmp_path, texts)))
    assert stream.data_facts["coverage"] == {"de": {"train": 0.3333, "test": 0.25}}
    assert messages == ["few words of 'de' have a vector: 33% (train), 25% (test)."]
    write_files(tmp_path, {"wordvec/de.vec": "z 1 2\n"})
    with pytest.raises(ConfigurationError, match="no word of the train split of 'de' has a vector"):
        make_stream(Config(), tmp_path)
    assert "coverage" not in make_stream(Config(vectors="none"), tmp_path).data_facts


def test_settings_of_vectors_that_cannot_work_are_refused(tmp_path):
    texts = treebank("de_gsd") | {"wordvec/de.vec": "ab 0 0\ncd 0 0\nef 1 1\n"}
    write_files(tmp_path, texts)
    with pytest.raises(ConfigurationError, match="de.vec: at least half of the vectors are zeros"):
        make_stream(Config(vector_norm=2.0), tmp_path)
    write_files(tmp_path, {"wordvec/de.vec": "ab 1e20 1\ncd 1e20 0\nef 1e20 1\n"})  # squares are above float32
    with pytest.raises(ConfigurationError, match="de.vec: vectors must be scalable to a median length of 2"):
        make_stream(Config(vector_norm=2.0), tmp_path)
    with pytest.raises(ConfigurationError, match="no such directory: data.vectors_dir"):
        make_stream(Config(vectors="none", vectors_dir=tmp_path / "gone"), tmp_path)


def test_the_fingerprint_changes_with_every_file_that_is_read(tmp_path):
    texts = treebank("de_gsd") | {"wordvec/de.vec": "ab 1 2\n"} | treebank("en_gum")
    write_files(tmp_path, texts)
    config = Config(languages=("de",))

    def fingerprint(config=config):
        return noticed(lambda: make_stream(config, tmp_path))[0].data_facts["fingerprint"]

    first = fingerprint()
    assert len(first) == 16
    assert fingerprint() == first
    write_files(tmp_path, {"UD_en_gum/en_gum-ud-train.conllu": sentence("other")})
    assert fingerprint() == first  # not read
    for name in ("UD_de_gsd/de_gsd-ud-train.conllu", "UD_de_gsd/de_gsd-ud-test.conllu"):
        write_files(tmp_path, {name: sentence("ab", "ab")})
        first, before = fingerprint(), first
        assert first != before
    write_files(tmp_path, {"wordvec/de.vec": "ab 1 3\n"})
    assert fingerprint() != first
    assert pos_tagging.make_stream(Config(num_tasks=1)).data_facts["fingerprint"]
