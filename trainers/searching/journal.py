"""What a search asked its oracle and told it, line by line in ``events.jsonl``.

An oracle of Keras Tuner is a function of its seed and of these calls. A search that is continued makes the same calls
to a fresh oracle, which is then in the state of the old one, whatever that state consists of. (Keras Tuner's own files
lack a part: its grid cannot be continued from them, and they are written in place.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clrnn_tf.errors import ConfigurationError

FILE = "events.jsonl"


class Journal:
    """Appends events to a file, and reads them.

    Args:
      path: The file; made when the first event is written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     journal = Journal(Path(folder) / FILE)
      ...     journal.write({"event": "lost", "trial": "00"})
      ...     journal.read()
      [{'event': 'lost', 'trial': '00'}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: Mapping[str, object]) -> None:
        """Append an event; it is on the disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All events. The last line is dropped, and cut off, where a process was killed while it wrote it.

        Raises:
          ConfigurationError: Another line is damaged.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        try:
            return [json.loads(line) for line in content[:whole].splitlines()]
        except ValueError as error:
            raise ConfigurationError(
                f"{self.path} is damaged ({error}). Restore it from a copy, or begin a new search in another --out."
            ) from None
