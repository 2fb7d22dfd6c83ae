import keras
import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SharedWeights
from clrnn_tf.networks.weights import (
    orthogonal_penalty,
    pack,
    require_heads_last,
    task_indices,
    total_size,
    unpack,
    unpack_task,
)
from tests import golden

V1 = [
    -0.387652085,
    -1.201742344,
    -0.390549631,
    -1.208655981,
    -0.426825188,
    -1.177394432,
    -0.355180141,
    -1.093304185,
    -0.319518043,
    -1.042410215,
    -0.271893378,
    -1.048081884,
]
V2 = [
    0.468258449,
    0.181852458,
    0.478888865,
    0.283991185,
    0.497679009,
    0.402265855,
    0.477690658,
    0.557897582,
    0.415563538,
    0.550676613,
    0.367972822,
    0.543742032,
]
V3_ELMAN = [
    -0.283636543,
    -0.827539071,
    -0.269377906,
    -0.827870242,
    -0.250780932,
    -0.817489016,
    -0.207416962,
    -0.791642550,
    -0.183858801,
    -0.776341110,
    -0.175895205,
    -0.772106528,
]
V3_LSTM = [
    0.488094209,
    0.297448888,
    0.483234302,
    0.368068958,
    0.492771858,
    0.441098170,
    0.500792431,
    0.537518969,
    0.521104457,
    0.571274818,
    0.527780755,
    0.600061228,
]
V3_SOFTPLUS = [
    -0.065069659,
    -0.032671691,
    -0.071173459,
    0.001607284,
    -0.082807940,
    0.033053576,
    -0.108613893,
    0.082296851,
    -0.136638626,
    0.076141574,
    -0.152369546,
    0.079441703,
]
V4_BACKWARD = [
    0.149450727,
    -0.114743435,
    0.119055098,
    0.002599875,
    0.075285155,
    0.178743343,
    0.054625601,
    0.263683594,
    0.048639171,
    0.283881873,
]
V4_BOTH = [
    0.255414122,
    -0.110031467,
    0.211650122,
    -0.005898595,
    0.165728316,
    0.153457565,
    0.107860402,
    0.236222541,
    0.096634973,
    0.252309505,
    0.066616021,
    0.241303730,
]


def network_of(cell, hidden, features, outputs, tasks=1, **options):
    config = NetworkConfig(cell=cell, hidden_sizes=hidden, **options)
    return RecurrentNetwork(config, num_features=features, num_outputs=outputs, num_tasks=tasks)


def golden_network(cell):
    make = golden.Filled()
    recurrent = golden.elman_weights if cell == "elman" else golden.lstm_weights
    weights = golden.tensors({**recurrent(make, "recurrent0/forward", 3, 4), **golden.head_weights(make, 4, 2)})
    return network_of(cell, (4,), 3, 2), weights


def run(network, weights, lengths=(3, 3), x=None):
    x = golden.inputs() if x is None else x
    return network(weights, tf.constant(x, tf.float64), tf.constant(lengths), tf.constant(0))


@pytest.mark.parametrize(
    ("cell", "expected", "loss", "norms", "orthogonal"),
    [
        (
            "elman",
            V1,
            8.458853940,
            {
                "recurrent0/forward/kernel": 1.103405445,
                "recurrent0/forward/bias": 0.779660294,
                "recurrent0/forward/recurrent_kernel": 0.511412848,
                "recurrent0/forward/output_kernel": 4.496454392,
                "recurrent0/forward/output_bias": 9.271841039,
                "head/kernel": 11.467695097,
                "head/bias": 14.210401848,
            },
            6.424930743,
        ),
        (
            "lstm",
            V2,
            2.418259301,
            {
                "recurrent0/forward/kernel": 1.182093001,
                "recurrent0/forward/bias": 1.664708818,
                "recurrent0/forward/recurrent_kernel": 0.364603588,
                "head/kernel": 1.523588947,
                "head/bias": 7.396017987,
            },
            24.557495314,
        ),
    ],
)
def test_golden_outputs_gradients_and_orthogonal_penalty(cell, expected, loss, norms, orthogonal):
    network, weights = golden_network(cell)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs = run(network, weights)
        value = tf.reduce_sum(tf.square(outputs.logits))
    gradients = tape.gradient(value, weights)
    np.testing.assert_allclose(golden.time_major(outputs.logits), expected, atol=1e-8)
    np.testing.assert_allclose(value, loss, rtol=1e-8)
    for name, norm in norms.items():
        np.testing.assert_allclose(np.linalg.norm(gradients[name]), norm, rtol=1e-7, err_msg=name)
    np.testing.assert_allclose(2 * orthogonal_penalty(weights, network.weight_specs), orthogonal, rtol=1e-8)


