"""The LSTM: against torch.nn.LSTM, streaming, resets, the burn-in's cut gradient, dropout, directions and size."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.lstm import BitDropout, LSTMStack, one_step

# By hand: a layer has 4 (inputs x units + units^2 + units) parameters, the head 256 x 12 + 12.
PARAMETERS = [
    ({}, 1024, 2_365_452),
    ({}, 4096, 5_511_180),
    ({}, 12, 1_329_164),
    ({"layers": 1}, 1024, 1_311_744 + 3_084),
    ({"hidden": 40}, 1024, 196_812),
    ({"bidirectional": True}, 1024, 2 * 1_311_744 + 2 * 2 * 4 * (512 * 256 + 256 * 256 + 256) + 512 * 12 + 12),
    ({"head": "hidden"}, 1024, 1_311_744 + 525_312 + 4 * (256 * 12 + 12 * 12 + 12)),
]


@pytest.mark.parametrize(("options", "inputs", "expected"), PARAMETERS)
def test_number_of_parameters(options, inputs, expected):
    model = LSTMStack(**options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 2, inputs)))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) == expected


@functools.cache
def _model(**options):
    """A small LSTM with its parameters and its compiled `apply`."""
    model = LSTMStack(**{"layers": 2, "hidden": 6, "init_range": 0.5, **options})
    shapes, rng = jax.eval_shape(model.init, jax.random.key(0), _features()), np.random.default_rng(0)
    scale = model.init_range
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(-scale, scale, leaf.shape), jnp.float32), shapes)
    return model, params, jax.jit(model.apply, static_argnames=("train", "method"))


def _features():
    return jax.random.normal(jax.random.key(5), (3, 11, 7))


def _copy_to_torch(torch, params, layers, hidden, inputs, bidirectional):
    lstm = torch.nn.LSTM(inputs, hidden, layers, batch_first=True, bidirectional=bidirectional)
    params = params["params"]
    with torch.no_grad():
        for layer in range(layers):
            for ours, suffix in (("forward", ""), ("backward", "_reverse"))[: 1 + bidirectional]:
                tree = params[f"{ours}_{layer}"]
                for name, value in {
                    "weight_ih": tree["input"]["kernel"].T,
                    "weight_hh": tree["recurrent"]["cell"]["kernel"].T,
                    "bias_ih": tree["input"]["bias"],
                    "bias_hh": jnp.zeros(4 * hidden),
                }.items():
                    getattr(lstm, f"{name}_l{layer}{suffix}").copy_(torch.tensor(np.asarray(value)))
    return lstm


@pytest.mark.parametrize("bidirectional", [False, True])
def test_forward_pass_and_gradients_agree_with_torch(bidirectional):
    torch = pytest.importorskip("torch")
    model, params, _ = _model(layers=3, bidirectional=bidirectional)
    features, weights = _features(), np.random.default_rng(0).normal(size=(3, 11, 12)).astype(np.float32)

    def loss(params, features):
        scores, _ = model.apply(params, features)
        return jnp.sum(scores * weights), scores

    (_, scores), (gradients, feature_gradient) = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(
        params, features
    )
    lstm = _copy_to_torch(torch, params, 3, 6, 7, bidirectional)
    head = params["params"]["readout"]
    kernel = torch.tensor(np.asarray(head["kernel"]), requires_grad=True)
    inputs = torch.tensor(np.asarray(features), requires_grad=True)
    expected = torch.tanh(lstm(inputs)[0] @ kernel + torch.tensor(np.asarray(head["bias"])))
    (expected * torch.tensor(weights)).sum().backward()

    np.testing.assert_allclose(scores, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(feature_gradient, inputs.grad.numpy(), atol=1e-5)
    np.testing.assert_allclose(gradients["params"]["readout"]["kernel"], kernel.grad.numpy(), atol=1e-5, rtol=1e-5)
    for layer in range(3):
        for ours, suffix in (("forward", ""), ("backward", "_reverse"))[: 1 + bidirectional]:
            tree = gradients["params"][f"{ours}_{layer}"]
            for name, gradient in {
                "weight_ih": tree["input"]["kernel"].T,
                "weight_hh": tree["recurrent"]["cell"]["kernel"].T,
                "bias_ih": tree["input"]["bias"],
            }.items():
                theirs = getattr(lstm, f"{name}_l{layer}{suffix}").grad.numpy()
                np.testing.assert_allclose(gradient, theirs, atol=1e-5, rtol=1e-5)


def test_frame_by_frame_with_the_carry_equals_the_whole_sequence():
    model, params, apply = _model()
    features = _features()
    reset = jnp.zeros((3, 11), bool).at[1, 4].set(True)
    whole, last = apply(params, features, reset, model.initial_carry(3))
    carry, frames = model.initial_carry(3), []
    for t in range(11):
        scores, carry = apply(params, features[:, t : t + 1], reset[:, t : t + 1], carry)
        frames.append(scores)
    np.testing.assert_allclose(jnp.concatenate(frames, axis=1), whole, atol=1e-6)
    for streamed, expected in zip(jax.tree.leaves(carry), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(streamed, expected, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_reset_separates_videos_as_if_they_were_run_alone(bidirectional):
    _, params, apply = _model(bidirectional=bidirectional)
    features = _features()[:, :8]
    reset = jnp.zeros((3, 8), bool).at[:, 4].set(True)
    together, _ = apply(params, features, reset)
    alone = [apply(params, features[:, part])[0] for part in (slice(0, 4), slice(4, 8))]
    np.testing.assert_allclose(together, jnp.concatenate(alone, axis=1), atol=1e-6)


def test_a_reset_acts_on_its_own_sequence_only():
    _, params, apply = _model()
    features = _features()
    plain, _ = apply(params, features, jnp.zeros((3, 11), bool))
    one, _ = apply(params, features, jnp.zeros((3, 11), bool).at[1, 4].set(True))
    np.testing.assert_allclose(one[jnp.asarray([0, 2])], plain[jnp.asarray([0, 2])], atol=1e-7)
    np.testing.assert_allclose(one[1, :4], plain[1, :4], atol=1e-7)
    assert np.abs(one[1, 4:] - plain[1, 4:]).max() > 1e-3


def test_bidirectional_scores_depend_on_later_frames_and_refuse_a_carry():
    features = _features()
    changed = features.at[:, -1].add(1.0)
    for bidirectional, depends in ((True, True), (False, False)):
        _, params, apply = _model(bidirectional=bidirectional)
        difference = np.asarray(apply(params, features)[0] - apply(params, changed)[0])[:, 0]
        assert (np.abs(difference).max() > 1e-6) == depends
    model, params, apply = _model(bidirectional=True)
    assert apply(params, features)[1] is None
    with pytest.raises(ValueError, match="bidirectional LSTM takes no carry"):
        model.apply(params, features, None, model.initial_carry(3))


def test_burn_in_gets_no_gradient_and_changes_no_score():
    def scores_and_gradient(model, params):
        def loss(features):
            scores = model.apply(params, features)[0]
            return jnp.sum(scores[:, 4:]), scores

        (_, scores), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(_features())
        return scores, np.asarray(gradient)

    plain, params, _ = _model()
    cut_scores, gradient = scores_and_gradient(plain.clone(stop_gradient_step=4), params)
    scores, full = scores_and_gradient(plain, params)
    np.testing.assert_array_equal(cut_scores, scores)
    np.testing.assert_array_equal(gradient[:, :4], jnp.zeros((3, 4, 7)))
    assert np.abs(full[:, 3]).min() > 0.0
    np.testing.assert_allclose(gradient[:, 4:], full[:, 4:], atol=1e-6)


def test_recomputing_chunks_changes_neither_scores_nor_carry_nor_gradients():
    model, params, _ = _model(layers=1)

    def run(chunk):
        def loss(params, features):
            outputs = model.clone(remat_chunk=chunk).apply(params, features)
            return jnp.sum(outputs[0]), outputs

        return jax.tree.leaves(jax.jit(jax.value_and_grad(loss, has_aux=True))(params, _features()))

    expected = run(None)
    for chunk in (4, 11, 50):  # with a remainder, exact, and longer than the 11 steps
        for ours, theirs in zip(run(chunk), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-5)


def test_dropout_is_fresh_per_step_and_variational_is_not():
    # Constant input, no recurrence: without dropout every step is alike, so differences between steps are the masks'.
    features = jnp.ones((2, 8, 7))
    for variational, alike in ((False, False), (True, True)):
        _, params, apply = _model(layers=1, variational=variational)
        everywhere_reset = jnp.ones((2, 8), bool)
        scores, _ = apply(params, features, everywhere_reset, train=True, rngs={"dropout": jax.random.key(1)})
        assert np.allclose(scores, jnp.broadcast_to(scores[:, :1], scores.shape), atol=1e-6) == alike


def test_dropout_leaves_the_recurrent_path_alone():
    # With every input dropped but the state given, the hidden state must still follow the recurrent weights untouched.
    _, params, drop_all = _model(layers=1, dropout=1.0)
    _, _, plain = _model(layers=1)
    carry = ((jnp.full((2, 6), 0.3), jnp.full((2, 6), 0.2)),)
    zeros, ones = jnp.zeros((2, 5, 7)), jnp.ones((2, 5, 7))
    dropped, _ = drop_all(
        params, ones, None, carry, train=True, rngs={"dropout": jax.random.key(1)}, method="hidden_states"
    )
    expected, _ = plain(params, zeros, None, carry, method="hidden_states")
    assert np.abs(expected[:, -1]).max() > 1e-3
    np.testing.assert_allclose(dropped, expected, atol=1e-6)


def test_initial_weights_are_uniform_within_the_range_and_biases_zero():
    model = LSTMStack(layers=2, hidden=32, forget_bias=1.0)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 1, 40)))["params"]
    for layer in ("forward_0", "forward_1"):
        for kernel in (params[layer]["input"]["kernel"], params[layer]["recurrent"]["cell"]["kernel"]):
            assert np.abs(kernel).max() <= 0.08 and np.abs(kernel).max() > 0.079
            assert np.std(kernel) == pytest.approx(0.08 / math.sqrt(3), rel=0.05)
        expected = np.repeat([0.0, 1.0, 0.0, 0.0], 32)
        np.testing.assert_array_equal(params[layer]["input"]["bias"], expected)


@pytest.mark.parametrize("head", ["tanh", "hidden"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_scores_stay_within_minus_one_and_one(head, bidirectional):
    _, params, apply = _model(layers=1, head=head, bidirectional=bidirectional, init_range=5.0)
    scores, _ = apply(params, 10.0 * _features())
    assert scores.shape == (3, 11, 12)
    assert np.abs(scores).max() <= 1.0 and np.abs(scores).max() > 0.5


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="unknown LSTM head 'softmax'; choose 'tanh', 'logit' or 'hidden'"):
        LSTMStack(head="softmax").init(jax.random.key(0), jnp.zeros((1, 2, 3)))
    model, params, _ = _model()
    with pytest.raises(ValueError, match="carry has 1 layers where the LSTM has 2"):
        model.apply(params, _features(), None, model.initial_carry(3)[:1])


def _drop(rate, x, deterministic=False, **options):
    return np.asarray(BitDropout(rate, **options).apply({}, x, deterministic, rngs={"dropout": jax.random.key(0)}))


@pytest.mark.parametrize(("rate", "kept"), [(0.5, 128), (0.25, 192), (0.8125, 48), (0.2, 205), (0.9, 26)])
def test_dropout_share_and_scale_of_what_is_kept(rate, kept):
    dropped = _drop(rate, jnp.full((101, 333), 3.0))
    share = kept / 256
    assert share == pytest.approx(1 - rate, abs=1 / 512)
    # Five standard deviations of a binomial of 33,633 draws.
    assert np.mean(dropped > 0) == pytest.approx(share, abs=5 * (share * (1 - share) / dropped.size) ** 0.5)
    np.testing.assert_allclose(dropped[dropped > 0], 3.0 / share, rtol=1e-6)


def test_dropout_neighbours_are_independent():
    mask = _drop(0.5, jnp.ones((64, 1000))).reshape(-1) > 0
    for lag in (1, 2, 3, 4, 8, 31, 32, 33, 1000):
        assert np.corrcoef(mask[:-lag], mask[lag:])[0, 1] == pytest.approx(0, abs=5 / mask.size**0.5)


def test_dropout_nothing_and_everything():
    x = jnp.asarray([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(_drop(0.0, x), x)
    np.testing.assert_array_equal(_drop(0.5, x, deterministic=True), x)
    np.testing.assert_array_equal(_drop(1.0, x), jnp.zeros_like(x))


def test_dropout_one_mask_along_an_axis():
    dropped = _drop(0.5, jnp.ones((2, 9, 50)), broadcast_dims=(1,))
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    assert 0 < (dropped[:, 0] == 0).mean() < 1


@pytest.mark.parametrize("head", ["tanh", "logit", "hidden"])
def test_single_steps_give_the_stacks_scores_hidden_outputs_and_state(head):
    model = LSTMStack(layers=2, hidden=5, num_outputs=3, head=head)
    features = jax.random.normal(jax.random.key(1), (2, 4, 6))
    params = jax.tree.map(lambda leaf: 5 * leaf, jax.jit(model.init)(jax.random.key(0), features)["params"])
    expected, last = jax.jit(model.apply)({"params": params}, features)
    hidden, _ = jax.jit(lambda params: model.apply({"params": params}, features, method="hidden_states"))(params)
    carry, step = model.initial_carry(2), jax.jit(one_step, static_argnums=0)
    for frame in range(4):
        scores, output, carry = step(model, params, features[:, frame : frame + 1], carry)
        np.testing.assert_allclose(scores[:, 0], expected[:, frame], atol=1e-6)
        np.testing.assert_allclose(output[:, 0], hidden[:, frame], atol=1e-6)
    jax.tree.map(lambda found, wanted: np.testing.assert_allclose(found, wanted, atol=1e-6), carry, last)
