"""Settings in YAML files."""

import random

import pytest
import yaml

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.yaml_files import DEEPEST, LARGEST_FILE, read_settings


def read(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[da, no, sv]", ["da", "no", "sv"]),
        ("[NO, No, y, n, on, off, yes]", ["NO", "No", "y", "n", "on", "off", "yes"]),
        ("[true, False, TRUE]", [True, False, True]),
        ("[null, ~, Null, ]", [None, None, None]),
        ("1e-3", 1e-3),
        ("[1E5, -2.5e+3, .5, 1., +3.0, 12e03]", [1e5, -2.5e3, 0.5, 1.0, 3.0, 12e3]),
        ("[010, -7, +7, 0]", [10, -7, 7, 0]),
        ("[.inf, -.INF]", [float("inf"), -float("inf")]),
        ("[2026-11-25, 12:30:00, 1_000, 0x10, 0o7]", ["2026-11-25", "12:30:00", "1_000", "0x10", "0o7"]),
        ("['no', \"1e-3\", '']", ["no", "1e-3", ""]),
        ("[=, <<, a.b, -, nullable, trueish]", ["=", "<<", "a.b", "-", "nullable", "trueish"]),
        ("", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path, text, value):
    if "-," in text:
        text = text.replace(" -,", "")
        value = [item for item in value if item != "-"]
    assert read(tmp_path, f"value: {text}\n") == {"value": value}


def test_types_are_kept_apart(tmp_path):
    values = read(tmp_path, "a: 1\nb: 1.0\nc: true\nd: '1'\n")
    assert [type(value) for value in values.values()] == [int, float, bool, str]


def test_a_name_may_look_like_a_truth_value_of_yaml_1_1(tmp_path):
    assert read(tmp_path, "no: {on: 1}\n") == {"no": {"on": 1}}


def test_byte_order_marks_and_windows_line_ends_are_read(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: no\r\n") == {"a": 1, "b": {"c": "no"}}


def test_an_empty_file_holds_no_settings(tmp_path):
    assert read(tmp_path, "# nothing\n") == {}


def test_what_a_run_writes_is_read_back(tmp_path):
    settings = {"seed": 3, "data": {"languages": ["da", "no", "on", "1.5", "null", "2026-11-25"], "scale": 1e-07}}
    assert read(tmp_path, yaml.safe_dump(settings, sort_keys=False)) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "line 1, column 9: "),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' is there twice"),
        ("a: {b: 1, b: 2}", "'b' is there twice"),
        ("a:\n\t- 1", "line 2, column 1: "),
        ("1: a", "names of settings must be text"),
        ("true: a", "names of settings must be text"),
        ("? [a, b]\n: c", "names of settings must be text"),
        ("a: &x [1]\nb: *x", "line 1, column 4: anchors .* are not read"),
        ("a: &x 1", "anchors .* are not read"),
        ("a: *x", "are not read"),
        ("a: " + "[" * 3000 + "]" * 3000, f"more than {DEEPEST} levels"),
        ("a: " + "{b: " * 3000, f"more than {DEEPEST} levels"),
        ("a: !!python/object/apply:os.system [echo]", "values of type .*os.system are not read"),
        ("a: !!int x", "is no YAML"),
        ("a: !!timestamp 2026-99-99", "values of type .*timestamp are not read"),
        ("a: !!binary aGk=", "values of type .*binary are not read"),
        ("a: b\0c", "special characters are not allowed"),
        ("- a\n- b", "must hold settings by name. Received: list"),
        ("text", "must hold settings by name. Received: str"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        (b"a: \xff\xfe", "is no YAML: .*utf-8"),
        ("a: 1".encode("utf-16"), "is no YAML: .*utf-8"),
        ("a: " + "x" * LARGEST_FILE, f"at most {LARGEST_FILE:,} bytes"),
    ],
)
def test_malformed_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "settings.yaml" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="is no YAML"):
        read_settings(tmp_path)


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(ConfigurationError, match="are not read"):
        read(tmp_path, "\n".join(lines))


def test_random_mutations_are_read_or_refused_in_one_line(tmp_path):
    draw = random.Random(0)
    start = b"method: hnet\ndata:\n  languages: [da, no]\ntrain: {steps: 5, learning_rate: 1e-3}\n"
    for _ in range(500):
        text = bytearray(start)
        for _ in range(draw.randint(1, 6)):
            text[draw.randrange(len(text))] = draw.choice(b"[]{}:,&*!|>'\"%@`\n\t -#?\0\xff~a1")
        try:
            assert isinstance(read(tmp_path, bytes(text)), dict)
        except ConfigurationError as error:
            assert "\n" not in str(error)