def test_golden_states():
    network, weights = golden_network("elman")
    outputs = run(network, weights)
    np.testing.assert_allclose(outputs.hidden[0][1, 2], [0.628175474, 0.070491671, 0.115438606, 0.623152139], atol=1e-8)
    np.testing.assert_allclose(
        outputs.states[0][1, 2], [-0.853454136, -0.546897914, 0.206375798, 0.580355991], atol=1e-8
    )
    network, weights = golden_network("lstm")
    outputs = run(network, weights)
    np.testing.assert_allclose(
        outputs.hidden[0][1, 2], [0.035833369, 0.143670169, 0.184224995, -0.411624333], atol=1e-8
    )
    np.testing.assert_allclose(
        outputs.states[0][1, 2], [0.126229876, 0.255357004, 0.231764314, -0.604734114], atol=1e-8
    )


@pytest.mark.parametrize(
    ("cell", "norms"),
    [
        (
            "elman",
            {
                "recurrent0/forward/kernel": 0.565598519,
                "recurrent0/forward/bias": 0.357043276,
                "recurrent0/forward/recurrent_kernel": 0.270671743,
                "recurrent0/forward/output_kernel": 3.691551010,
                "recurrent0/forward/output_bias": 3.149639939,
                "head/kernel": 11.467695097,
                "head/bias": 14.210401848,
            },
        ),
        (
            "lstm",
            {
                "recurrent0/forward/kernel": 1.053592758,
                "recurrent0/forward/bias": 0.664680852,
                "recurrent0/forward/recurrent_kernel": 0.084475784,
                "head/kernel": 1.523588947,
                "head/bias": 7.396017987,
            },
        ),
    ],
)
def test_golden_gradients_of_truncated_backpropagation(cell, norms):
    network, weights = golden_network(cell)
    x = tf.constant(golden.inputs())
    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = tf.reduce_sum(tf.square(network(weights, x, tf.fill([2], 3), tf.constant(0), truncate=1).logits))
    gradients = tape.gradient(value, weights)
    assert gradients.keys() == norms.keys()
    for name, norm in norms.items():
        np.testing.assert_allclose(np.linalg.norm(gradients[name]), norm, rtol=1e-7, err_msg=name)


@pytest.mark.parametrize(("cell", "expected"), [("elman", V3_ELMAN), ("lstm", V3_LSTM)])
def test_golden_masks(cell, expected):
    network, weights = golden_network(cell)
    weights["recurrent0/forward/gain"] = tf.constant([1, 0, 1, 0], tf.float64)
    np.testing.assert_allclose(golden.time_major(run(network, weights).logits), expected, atol=1e-8)


def test_golden_softplus_gains_of_the_lstm_and_its_output_layer():
    network, weights = golden_network("lstm")
    make = golden.Filled(20)
    for name, size in (("recurrent0/forward", 4), ("head", 2)):
        weights[f"{name}/gain"] = tf.math.softplus(tf.constant(make(size)))
        weights[f"{name}/shift"] = tf.constant(make(size))
    np.testing.assert_allclose(golden.time_major(run(network, weights).logits), V3_SOFTPLUS, atol=1e-8)


