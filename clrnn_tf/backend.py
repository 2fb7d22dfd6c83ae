"""Refuses to run on another backend than TensorFlow; imported before anything that uses Keras."""

from __future__ import annotations

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"clrnn_tf needs Keras on its TensorFlow backend. Received: backend '{keras.backend.backend()}'. Set the "
        'environment variable KERAS_BACKEND=tensorflow (or "backend": "tensorflow" in keras.json) before Python '
        "imports keras."
    )
