"""Commands that train: ``python -m trainers.copy_task``, ``python -m trainers.pos_tagging``, or ``clrnn``."""

import os

from trainers.compiled_programs import keep_compiled_programs
from trainers.loading import prepare_import_of_tensorflow
from trainers.streams import replace_closed_streams

replace_closed_streams()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # at 2, each program that is taken from the cache writes three lines
keep_compiled_programs()
prepare_import_of_tensorflow()