def test_modulation_specs_name_every_hidden_layer_and_the_head_apart():
    network = network_of("lstm", (4, 5), 3, 2, tasks=3, direction="bidirectional", dense_before=(6,), dense_after=(7,))
    gains = [(spec.name, spec.shape) for spec in network.modulation_specs if spec.kind == "gain"]
    assert gains == [
        ("dense_before0/gain", (6,)),
        ("recurrent0/forward/gain", (4,)),
        ("recurrent0/backward/gain", (4,)),
        ("recurrent1/forward/gain", (5,)),
        ("recurrent1/backward/gain", (5,)),
        ("dense_after0/gain", (7,)),
    ]
    assert [spec.name.replace("shift", "gain") for spec in network.modulation_specs[1::2]] == [n for n, _ in gains]
    assert network.head_modulation_specs == (("head/gain", (2,), "gain"), ("head/shift", (2,), "shift"))
    assert total_size(network.modulation_specs) == 2 * (6 + 4 + 4 + 5 + 5 + 7)


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_gain_1_and_shift_0_change_nothing(cell):
    network = network_of(cell, (4,), 3, 2, tasks=3, direction="bidirectional", dense_before=(5,), dense_after=(6,))
    weights = SharedWeights(network.weight_specs)(tf.constant(0))
    specs = [*network.modulation_specs, *network.head_modulation_specs]
    neutral = {spec.name: tf.fill(spec.shape, 1.0 if spec.kind == "gain" else 0.0) for spec in specs}
    x, lengths = tf.random.stateless_normal([3, 4, 3], [1, 1]), tf.constant([4, 2, 3])
    plain = network(weights, x, lengths, tf.constant(1)).logits
    np.testing.assert_allclose(network({**weights, **neutral}, x, lengths, tf.constant(1)).logits, plain, atol=1e-6)


def test_masked_units_of_dense_layers_are_silent():
    network = network_of("lstm", (4,), 3, 2, dense_after=(6,))
    weights = SharedWeights(network.weight_specs)(tf.constant(0))
    x, lengths = tf.random.stateless_normal([3, 4, 3], [1, 1]), tf.fill([3], 4)
    silent = tf.constant([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    masked = network({**weights, "dense_after0/gain": silent}, x, lengths, tf.constant(0)).logits
    weights["head/kernel"] *= silent[:, None]  # tanh(0) = 0
    np.testing.assert_allclose(masked, network(weights, x, lengths, tf.constant(0)).logits, atol=1e-6)


def golden_bilstm():
    make = golden.Filled()
    weights = {
        **golden.lstm_weights(make, "recurrent0/forward", 3, 2),
        **golden.lstm_weights(make, "recurrent0/backward", 3, 2),
        **golden.head_weights(make, 4, 2),
    }
    x = golden.inputs()
    x[1, 2] = 0.0
    return weights, x


def test_golden_bidirectional_with_lengths():
    weights, x = golden_bilstm()
    network = network_of("lstm", (2,), 3, 2, direction="bidirectional")
    outputs = run(network, golden.tensors(weights), (3, 2), x)
    np.testing.assert_allclose(golden.time_major(outputs.logits), V4_BOTH, atol=1e-8)


def test_backward_direction_is_what_the_published_bilstm_computes_at_real_steps():
    weights, x = golden_bilstm()
    weights["head/kernel"] = weights["head/kernel"][:, 2:]  # the published forward half is 0 at real steps
    backward = {name: value for name, value in weights.items() if "forward" not in name}
    network = network_of("lstm", (2,), 3, 2, direction="backward")
    outputs = run(network, golden.tensors(backward), (3, 2), x)
    np.testing.assert_allclose(golden.time_major(outputs.logits)[:10], V4_BACKWARD, atol=1e-8)


def test_lstm_equals_keras_with_a_mask_in_both_directions():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, 7, 3)).astype(np.float32)
    lengths = np.array([7, 1, 4, 6, 2], np.int32)
    layer = keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True))
    mask = np.arange(7) < lengths[:, None]
    reference = layer(x, mask=mask).numpy() * mask[..., None]
    network = network_of("lstm", (6,), 3, 2, direction="bidirectional")
    weights = SharedWeights(network.weight_specs)(tf.constant(0))
    for direction, keras_layer in (("forward", layer.forward_layer), ("backward", layer.backward_layer)):
        for name, value in zip(("kernel", "recurrent_kernel", "bias"), keras_layer.get_weights(), strict=True):
            weights[f"recurrent0/{direction}/{name}"] = tf.constant(value)
    outputs = network(weights, tf.constant(x), tf.constant(lengths), tf.constant(0))
    np.testing.assert_allclose(outputs.hidden[0], reference, atol=2e-7)


