"""Treebanks of TensorFlow Datasets: prepared here from small files, or mocked; nothing is fetched."""

import contextlib
import sys

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from data_pipelines import pos_tagging
from data_pipelines.conllu_files import UPOS, Limits, read_sentences
from data_pipelines.pos_tagging import Config, make_stream
from data_pipelines.storage import DATA_DIR_VARIABLE
from data_pipelines.tfds_datasets import Download, fetch, package
from data_pipelines.tfds_treebanks import tfds_treebanks
from tests.data_files import noticed, write_files
from trainers.pos_tagging import BENCHMARK
from trainers.run import main
from trainers.settings import parse

tfds = pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is the extra 'datasets'")
pytest.importorskip("importlib_resources", reason="TensorFlow Datasets needs importlib_resources")
tf = pytest.importorskip("tensorflow")

TEXT = """# sent_id = a
# text = Zum Haus.
1-2\tZum\t_\t_\t_\t_\t_\t_\t_\t_
1\tzu\tzu\tADP\t_\t_\t3\tcase\t_\t_
2\tdem\tder\tDET\t_\t_\t3\tdet\t_\t_
3\tHaus\tHaus\tNOUN\t_\t_\t0\troot\t_\tSpaceAfter=No
3.1\tgibt\tgeben\tVERB\t_\t_\t_\t_\t0:root\t_
4\t_\t_\tPUNCT\t_\t_\t3\tpunct\t_\t_

# sent_id = b
1\tJa\tja\tINTJ\t_\t_\t0\troot\t_\t_
2\t.\t.\t_\t_\t_\t1\tpunct\t_\t_
3\t!\t!\tPUNCT\t_\t_\t1\tpunct\t_\t_

"""
NO_HEADS = "# sent_id = c\n1\tNein\t_\tINTJ\t_\t_\t_\t_\t_\t_\n2\t!\t_\tPUNCT\t_\t_\t_\t_\t_\t_\n\n"


@pytest.fixture(autouse=True)
def no_data_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.delenv(DATA_DIR_VARIABLE, raising=False)


def prepare(root, prefix, monkeypatch, **texts):
    """Prepare a treebank with the real builder, from files in place of what it would fetch."""
    for split, text in texts.items():
        write_files(root, {f"UD_Tiny/{prefix}-ud-{split}.conllu": text})
    paths = {split: [str(root / f"UD_Tiny/{prefix}-ud-{split}.conllu")] for split in texts}
    with monkeypatch.context() as patch:
        patch.setattr(tfds.download.DownloadManager, "download_and_extract", lambda self, urls: paths)
        tfds.builder(f"universal_dependencies/{prefix}", data_dir=str(root / "tfds")).download_and_prepare()
    return root / "UD_Tiny"


@contextlib.contextmanager
def mocked(sentences=3, tokens=(b"ab", b"cd", b"ef"), upos=(0, 7, 12), head=(b"2", b"0", b"2")):
    """TFDS with the same sentence in every split; the fields that `mock_data` makes itself differ in length."""

    def as_dataset(self, *, split, **reading):
        example = {"tokens": list(tokens), "upos": np.array(upos, np.int64), "head": list(head)}
        return tf.data.Dataset.from_tensors(example).repeat(sentences)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        yield


def found(prefix):
    return next(treebank for treebank in tfds_treebanks() if treebank.prefix == prefix)


def test_a_prepared_treebank_is_read_as_its_files_are(tmp_path, monkeypatch):
    folder = prepare(tmp_path, "nl_alpino", monkeypatch, train=TEXT + NO_HEADS, test=TEXT, dev=NO_HEADS)
    treebank = found("nl_alpino")
    assert treebank.splits == ("train", "test", "dev")
    for split in treebank.splits:
        mine = treebank.sentences(split, Limits())
        files = read_sentences(folder / f"nl_alpino-ud-{split}.conllu")
        assert sorted(mine) == sorted(files)  # TFDS has an order of its own
    assert treebank.sentences("train", Limits()) == treebank.sentences("train", Limits())
    assert len(treebank.sentences("train", Limits(max_sentences=2))) == 2
    assert [path.name for path in treebank.files("dev")] == ["universal_dependencies-dev.tfrecord-00000-of-00001"]

    write_files(tmp_path, {"wordvec/nl.vec": "zu 1 2\nNein 3 4\n"})
    config = Config(source="tfds", languages=("nl",), vectors_dir=tmp_path / "wordvec")
    stream, messages = noticed(lambda: make_stream(config))
    assert [task.name for task in stream] == ["nl"]
    assert stream.data_source == (
        "Universal Dependencies treebanks UD_Dutch-Alpino (passed over: UD_Dutch-LassySmall) of TensorFlow "
        "Datasets, universal_dependencies 1.0.1; word vectors wordvec"
    )
    of_files, _ = noticed(lambda: make_stream(Config(languages=("nl",)), tmp_path))
    assert stream.data_facts["coverage"] == of_files.data_facts["coverage"]
    assert len(stream.data_facts["fingerprint"]) == 16
    assert "the largest is taken, nl_alpino (14,864,664 bytes of training files)" in messages[0]
    write_files(tmp_path, {"wordvec/nl.vec": "zu 1 2\nNein 3 5\n"})
    assert noticed(lambda: make_stream(config))[0].data_facts["fingerprint"] != stream.data_facts["fingerprint"]


