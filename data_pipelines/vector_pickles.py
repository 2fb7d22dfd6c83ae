"""Polyglot's word vectors: a pickled pair (words, array), read without calling anything that the pickle names.

A pickle is a program. Here only a few opcodes are allowed, and NumPy's functions are replaced by stand-ins that check
types and sizes and make arrays with `numpy.frombuffer`.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeGuard

import numpy as np

from clrnn_tf.errors import ConfigurationError, require

_OPCODES = (
    "MARK",
    "STOP",
    "PROTO",
    "FRAME",
    "POP",
    "POP_MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "TUPLE",
    "EMPTY_TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "LIST",
    "EMPTY_LIST",
    "APPEND",
    "APPENDS",
    "GET",
    "BINGET",
    "LONG_BINGET",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "MEMOIZE",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BUILD",
)
"""What tuples, lists, strings, numbers and arrays need; no dictionaries, sets or objects."""
_DTYPE = re.compile(r"(?P<order>[<>=|]?)(?P<kind>[iuf][1248]|[US][0-9]{1,6}|O8?)")
_NUMBERS, _STRINGS = "iuf", "US"


def read_polyglot(path: Path) -> tuple[list[str], np.ndarray]:
    """Words, and their table float32 [N + 1, D] with a row of zeros in front.

    Raises:
      ConfigurationError: It is another pickle.
      UnpicklingError: It is damaged, or wants to call something.
    """
    loaded = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    require(
        isinstance(loaded, tuple) and len(loaded) == 2 and isinstance(loaded[1], _Array),
        f"{path}: a pair (words, array) is wanted. Received: {type(loaded).__name__.lstrip('_')}.",
    )
    words = loaded[0].values if isinstance(loaded[0], _Array) else loaded[0]
    if not isinstance(words, (list, tuple)) or not all(_is_text(word) for word in words):
        raise ConfigurationError(f"{path}: the words must be strings. Received: {type(words).__name__}.")
    vectors = loaded[1].values
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in _NUMBERS or vectors.ndim != 2:
        raise ConfigurationError(f"{path}: the vectors must be numbers [N, D].")
    require(
        len(words) == len(vectors),
        f"{path}: vectors must be [N, D] for N words. Received: {len(words)} words and shape {vectors.shape}.",
    )
    table = np.zeros([len(vectors) + 1, vectors.shape[1]], np.float32)
    table[1:] = vectors
    texts = (word if isinstance(word, str) else str(word, "utf-8") for word in words if _is_text(word))
    return [_from_latin1(text) for text in texts], table


def _is_text(word: object) -> TypeGuard[str | bytes | bytearray]:
    return isinstance(word, (str, bytes, bytearray))


def _from_latin1(word: str) -> str:
    """UTF-8 text that Python 2 stored as bytes and `latin1` kept byte by byte; other text is returned unchanged."""
    try:
        return word.encode("latin1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return word


class _Function:
    """A stand-in for a function that a pickle names. It can be called and nothing else."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it wants to change a function")


class _DType:
    """A type of array elements: numbers, or the strings that words are."""

    __slots__ = ("kind", "order")

    def __init__(self, spec: object, *_: object) -> None:
        match = _DTYPE.fullmatch(spec) if isinstance(spec, str) else None
        if match is None:
            raise pickle.UnpicklingError(f"arrays of type {_shown(spec)} are no word vectors")
        self.kind, self.order = match["kind"], match["order"].strip("|=")

    def __setstate__(self, state: object) -> None:
        """Takes the byte order from (version, order, ...); everything else of the state is for other types."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("the byte order of an array is none of < > = |")
        self.order = order.strip("|=")

    def of_numpy(self) -> np.dtype:
        return np.dtype(self.order + self.kind)


class _Array:
    """An array in the making; `values` is an ndarray of numbers, or a list of words."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: np.ndarray | list[object] | None = None

    def __setstate__(self, state: object) -> None:
        """Takes ndarray's state: (version, shape, dtype, whether Fortran order, bytes or list of objects)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise pickle.UnpicklingError("the state of an array is not whole")
        shape, dtype, is_fortran, content = state[-4:]
        self.values = _values(shape, dtype, is_fortran, content)


def _values(shape: object, dtype: object, is_fortran: object, content: object) -> np.ndarray | list[object]:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not (len(sizes) in (1, 2) and all(type(size) is int and size >= 0 for size in sizes)):
        raise pickle.UnpicklingError("the shape of an array is none of [N], [N, D]")
    if not isinstance(dtype, _DType):
        raise pickle.UnpicklingError("an array has no type")
    if dtype.kind.startswith("O"):
        if not isinstance(content, list) or len(content) != math.prod(sizes):
            raise pickle.UnpicklingError("an array of objects has another number of them than its shape says")
        return content
    content = content.encode("latin1") if isinstance(content, str) else content
    element = dtype.of_numpy()
    if not isinstance(content, (bytes, bytearray)) or len(content) != math.prod(sizes) * element.itemsize:
        raise pickle.UnpicklingError("an array has another number of bytes than its shape says")
    if element.itemsize == 0:
        return [""] * 0 if not content and 0 in sizes else _refuse("an array of empty strings")
    values = np.frombuffer(content, element).reshape(sizes, order="F" if is_fortran else "C")
    return values.ravel().tolist() if element.kind in _STRINGS else values


def _array_from(content: object, dtype: object, shape: object, order: object = "C", *_: object) -> _Array:
    """Stands in for `numpy._core.numeric._frombuffer` (pickle protocol 5)."""
    array = _Array()
    array.values = _values(shape, dtype, order == "F", content)
    return array


def _string_from(dtype: object, content: object = b"") -> str | bytes:
    """Stands in for `numpy.core.multiarray.scalar`, for words that are NumPy strings."""
    values = _values((1,), dtype, False, content)
    word = values[0] if isinstance(values, list) and values else None
    return word if isinstance(word, (str, bytes)) else _refuse("a number among the words")


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("it wants to encode something other than bytes")
    return text.encode("latin1")


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(f"it holds {what}")


_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): lambda *_: _refuse("an array that is not made from bytes"),
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    **{
        (f"numpy.{core}.{module}", name): call
        for core in ("core", "_core")
        for module, name, call in (
            ("multiarray", "_reconstruct", lambda *_: _Array()),
            ("multiarray", "scalar", _string_from),
            ("numeric", "_frombuffer", _array_from),
        )
    },
}


class _Opcodes(dict):
    """Methods by opcode; all others are refused."""

    def __missing__(self, code: int) -> Callable[[object], None]:
        raise pickle.UnpicklingError(f"it holds the opcode {bytes([code])!r}, which no array needs")


class _ArrayUnpickler(pickle._Unpickler):
    """Python's unpickler in Python: its memo is a dictionary. The one in C allocates as much as the pickle says."""

    read: Callable[[int], bytes]  # `load` sets these two
    append: Callable[[object], None]

    def load_bytearray8(self) -> None:
        """Reads the bytes first; Python's method allocates as many as the pickle says."""
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch = _Opcodes(
        {getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _OPCODES}
        | {pickle.BYTEARRAY8[0]: load_bytearray8}
    )

    def find_class(self, module: str, name: str) -> _Function:
        """A stand-in for one of the few functions that rebuild arrays."""
        if (module, name) not in _STAND_INS:
            called = f"{_shown(module)}.{_shown(name)}".replace("'", "")
            raise pickle.UnpicklingError(f"it wants to call {called}, which is no part of an array")
        return _Function(_STAND_INS[module, name])


def _shown(value: object) -> str:
    return repr(value)[:60] if isinstance(value, (str, int)) else type(value).__name__
