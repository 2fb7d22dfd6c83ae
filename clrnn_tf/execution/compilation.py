"""What is compiled by XLA."""

from __future__ import annotations

import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.errors import require


def uses_xla(config: TrainConfig) -> bool:
    """Whether XLA compiles the main network.

    Raises:
      ConfigurationError: bfloat16 on a CPU without XLA. There, TensorFlow's bfloat16 products end the whole process if
        the CPU lacks AVX-512.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    require(
        not (on_cpu and config.precision == "bfloat16" and config.jit == "off"),
        "train.precision bfloat16 needs train.jit auto or on where there is no GPU. Received: off.",
    )
    return config.jit == "on" or (config.jit == "auto" and on_cpu)
