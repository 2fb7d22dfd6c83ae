"""For the site: `Example:` in a docstring begins a section of code, as `Examples:` does."""

from __future__ import annotations

import re

import griffe

_TITLED = re.compile(r"^( *)Example: (.+)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class ExampleSections(griffe.Extension):
    """Renames the section before docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Called for every object that has been read."""
        if obj.docstring:
            text = _TITLED.sub(r"\1Examples:\n\1  \2\n", obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(r"\1Examples:", text)
