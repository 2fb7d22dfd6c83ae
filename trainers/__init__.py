"""Commands that train: ``python -m trainers.copy_task``, ``python -m trainers.pos_tagging``, or ``clrnn``."""

import os

from trainers.streams import import_tensorflow_quietly, replace_closed_streams

replace_closed_streams()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import_tensorflow_quietly()
