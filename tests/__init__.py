"""Tests. They keep no compiled programs below the home directory; see `trainers.compiled_programs`."""

import os

os.environ.setdefault("CLRNN_CACHE_DIR", "")
