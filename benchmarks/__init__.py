"""Speed, stated as ratios measured in one run: ``python -m benchmarks``."""

import os
import sys

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(CORES))  # TensorFlow reads them once, when it is first used
os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(CORES))
# PyTorch's CUDA wheels bring Triton, whose LLVM cannot share a process with TensorFlow's; nothing here needs it.
sys.modules.setdefault("triton", None)
