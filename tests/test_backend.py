"""Only Keras' TensorFlow backend will do, and the refusal says how to get it."""

import sys
import types

import pytest


def test_another_backend_is_refused(monkeypatch):
    other = types.ModuleType("keras")
    other.backend = types.SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setitem(sys.modules, "keras", other)
    monkeypatch.delitem(sys.modules, "clrnn_tf.backend", raising=False)
    with pytest.raises(ImportError, match=r"Received: backend 'jax'\. Set the environment variable KERAS_BACKEND"):
        import clrnn_tf.backend  # noqa: F401, PLC0415
