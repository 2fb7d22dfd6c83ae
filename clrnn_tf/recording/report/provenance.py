"""Where a run comes from, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from clrnn_tf.recording.report.elements import facts, note, section, text
from clrnn_tf.recording.report.stored_run import StoredRun


def again_section(run: StoredRun) -> str:
    """The command to type again."""
    typed, name = run.provenance.get("command"), run.results["benchmark"]
    extends = run.provenance.get("extends")
    if isinstance(extends, Mapping):
        return section("Again", *_extended_again(str(extends.get("run")), extends, typed))
    stored = f"python -m trainers.{name} --config {shlex.quote(str(run.path / 'config.yaml'))} --out NEW"
    if typed:
        said = "The command that was typed; give it another --out. The stored settings, all of them, do the same:"
        return section("Again", f"<pre>{text(typed)}</pre>", note(said), f"<pre>{text(stored)}</pre>")
    if run.provenance.get("preset"):
        return section("Again", f"<pre>{text(stored)}</pre>")
    return ""


def _extended_again(before: str, extends: Mapping[str, object], typed: object) -> list[str]:
    """How to make a run again that goes on from another one: its settings alone would begin with nothing."""
    needs = f"It goes on from {before} and needs that run as it was: config.yaml, results and checkpoints."
    if typed:
        return [f"<pre>{text(typed)}</pre>", note(f"The command that was typed; give it another --out. {needs}")]
    options = f", keep_exact={extends.get('keep_exact')}, max_drop={extends.get('max_drop')}"
    call = f'load_run("{before}").extend("NEW", changes{options})'
    said = "The call in Python; changes has the settings below that are not those of that run."
    return [f"<pre>{text(call)}</pre>", note(f"{said} {needs}")]


def provenance_section(run: StoredRun) -> str:
    """Date, commit, machine, data and versions."""
    given, data = run.provenance, run.results.get("data", {})
    versions = run.results["versions"]
    pairs = [("began", _time(given.get("began"))), ("machine", given.get("host")), ("commit", given.get("commit"))]
    pairs += [("data", run.results["data_source"]), ("read from", given.get("data_dir"))]
    pairs += [("fingerprint of the files", data.get("fingerprint") or given.get("fingerprint"))]
    pairs += [("licence of the data", data.get("licence"))]
    pairs += [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    pairs += [("directory", run.path)]
    return section("Where it comes from", facts((name, str(value)) for name, value in pairs if value))


def settings_details(run: StoredRun) -> str:
    """Every setting, folded away."""
    return f"<details><summary>All settings</summary><pre>{text(run.settings_text)}</pre></details>"


def _time(began: object) -> str:
    return str(began).replace("T", " ").replace("+00:00", " UTC") if began else ""
