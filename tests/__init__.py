"""Tests. They keep no compiled programs below the home directory; see `trainers.compiled_programs`."""

import os

os.environ.setdefault("CLRNN_CACHE_DIR", "")
# As for commands, whichever module is imported first: TensorFlow has notices that come once in a process, in any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
