"""The main network and the hypernetwork in PyTorch, in the two styles in which users write them.

Weights have our names and layouts ([inputs, outputs], gates i, f, c, o, one bias), so that both sides can be compared
number by number. Time-major: inputs are [T, B, F].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from clrnn_tf.config import NetworkConfig
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import WeightSpec

TorchWeights = dict[str, Tensor]
_ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


class Network:
    """One recurrent layer and task heads, as a function of weights; subclasses unroll the layer.

    Args:
      network: The network that is done again.
    """

    def __init__(self, network: RecurrentNetwork) -> None:
        config: NetworkConfig = network.config
        if len(config.hidden_sizes) > 1 or config.dense_before or config.dense_after or config.activation != "tanh":
            raise NotImplementedError(f"one tanh layer without dense ones is written in PyTorch. Received: {config}.")
        self.specs: tuple[WeightSpec, ...] = network.weight_specs
        self.cell, self.units = config.cell, config.hidden_sizes[0]
        self.directions = ("forward", "backward") if config.direction == "bidirectional" else (config.direction,)
        self.num_outputs, self.num_heads = network.num_outputs, network.num_heads

    def logits(self, weights: TorchWeights, inputs: Tensor, lengths: Tensor, task_id: int) -> Tensor:
        """[T, B, C] of a task's head."""
        return self.head(weights, self.layer(weights, inputs, lengths), task_id)

    def layer(self, weights: TorchWeights, inputs: Tensor, lengths: Tensor) -> Tensor:
        """[T, B, H] or [T, B, 2H]."""
        raise NotImplementedError

    def head(self, weights: TorchWeights, x: Tensor, task_id: int) -> Tensor:
        """[T, B, C] of a task's head."""
        head = task_id if self.num_heads > 1 else 0
        return x @ weights["head/kernel"][head] + weights["head/bias"][head]

    def unpack(self, flat: Tensor) -> TorchWeights:
        """Cut a generated vector [W] into weights."""
        pieces = flat.split([spec.size for spec in self.specs])
        return {spec.name: piece.view(spec.shape) for spec, piece in zip(self.specs, pieces, strict=True)}

    def orthogonal_penalty(self, weights: TorchWeights) -> Tensor:
        """Sum ||U^T U - I||^2 over hidden-to-hidden matrices."""
        kernels = [weights[spec.name] for spec in self.specs if spec.kind == "recurrent"]
        blocks = [block for kernel in kernels for block in kernel.split(self.units, 1)]
        return sum((block.T @ block - torch.eye(self.units)).square().sum() for block in blocks)


class LoopNetwork(Network):
    """A Python loop over time with a cell written out; the backward direction reads reversed sequences."""

    def layer(self, weights: TorchWeights, inputs: Tensor, lengths: Tensor) -> Tensor:
        """See `Network.layer`."""
        outputs = []
        for direction in self.directions:
            scope, x = f"recurrent0/{direction}", inputs
            if direction == "backward":
                x = reverse_sequences(x, lengths)
            x = self._elman(weights, scope, x) if self.cell == "elman" else self._lstm(weights, scope, x)
            outputs.append(reverse_sequences(x, lengths) if direction == "backward" else x)
        return torch.cat(outputs, dim=-1)

    def _elman(self, weights: TorchWeights, scope: str, inputs: Tensor) -> Tensor:
        hidden, outputs = inputs.new_zeros(inputs.shape[1], self.units), []
        for x in inputs:
            hidden = torch.tanh(
                x @ weights[f"{scope}/kernel"]
                + hidden @ weights[f"{scope}/recurrent_kernel"]
                + weights[f"{scope}/bias"]
            )
            outputs.append(torch.tanh(hidden @ weights[f"{scope}/output_kernel"] + weights[f"{scope}/output_bias"]))
        return torch.stack(outputs)

    def _lstm(self, weights: TorchWeights, scope: str, inputs: Tensor) -> Tensor:
        hidden = cell = inputs.new_zeros(inputs.shape[1], self.units)
        outputs = []
        for x in inputs:
            sums = (
                x @ weights[f"{scope}/kernel"]
                + hidden @ weights[f"{scope}/recurrent_kernel"]
                + weights[f"{scope}/bias"]
            )
            i, f, g, o = sums.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
        return torch.stack(outputs)