def test_stacked_layers_equal_stacked_keras_layers():
    x = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32)
    layers = [keras.layers.LSTM(units, return_sequences=True) for units in (6, 2)]
    reference = x
    for layer in layers:
        reference = layer(reference)
    network = network_of("lstm", (6, 2), 3, 4)
    weights = SharedWeights(network.weight_specs)(tf.constant(0))
    for index, layer in enumerate(layers):
        for name, value in zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=True):
            weights[f"recurrent{index}/forward/{name}"] = tf.constant(value)
    outputs = network(weights, tf.constant(x), tf.fill([4], 5), tf.constant(0))
    np.testing.assert_allclose(outputs.hidden[1], reference, atol=2e-7)


def test_padding_changes_nothing():
    network = network_of("lstm", (4,), 3, 2, direction="bidirectional", dense_before=(5,), dense_after=(6,))
    weights = SharedWeights(network.weight_specs)(tf.constant(0))
    x = np.random.default_rng(0).normal(size=(1, 4, 3)).astype(np.float32)
    short = network(weights, tf.constant(x), tf.constant([4]), tf.constant(0)).logits
    padded = np.concatenate([x, np.full((1, 3, 3), 7.0, np.float32)], axis=1)
    long = network(weights, tf.constant(padded), tf.constant([4]), tf.constant(0)).logits
    np.testing.assert_allclose(long[:, :4], short, atol=1e-6)


def test_every_example_gets_its_own_head():
    network = network_of("elman", (4,), 3, 2, tasks=3)
    weights = SharedWeights(network.weight_specs, seed=5)(tf.constant(0))
    x, lengths = tf.random.stateless_normal([3, 4, 3], [1, 1]), tf.fill([3], 4)
    by_row = network(weights, x, lengths, tf.constant([2, 0, 1])).logits
    for row, head in enumerate([2, 0, 1]):
        whole = network(weights, x, lengths, tf.constant(head)).logits
        np.testing.assert_allclose(by_row[row], whole[row], atol=1e-6)
        only = {**weights, **{name: weights[name][head : head + 1] for name in ("head/kernel", "head/bias")}}
        single = network_of("elman", (4,), 3, 2)(only, x, lengths, tf.constant(0)).logits
        np.testing.assert_allclose(whole, single, atol=1e-6)


def test_the_weights_of_a_task_are_the_body_and_one_head():
    specs = network_of("elman", (4,), 3, 2, tasks=3).weight_specs
    flat = tf.range(float(total_size(specs)))
    whole = unpack(flat, specs)
    own = unpack_task(tf.gather(flat, task_indices(specs, 1)), specs)
    for name in ("head/kernel", "head/bias"):
        np.testing.assert_array_equal(own[name], whole[name][1:2])
    np.testing.assert_array_equal(own["recurrent0/forward/kernel"], whole["recurrent0/forward/kernel"])


@pytest.mark.parametrize(
    ("options", "features", "outputs", "tasks", "published", "biases_less"),
    [
        ({"cell": "elman"}, 8, 7, 5, 142883, 256),
        ({"cell": "elman", "heads": "single"}, 8, 7, 5, 135687, 256),
        ({"cell": "lstm"}, 4, 2, 5, 270858, 1024),
        ({"cell": "lstm", "hidden_sizes": (32,)}, 128, 10, 10, 24036, 128),
        ({"cell": "lstm", "hidden_sizes": (32,), "direction": "bidirectional"}, 64, 17, 20, 47188, 256),
    ],
)
def test_sizes_are_the_published_ones_less_the_second_bias(options, features, outputs, tasks, published, biases_less):
    network = RecurrentNetwork(NetworkConfig(**options), features, outputs, tasks)
    assert total_size(network.weight_specs) == published - biases_less


