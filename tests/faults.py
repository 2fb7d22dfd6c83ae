"""Runs a small stream again and again, each time with another write that fails. Started by `tests/test_faults.py`.

python -m tests.faults LIBRARY DIRECTORY [EVERY]       # with LD_PRELOAD=LIBRARY; every EVERYth call

Each kind of fault begins at another call, so a sample takes different ones.
"""

import ctypes
import json
import shutil
import sys
from pathlib import Path

from clrnn_tf.recording import tensorboard
from clrnn_tf.recording.run_directory import RunDirectory
from tests import tiny
from tests.interruptions import Laboratory, assert_left_alike

KINDS = {"no space": 0, "input/output error": 1, "short write": 2}
TRAIN = {"steps": 8, "log_every": 4, "validate_every": 8}


def main(library, directory, every="1"):
    """Print, as JSON, how many calls there were, how many were made to fail, and how these runs ended."""
    faults, path = ctypes.CDLL(library), Path(directory) / "run"
    faults.faults_seen.restype = ctypes.c_long

    def armed_run(number, kind):
        shutil.rmtree(path, ignore_errors=True)
        faults.faults_arm(str(path).encode(), ctypes.c_long(number), kind)
        try:
            return laboratory.run(path)
        except OSError:
            return False
        finally:
            counts.append(faults.faults_seen())
            faults.faults_disarm()

    counts = []
    _draw_once()
    laboratory = Laboratory(tiny.experiment("fine_tuning", train=TRAIN), tiny.stream(2), every=5)
    straight, ends = None, {}
    every = int(every)
    for name, kind in KINDS.items():
        assert armed_run(-1, kind)
        straight, calls = straight or laboratory.left(path), counts[-1]
        ended = failed = 0
        for number in range(kind * every // len(KINDS), calls, every):
            if armed_run(number, kind):
                ended += 1
            else:
                failed += 1
                if path.exists() and (path / "config.yaml").exists():
                    RunDirectory(path).load()  # what is on the disk is whole
                else:  # the run could not even be begun
                    shutil.rmtree(path, ignore_errors=True)
                assert laboratory.run(path), (name, number)
            left = laboratory.left(path)
            if name == "input/output error":  # TensorFlow ignores an error of its events that does not repeat
                left = left._replace(curves=straight.curves)
            assert_left_alike(left, straight)
            ends[name] = {"calls": calls, "ended": ended, "failed and continued": failed}
            if (ended + failed) % 20 == 0:
                print(name, number, ends[name], file=sys.stderr, flush=True)
        print(name, ends[name], file=sys.stderr, flush=True)
    print(json.dumps(ends))


def _draw_once():
    """Pictures take most of the time of so short a run: each size is drawn once, and written as often as ever."""
    draw, drawn = tensorboard.matrix_image, {}

    def image(matrix):
        if len(matrix.rows) not in drawn:
            drawn[len(matrix.rows)] = draw(matrix)
        return drawn[len(matrix.rows)]

    tensorboard.matrix_image = image


if __name__ == "__main__":
    main(*sys.argv[1:])