class FusedNetwork(Network):
    """What `nn.LSTM` and `nn.RNN` call, with given weights; bidirectional sequences are packed."""

    def layer(self, weights: TorchWeights, inputs: Tensor, lengths: Tensor) -> Tensor:
        """See `Network.layer`."""
        flat = [each for direction in self.directions for each in self._as_torch(weights, f"recurrent0/{direction}")]
        state = inputs.new_zeros(len(self.directions), inputs.shape[1], self.units)
        hidden = self._fused(inputs, lengths, state, flat)
        if self.cell == "lstm":
            return hidden
        scope = f"recurrent0/{self.directions[0]}"
        return torch.tanh(hidden @ weights[f"{scope}/output_kernel"] + weights[f"{scope}/output_bias"])

    def _fused(self, inputs: Tensor, lengths: Tensor, state: Tensor, flat: list[Tensor]) -> Tensor:
        if len(self.directions) == 1:
            return self._fused_padded(inputs, state, flat)
        packed = pack_padded_sequence(inputs, lengths, enforce_sorted=False)
        data, sizes = packed.data, packed.batch_sizes
        hidden = torch._VF.lstm(data, sizes, (state, state), flat, True, 1, 0.0, True, True)[0]
        return pad_packed_sequence(packed._replace(data=hidden), total_length=inputs.shape[0])[0]

    def _fused_padded(self, inputs: Tensor, state: Tensor, flat: list[Tensor]) -> Tensor:
        options = (flat, True, 1, 0.0, True, len(self.directions) == 2, False)
        if self.cell == "elman":
            return torch._VF.rnn_tanh(inputs, state, *options)[0]
        return torch._VF.lstm(inputs, (state, state), *options)[0]

    @staticmethod
    def _as_torch(weights: TorchWeights, scope: str) -> list[Tensor]:
        bias = weights[f"{scope}/bias"]
        return [weights[f"{scope}/kernel"].T, weights[f"{scope}/recurrent_kernel"].T, bias, torch.zeros_like(bias)]


class PaddedNetwork(FusedNetwork):
    """Without packing, which is faster, but the backward direction then starts in the padding."""

    def _fused(self, inputs: Tensor, lengths: Tensor, state: Tensor, flat: list[Tensor]) -> Tensor:
        del lengths
        return self._fused_padded(inputs, state, flat)


class Modules(nn.Module):
    """`nn.LSTM` or `nn.RNN` with `nn.Linear`, as anybody would write fine-tuning.

    Args:
      network: Says what to build.
      packed: Whether bidirectional sequences are packed.
    """

    def __init__(self, network: Network, num_features: int, packed: bool) -> None:
        super().__init__()
        bidirectional = len(network.directions) == 2
        layer = nn.LSTM if network.cell == "lstm" else nn.RNN
        self.recurrent = layer(num_features, network.units, bidirectional=bidirectional)
        width = network.units * len(network.directions)
        self.output = nn.Linear(width, width) if network.cell == "elman" else None
        self.heads = nn.Linear(width, network.num_heads * network.num_outputs)
        self.num_outputs, self.packed = network.num_outputs, packed and bidirectional

    def forward(self, inputs: Tensor, lengths: Tensor, task_id: int) -> Tensor:
        """[T, B, C] of a task's head."""
        if self.packed:
            hidden = self.recurrent(pack_padded_sequence(inputs, lengths, enforce_sorted=False))[0]
            hidden = pad_packed_sequence(hidden, total_length=inputs.shape[0])[0]
        else:
            hidden = self.recurrent(inputs)[0]
        if self.output is not None:
            hidden = torch.tanh(self.output(hidden))
        columns = slice(task_id * self.num_outputs, (task_id + 1) * self.num_outputs)
        return nn.functional.linear(hidden, self.heads.weight[columns], self.heads.bias[columns])


class TorchHypernetwork(nn.Module):
    """A chunked hypernetwork with shared chunk embeddings and the present values of ours.

    Args:
      source: Ours.
    """

    def __init__(self, source: Hypernetwork) -> None:
        super().__init__()
        self.num_weights = source.num_weights
        self.activation = _ACTIVATIONS[source.config.activation]
        self.chunks = _parameter(source.shared_chunk_embeddings)
        self.tasks = nn.ParameterList(_parameter(embedding) for embedding in source.embeddings().of_tasks)
        self.layers = nn.ModuleList()
        for kernel, bias in zip(source.kernels, source.biases, strict=True):
            layer = nn.Linear(*kernel.shape)
            layer.weight, layer.bias = nn.Parameter(_parameter(kernel).T.contiguous()), _parameter(bias)
            self.layers.append(layer)

    def one(self, task_id: int) -> Tensor:
        """[W] of one task."""
        task = self.tasks[task_id].expand(len(self.chunks), -1)
        return self._mlp(torch.cat([self.chunks, task], dim=-1)).reshape(-1)[: self.num_weights]

    def several(self, task_ids: Sequence[int]) -> Tensor:
        """[n, W] of several tasks in one call."""
        tasks = torch.stack([self.tasks[task_id] for task_id in task_ids])[:, None].expand(-1, len(self.chunks), -1)
        chunks = self.chunks.expand(len(task_ids), -1, -1)
        return self._mlp(torch.cat([chunks, tasks], dim=-1)).flatten(1)[:, : self.num_weights]

    def _mlp(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


def reverse_sequences(x: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of [T, B, F] backwards, its padding left where it is."""
    steps = torch.arange(x.shape[0])[:, None]
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, index[:, :, None].expand_as(x))


def _parameter(variable: object) -> nn.Parameter:
    return nn.Parameter(torch.tensor(variable.numpy()))
