"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = ("clrnn_tf", "data_pipelines", "export", "trainers")
# Modules of clrnn_tf that each of them may import besides `errors` and `ranges`; `methods` stands for every method.
ALLOWED = {
    "__init__": set(),
    "backend": set(),
    "errors": set(),
    "ranges": set(),
    "config": set(),
    "inputs": set(),
    "yaml_files": {"config"},
    "compilation": {"config"},
    "seeds": set(),
    "tasks": {"inputs", "outputs"},
    "sources": {"seeds", "tasks"},
    "weights": set(),
    "weight_sources": {"backend", "weights"},
    "distribution": {"config", "tasks"},
    "outputs": set(),
    "metrics": {"config"},
    "optimizers": {"config"},
    "linear": set(),
    "recurrent": {"linear", "weights"},
    "lstm": {"linear", "recurrent", "weights"},
    "cells": {"linear", "lstm", "recurrent", "weights"},
    "layers": {"cells", "linear", "weights"},
    "network": {"cells", "config", "layers", "linear", "weights"},
    "hyperfan": {"weights", "hypernetwork"},
    "chunks": {"weights"},
    "hypernetwork": {"config", "weight_sources", "weights", "hyperfan", "chunks"},
    "task_blocks": set(),
    "loss_program": set(),
    "output_regularizer": {"config", "hypernetwork", "loss_program", "task_blocks", "weights"},
    "model": {"blocks", "inputs", "network", "outputs", "seeds", "tasks", "weight_sources", "weights"},
    "events": {"metrics", "tasks"},
    "joint": {"sources", "tasks"},
    "blocks": {"config", "tasks"},
    "evaluation": {"blocks", "metrics", "model", "sources", "tasks", "weights"},
    "validation": {"config", "events", "metrics", "tasks"},
    "training_step": {
        "blocks", "compilation", "config", "distribution", "loss_program", "methods.base", "model", "optimizers",
        "tasks", "weights",
    },
    "training": {
        "compilation", "config", "distribution", "evaluation", "events", "methods.base", "model", "optimizers",
        "sources", "tasks", "training_step", "validation",
    },
    "learning": {"events", "metrics", "tasks", "training"},
    "run_directory": {"__init__", "config", "metrics"},
    "recording": {"config", "events", "metrics", "run_directory", "tasks"},
    "progress": {"events", "metrics", "tasks"},
    "figures": {"metrics"},
    "tensorboard": {"config", "events", "figures", "metrics", "tasks"},
    "report": {"config", "figures", "metrics", "run_directory"},
    "experiment": {
        "blocks", "compilation", "config", "distribution", "events", "methods", "methods.base", "model", "network",
        "tasks", "training",
    },
    "checkpoints": {"config", "training"},
    "inference": {"blocks", "config", "model", "sources", "tasks", "weights"},
    "methods.__init__": {"config"},
    "replay": {"outputs"},
    "vae": {"model", "network", "weights"},
    "fisher": {"blocks", "model", "sources", "tasks", "weights"},
    "methods": {
        "blocks", "config", "fisher", "hypernetwork", "inputs", "loss_program", "methods.base", "model",
        "network", "optimizers", "outputs", "output_regularizer", "replay", "seeds", "sources", "tasks", "vae",
        "weight_sources", "weights",
    },
    "methods.context_mod": {
        "config", "hypernetwork", "methods.base", "methods.hnet", "output_regularizer", "seeds", "tasks",
        "weight_sources", "weights",
    },
    "methods.multitask": {"joint", "methods.base", "tasks"},
    "methods.masking_si": {"methods.masking", "methods.si"},
    "methods.masking_ewc": {"methods.masking", "methods.online_ewc"},
    "methods.hnet_replay": {
        "hypernetwork", "methods.generative_replay", "output_regularizer", "seeds", "tasks", "weights",
    },
}  # fmt: skip


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from modules if node.module in ("clrnn_tf", "clrnn_tf.methods") else [node.module]


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", modules("clrnn_tf"), ids=str)
def test_modules_of_the_library_import_only_what_they_may(path):
    name = ".".join(path.relative_to(ROOT / "clrnn_tf").with_suffix("").parts)
    key = name if name in ALLOWED else name.split(".")[0]
    assert key in ALLOWED, f"say in ALLOWED what {name} may import"
    for module in imports(path):
        package, _, rest = module.partition(".")
        assert package == "clrnn_tf" or package not in TOP_LEVEL, f"{name} imports {module}"
        if package == "clrnn_tf":
            assert (rest or "__init__") in {*ALLOWED[key], "errors", "ranges"}, f"{name} imports clrnn_tf.{rest}"


@pytest.mark.parametrize("path", modules("data_pipelines"), ids=str)
def test_pipelines_know_tasks_their_data_and_settings_only(path):
    for module in imports(path):
        package = module.split(".")[0]
        if package == "clrnn_tf":
            assert module.split(".")[1] in ("config", "errors", "sources", "tasks"), module
        else:
            assert package not in ("export", "trainers"), module


@pytest.mark.parametrize("path", modules("export"), ids=str)
def test_export_does_not_know_benchmarks_or_trainers(path):
    for module in imports(path):
        assert module.split(".")[0] not in ("data_pipelines", "trainers"), module


def test_settings_load_no_tensorflow():
    for module in imports(ROOT / "clrnn_tf" / "config.py"):
        assert module.split(".")[0] not in ("tensorflow", "keras", "numpy"), module
