"""Random damage of files and command lines, and what must hold while it is read."""

import contextlib
import resource
import struct
import sys
import time

MOST_SECONDS = 5.0
"""Processor time of one input; most take a millisecond."""
MOST_BYTES = 400_000_000
"""By which a fuzzed process may grow."""

_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "ctypes.dlopen")
_watching = [False]


def mutated(content, draw):
    """`content` with some bytes changed, removed, inserted or repeated."""
    content = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5))):
        place = draw.randrange(len(content) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            content[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del content[place : place + draw.choice((1, 4, 100))]
        elif kind == 2:
            content[place:place] = draw.randbytes(draw.choice((1, 2, 8)))
        elif kind == 3:
            content[place : place + 4] = struct.pack("<I", draw.choice((0, 1, 2**31 - 1, 2**32 - 1, 10**9)))
        else:
            content[place:place] = content[: draw.randrange(40)]
        content = content or bytearray(b"x")
    return bytes(content)


_WORDS = (
    *("", "-1", "0", "NaN", "-Infinity", "1e999", "9" * 25, "null", "true", "[]", "{}"),
    *('""', "\u0661", "\x00", "\t"),
)


def with_other_words(content, draw):
    """Text in which a number or a word is another one: it can still be parsed, and means something else."""
    text = content.decode()
    places = [place for place in range(len(text)) if text[place].isalnum()]
    if not places:
        return content
    start = end = draw.choice(places)
    while start and (text[start - 1].isalnum() or text[start - 1] in "._-+"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] in "._-+"):
        end += 1
    return (text[:start] + draw.choice(_WORDS) + text[end:]).encode()


def _audit(event, arguments):
    if _watching[0] and event in _FORBIDDEN:
        raise AssertionError(f"{event} {arguments}")


sys.addaudithook(_audit)


@contextlib.contextmanager
def nothing_runs():
    """No process is started and no library loaded; what reads grows by no more than `MOST_BYTES`."""
    before = _peak_bytes()
    _watching[0] = True
    try:
        yield
    finally:
        _watching[0] = False
    assert _peak_bytes() - before < MOST_BYTES


@contextlib.contextmanager
def in_time():
    """Less than `MOST_SECONDS` of processor time."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < MOST_SECONDS


def _peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
