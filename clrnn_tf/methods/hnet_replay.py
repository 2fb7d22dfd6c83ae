"""HNET+R: generative replay by a decoder that a hypernetwork generates for each task (Ehret et al. 2021).

As generative replay (`clrnn_tf.methods.generative_replay`), but the decoder's weights are h(e_t, theta), and an output
regulariser protects those of old tasks (`clrnn_tf.methods.hnet`). So encoder and decoder learn from the present task's
batch alone, and the decoder is not told the task. Sequences of old task j are made up by the decoder h(e_j*, theta*) of
before the present task, which is the regulariser's target. The main network has shared weights of its own, which
distillation holds in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
from clrnn_tf.methods import generative_replay
from clrnn_tf.networks.weights import Weights, unpack_task
from clrnn_tf.seeds import SeedOffset, StepDraw
from clrnn_tf.streams.tasks import Task


@dataclass(frozen=True)
class Config(generative_replay.Config, RegularizerConfig):
    """Options of generative replay, and of the output regulariser of the decoder's hypernetwork."""


class HNETReplay(generative_replay.GenerativeReplay):
    """See the module's docstring."""

    uses_hypernetwork = True
    loss_names = (*generative_replay.GenerativeReplay.loss_names, "output_regularizer")
    learns_from_replay = False
    options: Config
    decoder_source: Hypernetwork

    def make_decoder_source(self) -> Hypernetwork:
        """A hypernetwork with an embedding for every task."""
        setup, specs = self.setup, self.decoder.network.weight_specs
        return Hypernetwork(specs, setup.hypernetwork, setup.num_tasks, setup.seed + SeedOffset.DECODER)

    def make_decoder_teacher(self) -> None:
        """The regulariser's targets are the teacher's decoders."""
        self.regularizer = OutputRegularizer(self.decoder_source, self.options, jit=self.setup.jit)

    def num_decoder_task_ids(self) -> int:
        """0: every task has a decoder of its own."""
        return 0

    def before_task(self, task: Task) -> None:
        """The present weights become the teacher; its decoders are stored, or generated when they are needed."""
        self.teacher.copy_from(self.source)
        self.regularizer.remember(task.task_id)

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The main network's shared weights, and the distance of old decoders from their targets."""
        weights, _ = super().weights_and_penalties(task_id, step)
        subset_key = self.step_key(task_id, step, StepDraw.REGULARIZED_DECODERS)
        penalty = self.regularizer(task_id, subset_key, self._dropout_key(task_id, step))
        return weights, {"output_regularizer": penalty}

    def decoder_weights(self, task_id: tf.Tensor, step: tf.Tensor) -> Weights:
        """Those generated for the present task."""
        generated = self.decoder_source.generate_for(task_id[tf.newaxis], self._dropout_key(task_id, step))
        return unpack_task(generated[0], self.decoder_source.specs)

    def decode_by_teacher(self, latents: tf.Tensor, task_ids: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """See `GenerativeReplay.decode_by_teacher`; the rows of one task after another, each with its own decoder."""
        size, (_, _, width) = tf.shape(task_ids)[0], latents.shape
        count = tf.minimum(size, task_id)  # tasks of the batch: row b is of the one of row b mod count
        rows = -(-size // count)  # of each task; filled up where the batch cannot be split evenly
        padded = tf.pad(latents, [[0, rows * count - size], [0, 0], [0, 0]])
        by_task = tf.reshape(padded, [rows, count, -1, width])

        def decode(index: tf.Tensor) -> tf.Tensor:
            target = self.regularizer.targets(task_ids[index, tf.newaxis])[0]
            weights = unpack_task(target, self.decoder_source.specs)
            return self._decode(weights, by_task[:, index], task_ids[index])

        decoded = tf.map_fn(decode, tf.range(count), fn_output_signature=tf.float32)  # [count, rows, T, F]
        decoded = tf.transpose(decoded, [1, 0, 2, 3])
        return tf.reshape(decoded, [rows * count, *tf.unstack(tf.shape(decoded)[2:])])[:size]

    def _dropout_key(self, task_id: tf.Tensor, step: tf.Tensor) -> tf.Tensor | None:
        return self.step_key(task_id, step, StepDraw.DECODER_DROPOUT) if self.setup.hypernetwork.dropout else None

    def kept_bytes(self) -> dict[str, int]:
        """The teacher's network, and what holds its decoders."""
        return {"teacher": self.teacher.num_bytes, **self.regularizer.kept_bytes()}

    def facts(self) -> dict[str, float]:
        """Adds the compression ratio of the decoders: parameters of the hypernetwork per generated weight."""
        return {**super().facts(), "compression_ratio": self.decoder_source.compression_ratio}


METHOD = HNETReplay
