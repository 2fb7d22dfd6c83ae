"""Commands that train: ``python -m trainers.copy_task``, ``python -m trainers.pos_tagging``."""

import os

from trainers.quiet import load_tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
load_tensorflow()
