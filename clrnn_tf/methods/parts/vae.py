"""The two losses of a variational autoencoder of sequences, and its decoder (Kingma & Welling 2014).

An encoder gives a normal distribution of the latent vector of every step, z_t ~ N(mean_t, exp(log_variance_t)), a
recurrent decoder reads z_1..z_T and predicts x_1..x_T, and the prior of each z_t is N(0, s^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import tensorflow as tf

from clrnn_tf.model import append_task_id
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import Weights, WeightSpec, in_scope, within

Likelihood = Literal["gaussian", "bernoulli"]
_SCOPE = "latent"


class Autoencoder(NamedTuple):
    """Weights of the parts of an autoencoder; the network is the encoder."""

    network: Weights
    latent: Weights
    decoder: Weights


class Latent(NamedTuple):
    """Distribution of latent vectors, each [B, T, Z]."""

    mean: tf.Tensor
    log_variance: tf.Tensor

    @classmethod
    def of(cls, features: tf.Tensor, weights: Weights) -> Latent:
        """A linear map of features [B, T, U] with tensors by the names of `latent_specs`."""
        latent = within(weights, _SCOPE)
        outputs = tf.tensordot(features, latent["kernel"], 1) + latent["bias"]
        return cls(*tf.split(outputs, 2, axis=-1))

    def sample(self, noise: tf.Tensor) -> tf.Tensor:
        """The vectors z = mean + exp(log_variance / 2) * noise; the noise [B, T, Z] is standard normal."""
        return self.mean + tf.exp(0.5 * self.log_variance) * noise


def latent_specs(encoder: RecurrentNetwork, latent_dim: int) -> list[WeightSpec]:
    """Weights from an encoder's features to the distribution; initial values as of the encoder's outputs."""
    head, _ = encoder.head_specs
    return in_scope(
        _SCOPE,
        [
            WeightSpec("kernel", (head.fan_in, 2 * latent_dim), "kernel", head.fan_in, head.bound),
            WeightSpec("bias", (2 * latent_dim,), "bias", head.fan_in, head.bound),
        ],
    )


def prior_matching(latent: Latent, prior_std: float) -> tf.Tensor:
    """Kullback-Leibler divergence of each step's distribution from the prior N(0, s^2), [B, T] in nats.

    1/2 sum over dimensions of (exp(log_variance) + mean^2) / s^2 - 1 - log_variance + 2 ln s
    """
    scaled = (tf.exp(latent.log_variance) + tf.square(latent.mean)) / prior_std**2
    log_ratio = latent.log_variance - 2.0 * tf.math.log(prior_std)
    return 0.5 * tf.reduce_sum(scaled - 1.0 - log_ratio, axis=-1)


def reconstruction(likelihood: Likelihood, decoded: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Distance of the decoder's outputs from the inputs at each step, [B, T], both [B, T, F].

    gaussian    sum over features of (x - y)^2, without the factor 1/2, as published
    bernoulli   sum over features of the cross-entropy of sigmoid(y) with x, in nats
    """
    if likelihood == "gaussian":
        return tf.reduce_sum(tf.square(decoded - inputs), axis=-1)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=inputs, logits=decoded), axis=-1)


def as_inputs(likelihood: Likelihood, decoded: tf.Tensor) -> tf.Tensor:
    """Mean of the inputs that the decoder predicts, [B, T, F]: its outputs, or probabilities of bits."""
    return decoded if likelihood == "gaussian" else tf.sigmoid(decoded)


@dataclass(frozen=True)
class Decoder:
    """A recurrent network from latent vectors to inputs; it may read the task id too."""

    network: RecurrentNetwork
    num_task_ids: int
    """K where a one-hot task id follows the latent vector of every step, else 0."""

    def __call__(self, weights: Weights, latents: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """[B, T, Z] -> [B, T, F] before `as_inputs`; the task is a scalar, or [B] one for each example."""
        decoder_inputs = append_task_id(latents, task_id, self.num_task_ids)
        lengths = tf.fill(tf.shape(latents)[:1], tf.shape(latents)[1])
        return self.network(weights, decoder_inputs, lengths, tf.constant(0)).logits
