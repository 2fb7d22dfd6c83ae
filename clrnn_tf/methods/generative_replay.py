"""Generative replay: a recurrent variational autoencoder generates sequences of old tasks, and a teacher answers them.

The main network is the encoder: a linear map of the features that its heads read gives mean and log-variance of a
latent vector z_t at every step. A recurrent decoder, with separate weights, predicts the inputs x_1..x_T from z_1..z_T,
and from the task id where the main network has a head for each task. The teacher is the network and the decoder as they
were before the present task. From the second task on, it generates as many sequences of old tasks as the batch has,
from draws z_t ~ N(0, s^2). With < > the mean over the sequences of the batch and those replayed,

    loss = task loss + distillation_strength * distillation                              (clrnn_tf.methods.parts.replay)
         + prior_strength * < sum_t KL(N(mean_t, exp(log_variance_t)), N(0, s^2)) >         (clrnn_tf.methods.parts.vae)
         + reconstruction_strength * < sum_t distance of the decoder's y_t from x_t >
         + decoder_orthogonal_strength * ||U^T U - I||^2 over the decoder's hidden-to-hidden matrices

The sums run over all time steps of the batch, padding included, since generated sequences have no length: those of task
j have as many steps as its longest sequence. The stream says in which of these steps the network's answer counts
(`InputModel`). Sources: Shin et al., "Continual learning with deep generative replay" (2017); van de Ven & Tolias,
"Generative replay with feedback connections" (2018), whose encoder is the classifier; Ehret et al. (ICLR 2021).

Differences from the published code: the latent outputs are a separate layer, not columns appended to the output layer,
so predictions and exported models do not contain them. Batches smaller than the number of old tasks work.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from clrnn_tf.config import CellName, NetworkConfig
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.methods.parts.replay import Replay, distillation, replayed_tasks, weighted_by_share
from clrnn_tf.methods.parts.vae import (
    Autoencoder,
    Decoder,
    Latent,
    Likelihood,
    as_inputs,
    latent_specs,
    prior_matching,
    reconstruction,
)
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SharedWeights, WeightSource
from clrnn_tf.networks.weights import Weights, orthogonal_penalty
from clrnn_tf.ranges import NonNegative, Positive, PositiveInt, Settings
from clrnn_tf.seeds import SeedOffset, StepDraw
from clrnn_tf.streams.inputs import InputModel, without_padding
from clrnn_tf.streams.tasks import Batch, Task, TaskStream


@dataclass(frozen=True)
class Config(Settings):
    """Options of generative replay."""

    distillation_strength: NonNegative = 1.0
    """Strength of the distillation loss."""
    prior_strength: NonNegative = 1.0
    """Strength of the divergence of latent vectors from their prior."""
    reconstruction_strength: NonNegative = 1.0
    """Strength of the reconstruction loss."""
    decoder_orthogonal_strength: NonNegative = 0.0
    """Strength of the orthogonal regulariser of the decoder (the main network's is `train.orthogonal_strength`)."""
    likelihood: Likelihood | None = None
    """`gaussian` (squared error) or `bernoulli` (cross-entropy of bits); `None` takes what the benchmark says."""
    latent_dim: PositiveInt = 100
    """Z: dimensions of the latent vector of a step."""
    prior_std: Positive = 1.0
    """s: standard deviation of the prior."""
    decoder_cell: CellName = "lstm"
    """Recurrent cell of the decoder."""
    decoder_hidden_sizes: tuple[PositiveInt, ...] = (256,)
    """Units of each recurrent layer of the decoder."""
    decoder_dense_before: tuple[PositiveInt, ...] = ()
    """Units of dense layers between the latent vectors and the decoder's first recurrent layer."""
    decoder_dense_after: tuple[PositiveInt, ...] = ()
    """Units of dense layers between the decoder's last recurrent layer and its outputs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.label("decoder_hidden_sizes")
        require(len(self.decoder_hidden_sizes) > 0, f"{name} needs a layer. Received: ().")


def input_model_of(stream: TaskStream, network: NetworkConfig) -> InputModel:
    """How inputs of the stream can be generated.

    Raises:
      ConfigurationError: Generated sequences would be of no use to this benchmark or network.
    """
    require(
        stream.ngrams is None,
        f"generative replay makes real-valued inputs, and those of {stream.name} are n-gram buckets. Use coresets.",
    )
    if stream.input_model is None:
        raise ConfigurationError(
            f"nothing in a generated sequence of {stream.name} would say where it ends. Use coresets."
        )
    require(
        all(task.train.max_time is not None for task in stream),
        f"generative replay needs to know how long sequences of {stream.name} can get. Received: max_time None.",
    )
    require(
        network.direction == "forward",
        f"generated sequences have no length from which to read backward: network.direction must be forward for "
        f"generative replay. Received: {network.direction}.",
    )
    return stream.input_model


class GenerativeReplay(Method[Config]):
    """See the module's docstring."""

    why_not_extended = "its generator is laid out for the tasks that it began with"
    loss_names: tuple[str, ...] = ("distillation", "prior_matching", "reconstruction", "decoder_orthogonal")
    learns_from_replay = True
    """Whether encoder and decoder also learn from replayed sequences, not only from those of the present task."""

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self._input_model = input_model_of(setup.stream, setup.network.config)
        self.likelihood: Likelihood = self.options.likelihood or self._input_model.likelihood
        self.teacher = self.make_source()
        of_latents = latent_specs(setup.network, self.options.latent_dim)
        self.latent_source = SharedWeights(of_latents, setup.seed + SeedOffset.LATENT_OUTPUTS)
        self.decoder = self._make_decoder()
        self.decoder_source = self.make_decoder_source()
        self.make_decoder_teacher()
        self._max_times = [task.train.max_time for task in setup.stream]
        self._decode = tf.function(self.decoder.__call__, jit_compile=setup.jit)
        self._on_batch = tf.function(self._losses_on_batch, jit_compile=setup.jit)
        self._on_replay = tf.function(self._losses_on_replay, jit_compile=setup.jit)

    def make_decoder_source(self) -> WeightSource:
        """Where the decoder's weights come from."""
        specs, seed = self.decoder.network.weight_specs, self.setup.seed + SeedOffset.DECODER
        return SharedWeights(specs, seed, self.setup.network.config.starts_orthogonal)

    def make_decoder_teacher(self) -> None:
        """Make what holds the decoder as it was before the present task."""
        self.decoder_teacher = self.make_decoder_source()

    def num_decoder_task_ids(self) -> int:
        """K where the decoder reads the task id: where the main network has a head for each task; else 0."""
        return self.setup.num_tasks if self.setup.network.config.heads == "multi" else 0

    def _make_decoder(self) -> Decoder:
        options, setup = self.options, self.setup
        config = NetworkConfig(
            cell=options.decoder_cell,
            hidden_sizes=options.decoder_hidden_sizes,
            dense_before=options.decoder_dense_before,
            dense_after=options.decoder_dense_after,
            activation=setup.network.config.activation,
            heads="single",
        )
        num_ids = self.num_decoder_task_ids()
        network = RecurrentNetwork(config, options.latent_dim + num_ids, setup.stream.num_features, setup.num_tasks)
        return Decoder(network, num_ids)

    def variables_to_train(self) -> list[tf.Variable]:
        """The main network's, then those of the latent outputs and of the decoder."""
        sources = (self.latent_source, self.decoder_source)
        added = [variable.value for source in sources for variable in source.trainable_variables]
        return [*super().variables_to_train(), *added]

    def task_variables(self) -> list[tf.Variable]:
        """The teacher's network and decoder."""
        return [*self.teacher.all_variables(), *self.decoder_teacher.all_variables()]

    def before_task(self, task: Task) -> None:
        """The present weights become the teacher."""
        self.teacher.copy_from(self.source)
        self.decoder_teacher.copy_from(self.decoder_source)

    def decoder_weights(self, task_id: tf.Tensor, step: tf.Tensor) -> Weights:
        """The decoder's weights to train with."""
        del step
        return self.decoder_source(task_id)

    def auxiliary_losses(
        self, model: TaskModel, weights: Weights, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The autoencoder's losses on the batch and on replayed sequences, and distillation on the latter."""
        options = self.options
        strengths = [options.distillation_strength, options.prior_strength, options.reconstruction_strength]
        values = (tf.constant(0.0),) * 3
        autoencoder = Autoencoder(weights, self.latent_source(task_id), self.decoder_weights(task_id, step))
        if any(strengths):
            values = self._replay_and_autoencoder_losses(model, autoencoder, batch, task_id, step)
        orthogonal = tf.constant(0.0)
        if options.decoder_orthogonal_strength:
            orthogonal = orthogonal_penalty(autoencoder.decoder, self.decoder.network.weight_specs)
        strengths.append(options.decoder_orthogonal_strength)
        scaled = [strength * value for strength, value in zip(strengths, (*values, orthogonal), strict=True)]
        return dict(zip(GenerativeReplay.loss_names, scaled, strict=True))

    def _replay_and_autoencoder_losses(
        self, model: TaskModel, autoencoder: Autoencoder, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Distillation, prior matching and reconstruction, each without its strength."""
        noise = self._noise(tf.shape(batch.inputs)[:2], self.step_key(task_id, step, StepDraw.BATCH_NOISE))
        inputs = without_padding(batch.inputs, batch.lengths)  # padding is reconstructed, too: as 0
        embedded = model.embed(inputs, batch.lengths, task_id)
        of_batch = self._on_batch(model, autoencoder, embedded, inputs, noise, task_id)

        def with_old_tasks() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            replay = self.replay(task_id, step, tf.size(batch.lengths))
            replay = weighted_by_share(replay, task_id, self.setup.num_tasks)
            noise = self._noise(tf.shape(replay.inputs)[:2], self.step_key(task_id, step, StepDraw.REPLAY_NOISE))
            embedded = model.embed(replay.inputs, replay.lengths, replay.task_ids)
            distilled, *of_replay = self._on_replay(model, autoencoder, self.teacher(task_id), embedded, replay, noise)
            means = of_batch
            if self.learns_from_replay:  # as many sequences are replayed as the batch has
                means = tuple(0.5 * (new + old) for new, old in zip(of_batch, of_replay, strict=True))
            return distilled, *means

        return tf.cond(task_id > 0, with_old_tasks, lambda: (tf.constant(0.0), *of_batch))

    def replay(self, task_id: tf.Tensor, step: tf.Tensor, size: tf.Tensor) -> Replay:
        """A batch of `size` sequences generated by the teacher's decoder, split evenly among the old tasks."""
        key = self.step_key(task_id, step, StepDraw.REPLAYED_TASKS)
        task_ids = replayed_tasks(self.setup.num_tasks, task_id, size, key)
        lengths = tf.gather(self._max_times, task_ids)
        shape = tf.stack([size, tf.reduce_max(lengths)])
        latents = self.options.prior_std * self._noise(shape, self.step_key(task_id, step, StepDraw.GENERATION))
        before_end = tf.sequence_mask(lengths, shape[1], tf.float32)  # [B, T]
        decoded = self.decode_by_teacher(latents, task_ids, task_id)
        inputs = tf.stop_gradient(as_inputs(self.likelihood, decoded)) * before_end[..., tf.newaxis]
        return Replay(inputs, self._input_model.loss_weights(inputs) * before_end, lengths, task_ids)

    def decode_by_teacher(self, latents: tf.Tensor, task_ids: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """What the teacher's decoder makes of latents [B, T, Z] of old tasks [B]: [B, T, F]."""
        return self._decode(self.decoder_teacher(task_id), latents, task_ids)

    def _noise(self, shape: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Standard normal draws, `shape` [B, T] by Z dimensions."""
        return tf.random.stateless_normal([shape[0], shape[1], self.options.latent_dim], key)

    def _losses_on_batch(
        self,
        model: TaskModel,
        autoencoder: Autoencoder,
        embedded: tf.Tensor,
        inputs: tf.Tensor,
        noise: tf.Tensor,
        task_id: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Prior matching and reconstruction of the present task's batch, padding included."""
        lengths = tf.fill(tf.shape(inputs)[:1], tf.shape(inputs)[1])
        features = model.network(autoencoder.network, embedded, lengths, task_id).features
        return self._autoencoder_losses(autoencoder, features, inputs, lengths, noise, task_id)

    def _losses_on_replay(
        self,
        model: TaskModel,
        autoencoder: Autoencoder,
        teacher: Weights,
        embedded: tf.Tensor,
        replay: Replay,
        noise: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Distillation, prior matching and reconstruction of a replayed batch."""
        outputs = model.network(autoencoder.network, embedded, replay.lengths, replay.task_ids)
        answers = model.network(teacher, embedded, replay.lengths, replay.task_ids).logits
        distilled = distillation(model.outputs, outputs.logits, answers, replay.loss_weights)
        if not self.learns_from_replay:
            return distilled, tf.constant(0.0), tf.constant(0.0)
        return distilled, *self._autoencoder_losses(
            autoencoder, outputs.features, replay.inputs, replay.lengths, noise, replay.task_ids
        )

    def _autoencoder_losses(
        self,
        autoencoder: Autoencoder,
        features: tf.Tensor,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        noise: tf.Tensor,
        task_id: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums over time, means over sequences."""
        latent = Latent.of(features, autoencoder.latent)
        decoded = self.decoder(autoencoder.decoder, latent.sample(noise), task_id)
        before_end = tf.sequence_mask(lengths, tf.shape(inputs)[1], tf.float32)
        prior = tf.reduce_sum(prior_matching(latent, self.options.prior_std) * before_end, axis=1)
        error = tf.reduce_sum(reconstruction(self.likelihood, decoded, inputs) * before_end, axis=1)
        return tf.reduce_mean(prior), tf.reduce_mean(error)

    def kept_bytes(self) -> dict[str, int]:
        """The network and the decoder of the teacher."""
        return {"teacher": self.teacher.num_bytes, "teacher_decoder": self.decoder_teacher.num_bytes}


METHOD = GenerativeReplay
