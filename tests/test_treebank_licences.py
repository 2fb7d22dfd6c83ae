"""The licence of a treebank is what the files beside it say."""

import pytest

from data_pipelines import pos_tagging
from data_pipelines.treebank_licences import licence_of, licences_in_words
from tests.test_pos_tagging_data import DATA, needs_data

STATED = {
    "a README of Universal Dependencies": (
        {"README.md": "# Summary\n\nLicense: CC BY-SA 3.0\nIncludes: x"},
        "CC BY-SA 3.0",
    ),
    "a README before a licence text": (
        {"README.txt": "License: GNU GPL 3.0\n", "LICENSE.txt": "Attribution-ShareAlike 4.0 International"},
        "GNU GPL 3.0",
    ),
    "the title of a licence": (
        {"LICENSE.txt": "Attribution-NonCommercial-ShareAlike 4.0 International\n====\n" + "word " * 10_000},
        "CC BY-NC-SA 4.0",
    ),
    "an address": ({"LICENSE": "see http://creativecommons.org/licenses/by-nd/4.0/"}, "CC BY-ND 4.0"),
    "a short name": ({"license.md": "Available under CC-BY 2.5."}, "CC BY 2.5"),
    "two parts": (
        {"LICENSE.txt": "Attribution 3.0; newspapers: Attribution-NonCommercial 3.0"},
        "CC BY 3.0, CC BY-NC 3.0",
    ),
    "a licence of software": ({"LICENSE.txt": "GNU General Public License\nVersion 3, 29 June"}, "GPL 3"),
    "a lesser one": ({"LICENSE.txt": "GNU LESSER GENERAL PUBLIC LICENSE 2.1"}, "LGPL 2"),
    "no words about it": ({"README.md": "A treebank.", "LICENSE.txt": "Ask us."}, None),
    "no file": ({}, None),
    "bytes that are no text": ({"LICENSE.txt": b"\xff\xfe\x00"}, None),
    "another file": ({"licences_of_cars.csv": "CC BY 4.0"}, None),
}


@pytest.mark.parametrize(("files", "licence"), STATED.values(), ids=STATED)
def test_the_licence_is_read_from_the_files_beside_a_treebank(tmp_path, files, licence):
    for name, text in files.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "README.folder").mkdir()
    assert licence_of(tmp_path) == licence


def test_treebanks_are_named_where_their_licences_differ(tmp_path):
    texts = {"UD_A": "License: CC BY 4.0", "UD_B": "License: CC BY-NC 4.0", "UD_C": "License: CC BY 4.0", "UD_D": ""}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(text)
    directories = {name: tmp_path / name for name in texts}
    assert licences_in_words(directories) == (
        "CC BY 4.0 (UD_A, UD_C); CC BY-NC 4.0 (UD_B); not stated beside the files (UD_D)"
    )
    assert licences_in_words({"UD_A": tmp_path / "UD_A"}) == "CC BY 4.0"


@needs_data
def test_every_real_treebank_has_a_licence():
    selected = pos_tagging.select(pos_tagging.Config(), DATA)
    licence = licences_in_words({chosen.treebank.name: chosen.treebank.files("train")[0].parent for chosen in selected})
    assert "GPL 3 (UD_Spanish-AnCora)" in licence and "UD_Czech-FicTree, UD_Hebrew-HTB" in licence
    assert "not stated" not in licence
