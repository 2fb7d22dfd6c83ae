"""The pages say what is so: their Python runs, their commands parse, their links and files are there."""

import contextlib
import dataclasses
import functools
import importlib
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from trainers import clrnn

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH_IN_CODE = re.compile(r"`((?:\.?[\w-]+/)*[\w.-]+\.(?:py|md|yml|yaml|cff|cfg|toml|jsonl|png)|(?:[\w-]+/)+)`")
MADE_BY_RUNS = ("runs/", "export/NAME", "config.yaml", "metrics.jsonl", "tensorboard/", "checkpoints/")
MADE_BY_RUNS += ("MODEL_CARD.md", "docker-compose.yaml", "dvc.yaml", "params.yaml")
MADE_BY_RUNS += ("best.yaml", "events.jsonl", "search.yaml", "settings.yaml", "trials/")
SCRIPTS = tempfile.TemporaryDirectory(prefix="pages")
TRAINERS = (
    "cognitive_tasks",
    "copy_task",
    "own_data",
    "pos_tagging",
    "sequential_stroke_mnist",
    "speech_commands",
    "split_audioset",
    "stroke_mnist",
    "student_teacher",
)


def named(path):
    return path.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=named)


def blocks(page, language):
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def without_blocks(page):
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


@functools.cache
def names_of(page):
    """Runs all Python of a page, block after block; what it has defined by name. The script stays for AutoGraph."""
    script = Path(SCRIPTS.name) / f"{page.stem}_page.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    with contextlib.chdir(SCRIPTS.name):
        return runpy.run_path(str(script))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_the_python_of_a_page_runs(page):
    if page.stem == "datasets":
        pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is the extra 'datasets'")
    names_of(page)


def learned(**changes):
    """The experiment and stream of the page about extending, changed, and learned."""
    from clrnn_tf import build_trainer, learn

    names = names_of(ROOT / "docs" / "extending.md")
    stream = dataclasses.replace(names["stream"], **{k: v for k, v in changes.items() if k in ("tasks", "outputs")})
    settings = {k: v for k, v in changes.items() if k not in ("tasks", "outputs")}
    return learn(stream, build_trainer(dataclasses.replace(names["experiment"], **settings), stream))


def test_the_cell_of_the_page_learns():
    from clrnn_tf import NetworkConfig

    names_of(ROOT / "docs" / "extending.md")  # enters the cell
    matrix = learned(network=NetworkConfig(cell="gru", hidden_sizes=(8,), direction="bidirectional"))
    assert matrix.during().min() > 80


def test_the_output_kind_of_the_page_learns():
    import tensorflow as tf

    from clrnn_tf import ArraySplit

    names = names_of(ROOT / "docs" / "extending.md")

    def counts(fields):
        batch = names["make_batch"](fields)
        return batch._replace(targets=4.0 * tf.one_hot(batch.targets, 3))

    def split(task_id, seed):
        arrays = names["split"](task_id, seed, 60)._arrays
        return ArraySplit(arrays, counts)

    tasks = tuple(
        dataclasses.replace(task, train=split(task.task_id, 0), test=split(task.task_id, 1)) for task in names["tasks"]
    )
    matrix = learned(tasks=tasks, outputs="poisson")
    assert matrix.rows[0][0].loss < matrix.initial[0].loss


def test_the_metric_of_the_page_is_measured(monkeypatch):
    from clrnn_tf.outputs import OUTPUT_KINDS

    names = names_of(ROOT / "docs" / "extending.md")
    monkeypatch.setitem(OUTPUT_KINDS, "softmax", names["SoftmaxWithTop2"]())
    matrix = learned()
    assert (matrix.final("top2_accuracy") >= matrix.final()).all()
    assert matrix.final("top2_accuracy").max() <= 100


