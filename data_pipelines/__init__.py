"""Benchmarks: streams of tasks. ``python -m data_pipelines.NAME --describe`` shows one."""

import sys

if sys.argv[0] == "-m":  # while Python looks for the module of a command
    from clrnn_tf.notices import load_tensorflow

    load_tensorflow()