def test_pack_is_the_inverse_of_unpack():
    network = network_of("lstm", (4,), 3, 2)
    flat = tf.range(float(total_size(network.weight_specs)))
    np.testing.assert_array_equal(pack(unpack(flat, network.weight_specs), network.weight_specs), flat)


def test_shared_weights_start_within_the_published_bounds():
    network = network_of("lstm", (256,), 4, 2)
    weights = SharedWeights(network.weight_specs, seed=1)(tf.constant(0))
    for name, bound in (("kernel", 0.5), ("recurrent_kernel", 0.0625), ("bias", 0.5)):
        value = weights[f"recurrent0/forward/{name}"].numpy()
        assert 0.98 * bound < np.abs(value).max() <= bound
    network = network_of("lstm", (32,), 64, 17, direction="bidirectional")
    weights = SharedWeights(network.weight_specs, seed=1)(tf.constant(0))
    assert 0.17 < np.abs(weights["recurrent0/backward/kernel"].numpy()).max() <= 1 / np.sqrt(32)
    assert np.abs(weights["head/kernel"].numpy()).max() <= 0.125


def test_the_gradient_of_the_orthogonal_penalty_is_that_of_automatic_differentiation():
    network = network_of("lstm", (3,), 4, 2)
    weights = {spec.name: tf.constant(golden.fill(7, spec.shape)) for spec in network.weight_specs}
    kernel = weights["recurrent0/forward/recurrent_kernel"]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(kernel)
        value = 3.0 * orthogonal_penalty(weights, network.weight_specs)
        blocks = tf.split(kernel, 4, axis=1)
        errors = [tf.matmul(block, block, transpose_a=True) - tf.eye(3, dtype=block.dtype) for block in blocks]
        plain = 3.0 * tf.add_n([tf.reduce_sum(tf.square(error)) for error in errors])
    np.testing.assert_allclose(value, plain)
    np.testing.assert_allclose(tape.gradient(value, kernel), tape.gradient(plain, kernel), rtol=1e-6)


def test_orthogonal_start_has_no_orthogonal_penalty():
    network = network_of("lstm", (8,), 4, 2, recurrent_initializer="orthogonal")
    weights = SharedWeights(network.weight_specs, seed=1, orthogonal=True)(tf.constant(0))
    assert float(orthogonal_penalty(weights, network.weight_specs)) < 1e-9


def test_sizes_must_be_positive():
    with pytest.raises(ConfigurationError, match=r"network.hidden_sizes must hold sizes above 0. Received: \(0,\)"):
        NetworkConfig(hidden_sizes=(0,))


@pytest.mark.parametrize("dense_after", [(), (6,)])
def test_features_are_what_the_heads_read(dense_after):
    config = NetworkConfig(cell="elman", hidden_sizes=(5, 4), dense_before=(7,), dense_after=dense_after)
    network = RecurrentNetwork(config, 3, 2, 1)
    weights = {
        spec.name: tf.random.stateless_normal(spec.shape, [index, 0]) for index, spec in enumerate(network.weight_specs)
    }
    lengths = tf.constant([2, 4, 3])
    outputs = network(weights, tf.random.stateless_normal([3, 4, 3], [0, 1]), lengths, tf.constant(0))
    assert outputs.features.shape == (3, 4, 6 if dense_after else 4)
    logits = outputs.features @ weights["head/kernel"][0] + weights["head/bias"][0]
    np.testing.assert_allclose(outputs.logits, logits, atol=1e-5)


def test_heads_come_last_and_have_specs_to_themselves():
    network = network_of("lstm", (4,), 3, 2, tasks=3, dense_after=(6,))
    assert network.weight_specs[-2:] == network.head_specs
    assert [spec.name for spec in network.head_specs] == ["head/kernel", "head/bias"]
    with pytest.raises(ValueError, match="tensors of heads must come last. Received: head/kernel, head/bias, rec"):
        require_heads_last([*network.head_specs, *network.weight_specs[:-2]])


def test_weights_that_lack_a_tensor_are_refused():
    network, weights = golden_network("elman")
    del weights["head/bias"]
    with pytest.raises(ValueError, match="weights must hold every tensor of the network. Missing: head/bias."):
        run(network, weights)