def commands():
    """Lines of shell blocks, and of code in tables and text, that call the project's own commands."""
    starts = ("clrnn ", "python -m trainers.", "python -m export.", "python results/")
    found = set()
    for page in PAGES[:2] + PAGES[3:]:  # the changelog has commands of the past
        lines = [line for text in blocks(page, "") for line in text.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", without_blocks(page))
        found |= {re.sub(r"\s+#.*", "", line).strip() for line in lines if line.startswith(starts) and "*" not in line}
    return sorted(found)


def test_there_are_commands_to_check():
    assert len(commands()) > 30


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_pages_parses(command, tmp_path, monkeypatch):
    """Its flags are known and its settings are good; nothing is trained."""
    words = shlex.split(command)
    if words[:2] == ["python", "-m"] and words[2].startswith("export."):
        importlib.import_module(words[2]).parser().parse_intermixed_args(words[3:])
        return
    if words[0] == "clrnn" and words[1] in clrnn.EXPORTS:
        importlib.import_module(f"export.{words[1]}").parser().parse_intermixed_args(words[2:])
        return
    if words[0] == "clrnn" and words[1] in ("compare", "plot", "report", "tag"):
        importlib.import_module(f"trainers.{words[1]}").parser().parse_intermixed_args(words[2:])
        return
    if words[:2] == ["clrnn", "perceptron"]:
        words = ["python", "-m", "trainers.perceptron", *words[2:]]
    if words[:2] == ["clrnn", "search"]:
        check_search(words[2:], tmp_path, monkeypatch)
        return
    if words[0] == "clrnn":
        trainer, arguments = words[1].replace("-", "_"), words[2:]
        assert trainer in TRAINERS
    elif words[1] == "-m" and words[2].removeprefix("trainers.") in TRAINERS:
        trainer, arguments = words[2].removeprefix("trainers."), words[3:]
    else:
        check_help_of(words)
        return
    check_parses(trainer, arguments, tmp_path, monkeypatch)


def check_help_of(words):
    """Where a command is no benchmark's: its file is there, and it knows the subcommand and flags that are named."""
    path = ROOT / words[1] if words[1] != "-m" else ROOT / (words[2].replace(".", "/") + ".py")
    assert path.is_file(), path
    rest = words[2:] if words[1] != "-m" else words[3:]
    text = path.read_text(encoding="utf-8")
    for word in rest:
        if re.fullmatch(r"[a-z]+", word):
            assert f'"{word}"' in text, word


def check_search(arguments, tmp_path, monkeypatch):
    from clrnn_tf.config import updated
    from trainers.flags import flags_of, read, words_of
    from trainers.searching.options import SearchOptions
    from trainers.searching.plans import new_plan

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    (tmp_path / "DIR").mkdir()
    values, rest = read(words_of(arguments), flags_of(SearchOptions))
    options = updated(SearchOptions(), values)
    if options.benchmark is None:  # it continues a search, or works for one, or is the bare name
        assert rest == [] and (options.resume or options.role == "worker" or not arguments)
    else:
        assert new_plan(options, [word.strip() for word in rest]).spaces


def check_parses(trainer, arguments, tmp_path, monkeypatch):
    from trainers import settings

    benchmark = importlib.import_module(f"trainers.{trainer}").BENCHMARK
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    arguments = [next(iter(benchmark.presets)) if word == "NAME" else word for word in arguments]
    (tmp_path / "DIR").mkdir()
    if "--resume" in arguments or "--config" in arguments or "--extend" in arguments:
        leave_settings(benchmark, arguments)
        monkeypatch.setattr(settings, "task_names_of", lambda run: ["en", "de"])
    assert settings.parse(benchmark, arguments).experiment.benchmark == trainer


def leave_settings(benchmark, arguments):
    """The settings file of the run that a command continues or repeats."""
    presets = list(benchmark.presets.values())
    if "--config" in arguments:
        path = Path(arguments[arguments.index("--config") + 1])
    elif "--extend" in arguments:
        path = Path(arguments[arguments.index("--extend") + 1]) / "config.yaml"
        presets = [preset for preset in presets if preset.network.heads == "single" and preset.method == "hnet"]
    else:
        path = Path(arguments[arguments.index("--out") + 1]) / "config.yaml"
    path.parent.mkdir(parents=True)
    preset = presets[0]
    path.write_text(yaml.safe_dump(preset.experiment(benchmark.name).to_dict()))


def anchors_of(page):
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@every_page
def test_links_and_images_lead_somewhere(page):
    for link in LINK.findall(without_blocks(page)):
        if re.match(r"[a-z]+://", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path)
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


@every_page
def test_files_that_a_page_names_exist(page):
    for name in PATH_IN_CODE.findall(without_blocks(page)):
        if name.startswith(MADE_BY_RUNS) or page.name == "CHANGELOG.md":
            continue
        places = (ROOT / name, page.parent / name)
        assert any(place.exists() for place in places) or is_named_as_new(page, name), name


def is_named_as_new(page, name):
    """Whether a page tells the reader to make the file."""
    return page.name == "extending.md" and name == "clrnn_tf/methods/pull.py"


def test_the_readme_takes_a_screen_and_a_half():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_the_readme_lists_every_method():
    from clrnn_tf import methods

    rows = re.findall(r"^\| \[`(\w+)`\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(name for name, _ in rows) == methods.names()
    assert all(path == f"clrnn_tf/methods/{name}.py" for name, path in rows)


def test_the_numbers_of_the_readme_are_those_of_the_register():
    import json

    lines = (ROOT / "results" / "registry.jsonl").read_text(encoding="utf-8").splitlines()
    runs = {entry["command"]: entry for entry in map(json.loads, lines)}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for label, preset in (("fine-tuning", "fine_tuning"), ("HNET", "hnet"), ("one network per", "from_scratch")):
        run = runs[f"python -m trainers.pos_tagging --data-dir DIR --preset {preset}_letters"]
        during, final = (f"{run[f'mean_{when}_accuracy']:.1f} %" for when in ("during", "final"))
        assert re.search(rf"^\| {label}[^|]*\| {during} \| {final} \|$", readme, re.MULTILINE), preset


def test_the_picture_is_drawn_from_the_register(tmp_path):
    out = tmp_path / "images" / "languages.png"
    subprocess.run([sys.executable, "results/picture.py", "--out", str(out)], cwd=ROOT, check=True, capture_output=True)
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert out.stat().st_size > 20_000


def test_every_page_is_in_the_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = sorted(page for entry in settings["nav"] for page in entry.values())
    assert listed == sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))


def test_the_api_page_has_every_public_name():
    import clrnn_tf

    shown = re.findall(r"^::: clrnn_tf\.(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(set(clrnn_tf.__all__) - {"__version__"})


def test_the_citation_names_the_version_that_is_installed():
    import clrnn_tf

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == clrnn_tf.__version__
    assert citation["license"] == "Apache-2.0"


def test_the_design_has_a_row_for_each_row_of_the_layering():
    from tests.test_layering import MAY_IMPORT

    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`(\w+)`", cell) for cell in re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)]
    said = sorted(name for row in rows for name in row)
    tested = sorted(name for names in MAY_IMPORT for name in names.split(", "))
    assert said == [name for name in tested if name not in ("__init__", "recording.events")]


def test_what_the_first_commands_need_is_a_plain_dependency():
    import configparser

    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    required = settings["options"]["install_requires"]
    assert all(name in required for name in ("tensorflow", "keras", "conllu", "matplotlib", "rich"))
