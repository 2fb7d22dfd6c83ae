"""What every random stream of a run is for.

A run has one seed. Everything that is drawn uses a separate random stream made from it, so that a new draw changes no
other. There are three kinds of streams, and a table for each:

    InitialKey   numpy.random.default_rng([seed, key, ...]), with what follows: a task, a layer, a tensor
    SeedOffset   seed + offset, for parts that take a seed themselves, such as a second set of weights
    StepDraw     a key of TensorFlow's stateless draws for (seed, task, step, draw); see `Method.step_key`

The initial value of weight tensor number i is drawn with [seed, i], or [seed, i + WEIGHTS_OF_NEXT_TASK * task] where
every task has a separate network. Values are fixed: another value gives another run for the same seed.
"""

from __future__ import annotations

import enum


class InitialKey(enum.IntEnum):
    """Keys of what is drawn once, when objects are made. Keys below 1000 are numbers of weight tensors."""

    TASK_EMBEDDINGS = 1000
    CHUNK_EMBEDDINGS = 1001
    HYPERFAN_KERNELS = 2000
    HYPERFAN_OUTPUT_LAYER = 2001
    HYPERFAN_CHUNK_EMBEDDINGS = 2002
    NGRAM_TABLES = 3000
    MASKS = 4000
    GAINS_AND_SHIFTS = 5000
    WEIGHTS_OF_NEXT_TASK = 10_000
    """Distance between the tensor numbers of two tasks; above the number of tensors of any network."""


class SeedOffset(enum.IntEnum):
    """Added to the seed. Two parts may share an offset where no method has both."""

    CORESETS = 2**16
    """The order in which coresets are drawn from the training split."""
    CONTEXT_HYPERNETWORK = 2**16
    """The hypernetwork of context modulation; its shared weights use the seed itself."""
    SEPARATE_HEADS = 2**17
    """Output heads that are not generated; the hypernetwork uses the seed itself."""
    LATENT_OUTPUTS = 2**17
    """Latent outputs of generative replay; the main network uses the seed itself."""
    DECODER = 2**18
    EPOCHS = 2**20
    """Distance between the epochs of a task; added to the task id in the key of an epoch's order."""


class StepDraw(enum.IntEnum):
    """Draws within one step of one method. Two draws may share a number where no method has both."""

    DROPOUT = 0
    """Dropout in the hypernetwork that generates the main network or its context."""
    REGULARIZED_TASKS = 1
    REPLAYED_TASKS = 0
    """Order of the old tasks in a replayed batch."""
    CORESET_ROWS = 1
    BATCH_NOISE = 1
    """Noise of the latent vectors of the present batch."""
    REPLAY_NOISE = 2
    """Noise of the latent vectors of the replayed batch."""
    GENERATION = 3
    """Latent vectors that sequences are generated from."""
    DECODER_DROPOUT = 10
    REGULARIZED_DECODERS = 11
    MAIN_NETWORK_DROPOUT = 20
    """Of inputs and of what the heads read."""
