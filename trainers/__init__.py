"""Commands that train: ``python -m trainers.copy_task``, ``python -m trainers.pos_tagging``, or ``clrnn``."""

import os

from trainers.streams import load_tensorflow, replace_closed_streams

replace_closed_streams()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
load_tensorflow()