def test_a_damaged_file_is_said_in_a_line(tmp_path, monkeypatch):
    prepare(tmp_path, "nl_alpino", monkeypatch, train=TEXT, test=TEXT)
    treebank = found("nl_alpino")
    (file,) = treebank.files("test")
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ConfigurationError, match=r"nl_alpino \(test\) is damaged: .*prepare it again") as caught:
        treebank.sentences("test", Limits())
    assert "\n" not in str(caught.value)
    (file.parent / "features.json").unlink()
    (file.parent / "dataset_info.json").write_text("{")
    with pytest.raises(ConfigurationError, match="nl_alpino.* cannot be read: "):
        treebank.sentences("train", Limits())


def test_languages_and_treebanks_are_named_as_those_of_files_are():
    with mocked():
        stream, messages = noticed(lambda: make_stream(Config(source="tfds", languages=("cs_cac", "cs", "da"))))
        assert [task.name for task in stream] == ["cs_cac", "cs", "da"]
        assert (
            "UD_Czech-CAC, UD_Czech-PDT, UD_Danish-DDT (passed over: UD_Czech-CAC, UD_Czech-CLTT" in stream.data_source
        )
        assert len(messages) == 1
        by_folder = make_stream(Config(source="tfds", languages=("UD_Finnish-FTB",), letters=True))
        assert by_folder[0].name == "fi"
        assert [task.name for task in noticed(lambda: make_stream(Config(source="tfds", num_tasks=2)))[0]] == [
            "en",
            "ar",
        ]
    batch = next(iter(stream[2].train.in_order(2, 2)))
    assert [UPOS[tag] for tag in batch.targets.numpy()[0, :3]] == ["ADJ", "NOUN", "PUNCT"]
    assert batch.eval_weights.numpy()[0].tolist() == [1, 1, 1]
    assert stream[2].validation.num_examples == 3


