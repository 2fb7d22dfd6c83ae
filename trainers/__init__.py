"""Commands that train: ``python -m trainers.copy_task``, ``python -m trainers.pos_tagging``, or ``clrnn``."""

import os

from trainers.compiled_programs import keep_compiled_programs
from trainers.streams import import_tensorflow_quietly, replace_closed_streams

replace_closed_streams()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # at 2, each program that is taken from the cache writes three lines
keep_compiled_programs()
import_tensorflow_quietly()
