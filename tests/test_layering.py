"""Who may import whom, by package. `docs/design.md` says the same in words."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = ("clrnn_tf", "data_pipelines", "export", "trainers")
BASE = {
    "errors",
    "seeds",
    "backend",
    "setting_types",
    "ranges",
    "yaml_files",
    "durable_files",
    "notices",
    "pictures",
    "__init__",
}
DATA = {*BASE, "config", "outputs", "streams"}
NETWORKS = {*DATA, "networks", "execution"}
MODELS = {*NETWORKS, "hypernetworks", "ngram_embedding", "model", "optimizers", "metrics"}
MAY_IMPORT = {
    "errors, seeds, backend, setting_types, ranges, yaml_files, durable_files, notices, pictures": {
        "errors",
        "setting_types",
    },
    "config": BASE,
    "streams": DATA,
    "outputs": BASE,
    "networks, execution, optimizers, metrics": NETWORKS,
    "hypernetworks, ngram_embedding, model": {*NETWORKS, "hypernetworks", "ngram_embedding", "model"},
    "task_inference": MODELS,
    "methods": MODELS | {"methods"},
    "recording.events": {*BASE, "streams", "metrics"},
    "training": MODELS | {"methods.base", "recording.events", "training"},
    "experiment": MODELS | {"methods", "methods.base", "recording.events", "training"},
    "analysis": {"errors", "metrics", "pictures", "analysis"},
    "recording": {*DATA, "metrics", "analysis", "recording"},
    "runs, extension": MODELS | {"methods", "training", "recording", "experiment", "extension"},
    "__init__": BASE,
}
"""What a package or module of `clrnn_tf` may import of `clrnn_tf`."""
OUTSIDE = {
    "data_pipelines": {"errors", "notices", "pictures", "config", "ranges", "streams"},
    "export": {
        "errors",
        "notices",
        "durable_files",
        "config",
        "streams",
        "ngram_embedding",
        "model",
        "outputs",
        "recording.certificates",
        "recording.events",
        "recording.run_directory",
        "metrics",
        "networks",
        "task_inference",
    },
}
"""What other top-level packages may import of `clrnn_tf`; trainers may import everything."""


def imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name == "__init__.py":  # a package's door has imports for type checkers only
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            is_package = (ROOT / node.module.replace(".", "/")).is_dir()
            yield from [f"{node.module}.{alias.name}" for alias in node.names] if is_package else [node.module]


def row_of(name):
    """The entry of the longest matching name: `recording.events` before `recording`."""
    rows = {part: allowed for names, allowed in MAY_IMPORT.items() for part in names.split(", ")}
    matching = [part for part in rows if name == part or name.startswith(f"{part}.")]
    assert matching, f"say in MAY_IMPORT what {name} may import"
    return rows[max(matching, key=len)]


def is_allowed(module, allowed):
    return any(module == part or module.startswith(f"{part}.") for part in allowed)


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT / "clrnn_tf").with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", modules("clrnn_tf"), ids=str)
def test_modules_of_the_library_import_only_what_they_may(path):
    name = name_of(path)
    for module in imports(path):
        package, _, rest = module.partition(".")
        assert package == "clrnn_tf" or package not in TOP_LEVEL, f"{name} imports {module}"
        if package == "clrnn_tf" and not rest.startswith("__version__"):
            assert is_allowed(rest or "__init__", row_of(name)), f"{name} imports clrnn_tf.{rest}"


@pytest.mark.parametrize("path", [*modules("data_pipelines"), *modules("export")], ids=str)
def test_pipelines_and_export_know_the_library_only(path):
    own = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        package, _, rest = module.partition(".")
        assert package in ("clrnn_tf", own) or package not in TOP_LEVEL, f"{path.name} imports {module}"
        if package == "clrnn_tf":
            assert is_allowed(rest, OUTSIDE[own]), f"{path.name} imports {module}"


def test_packages_form_no_circle():
    graph = {}
    for path in modules("clrnn_tf"):
        package = name_of(path) if name_of(path) == "recording.events" else name_of(path).split(".")[0]
        known = graph.setdefault(package, set())
        for module in imports(path):
            rest = module.removeprefix("clrnn_tf.")
            if rest != module:
                known.add("recording.events" if rest.startswith("recording.events") else rest.split(".")[0])
    for package, known in graph.items():
        known.discard(package)
    while free := {package for package, known in graph.items() if not known & graph.keys()}:
        for package in free:
            del graph[package]
    assert not graph, f"packages that import one another: {sorted(graph)}"


def test_the_table_can_be_read_as_the_design():
    assert len(MAY_IMPORT) <= 15


def test_settings_load_no_tensorflow():
    for name in ("config", "errors"):
        for module in imports(ROOT / "clrnn_tf" / f"{name}.py"):
            assert module.split(".")[0] not in ("tensorflow", "keras", "numpy"), module