def test_names_that_tfds_does_not_have_are_refused():
    with mocked():
        for name, message in (
            (
                "cs_pd",
                "no treebank of language 'cs_pd' .* in universal_dependencies of TensorFlow .* Did you mean cs_p",
            ),
            ("fr_ftb", "UD_French-FTB: its text is withheld. Get its text, or choose other data.languages"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                make_stream(Config(source="tfds", languages=(name,)))
        stream, messages = noticed(lambda: make_stream(Config(source="tfds", languages=("fr",))))
    assert "UD_French-GSD (passed over: UD_French-FTB," in stream.data_source
    assert "fr_ftb (its text is withheld)" in messages[0]


def test_fields_that_do_not_fit_one_another_and_empty_splits_are_refused():
    config = Config(source="tfds", languages=("da",))
    with (
        mocked(upos=(0, 7)),
        pytest.raises(ConfigurationError, match=r"da_ddt \(train\), sentence 1 must have as many"),
    ):
        make_stream(config)
    for nothing in ({"sentences": 0}, {"upos": (17, 17, 17)}):
        with mocked(**nothing), pytest.raises(ConfigurationError, match=r"da_ddt \(train\) holds no sentence"):
            make_stream(config)
    with mocked(tokens=(b"_", b"_", b".")), pytest.raises(ConfigurationError, match="67% of the words of .*da_ddt"):
        make_stream(config)


def test_the_tags_of_tfds_are_ours():
    names = tfds.builder("universal_dependencies/da_ddt").info.features["upos"].feature.names
    assert names == [*UPOS, "_"]


# --- what is not there -----------------------------------------------------------------------------------------------


def refused(capsys, *words):
    """The one line on standard error of a command that is refused."""
    code = main(BENCHMARK, [*map(str, words)])
    output = capsys.readouterr()
    assert code == 2
    (line,) = [line for line in output.err.splitlines() if not line.startswith("warning: ")]
    return line, output.out


def test_a_treebank_that_is_not_prepared_is_named_with_what_would_fetch_it(tmp_path, capsys):
    line, _ = refused(capsys, "--source", "tfds", "--data.languages", "de_gsd", "--out", tmp_path / "run")
    assert line == (
        f"error: universal_dependencies/de_gsd is not in {tmp_path / 'tfds'}. Fetch it with --download (3 files, 21.7 "
        "MB), or set TFDS_DATA_DIR to the directory where TensorFlow Datasets has prepared it."
    )
    assert not list(tmp_path.iterdir())


def test_without_a_network_a_download_is_refused_in_a_line_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    import requests

    def no_network(*arguments, **options):
        raise requests.exceptions.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "head", no_network)
    words = ["--source", "tfds", "--data.languages", "de_gsd", "--out", tmp_path / "run", "--download"]
    line, out = refused(capsys, *words)
    assert line.startswith("error: universal_dependencies/de_gsd cannot be fetched: ")
    assert "does not answer. Is there a network? Nothing was written." in line
    assert "fetching universal_dependencies/de_gsd 1.0.1: 3 files, 21.7 MB, from " in out
    assert "licence: that of UD_German-GSD, in the file LICENSE.txt of its repository" in out
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_leaves_no_unfinished_file(tmp_path, monkeypatch):
    import requests

    def breaks_off(self, **options):
        write_files(tmp_path / "tfds" / "downloads", {"whole.conllu": "x", "ud/half.conllu.tmp.0123/half": "x"})
        raise requests.exceptions.ChunkedEncodingError("Connection broken\nand so on")

    monkeypatch.setattr(requests, "head", lambda *arguments, **options: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", breaks_off)
    with pytest.raises(
        ConfigurationError, match="de_gsd could not be fetched: Connection broken. Files that came whole"
    ):
        fetch([found("de_gsd").download])
    files = [path for path in (tmp_path / "tfds").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["whole.conllu"]


def test_what_is_prepared_is_not_fetched_again(tmp_path, monkeypatch, capsys):
    prepare(tmp_path, "nl_alpino", monkeypatch, train=NO_HEADS, test=NO_HEADS)
    capsys.readouterr()
    fetch([found("nl_alpino").download])
    assert capsys.readouterr().out == f"universal_dependencies/nl_alpino 1.0.1 is in {tmp_path / 'tfds'}\n"


def test_a_download_of_unknown_size_says_so():
    assert str(Download("a", {"x://host/1": None}, "")) == "1 file of unknown size"
    assert str(Download("a", {"x://host/1": 500_000, "x://host/2": 1_500_000}, "")) == "2 files, 2.0 MB"


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    for name in ("tensorflow_datasets", "importlib_resources"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ConfigurationError, match=r"pip install 'clrnn_tf\[datasets\]'"):
                make_stream(Config(source="tfds"))
    assert package() is tfds


def test_nothing_is_downloaded_where_there_is_nothing_to(capsys, tmp_path):
    from trainers import copy_task

    line, _ = refused(capsys, "--download", "--out", tmp_path / "run")
    assert line == "error: --download fetches what --source tfds reads. Received: data.source files."
    assert main(copy_task.BENCHMARK, ["--download", "--out", str(tmp_path / "run")]) == 2
    assert "copy_task has nothing to download" in capsys.readouterr().err
    assert main(copy_task.BENCHMARK, ["--source", "tfds"]) == 2
    assert "copy_task has one source of data. Received: --source; leave it out." in capsys.readouterr().err


# --- flags -----------------------------------------------------------------------------------------------------------


def test_source_is_short_for_the_setting_and_its_data_are_no_embedded_ones():
    short, long = (parse(BENCHMARK, [flag, "tfds", "--method", "si"]) for flag in ("--source", "--data.source"))
    assert short.experiment == long.experiment
    assert short.experiment.data.source == "tfds"
    assert short.preset == "si"
    assert parse(BENCHMARK, ["--method", "si"]).preset == "starter_si"
    assert parse(BENCHMARK, ["--method", "si"]).experiment.data == pos_tagging.Config()
