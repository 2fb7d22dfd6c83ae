"""Presets of tagging by vectors and letters: what we recommend, and other methods on the same inputs.

Settings were chosen on the dev files of Hebrew, Danish, Indonesian and Finnish (Lithuanian, Hebrew, Dutch, Croatian and
Finnish for the hypernetwork), seed 0; docs/results.md has the figures.
"""

from __future__ import annotations

import dataclasses

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import fine_tuning, from_scratch, hnet, online_ewc
from data_pipelines import pos_tagging
from trainers.presets import Expected, Preset

_SOURCE = "our run, seed 0, on the data of docs/results.md"

DATA = pos_tagging.Config(letters=True, num_buckets=8192, table_bytes=1, vector_norm=2.0, length_pool=20)
NETWORK = NetworkConfig(cell="lstm", hidden_sizes=(64,), direction="bidirectional", heads="single")
TRAIN = TrainConfig(
    steps=1_000,
    batch_size=32,
    learning_rate=8e-3,
    learning_rate_schedule="cosine",
    input_dropout=0.2,
    output_dropout=0.5,
    validate_every=500,
    eval_batch_size=128,
    jit="off",
)

FROM_SCRATCH = Preset(
    summary="a network and a table of letters per language: words are vectors and letters",
    method="from_scratch",
    method_options=from_scratch.Config(),
    data=DATA,
    network=dataclasses.replace(NETWORK, hidden_sizes=(128,)),
    train=dataclasses.replace(TRAIN, steps=1_500),
    expected=Expected(93.99, 93.99, _SOURCE),
)
# A chunk of 512 weights is a product of 128 numbers of a language and a matrix that all languages share: a language
# takes 29,440 numbers for a network of 117,393 weights.
CHUNKS_OF_EACH_TASK = HypernetworkConfig(
    chunk_size=512,
    hidden_sizes=(),
    task_embedding_size=0,
    chunk_embedding_size=128,
    chunk_embeddings="per_task",
    chunk_embedding_std=0.05,
    use_bias=False,
)
HNET = dataclasses.replace(
    FROM_SCRATCH,
    summary="HNET, words are vectors and letters: the network is generated, each language has a table of letters",
    method="hnet",
    method_options=hnet.Config(strength=0.1, tasks_per_step=4),
    network=NETWORK,
    train=TRAIN,
    hypernetwork=CHUNKS_OF_EACH_TASK,
    expected=Expected(93.44, 93.44, _SOURCE),
)
FINE_TUNING = dataclasses.replace(
    FROM_SCRATCH,
    summary="fine-tuning, words are vectors and letters: one network and one table of letters for all languages",
    method="fine_tuning",
    method_options=fine_tuning.Config(),
    data=dataclasses.replace(DATA, tables="shared", table_bytes=4, num_buckets=16_384),
    network=dataclasses.replace(NETWORK, heads="multi"),
    train=TRAIN,
    expected=Expected(93.45, 72.37, _SOURCE),
)
ONLINE_EWC = dataclasses.replace(
    FINE_TUNING,
    summary="online EWC, words are vectors and letters: it holds the network and the table of letters in place",
    method="online_ewc",
    method_options=online_ewc.Config(strength=100.0, num_sequences=200),
    expected=Expected(89.87, 87.66, _SOURCE),
)
