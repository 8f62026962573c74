"""The CNN: its size, its layers against PyTorch, one Caffe-style training step, and that the demo's net learns."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from au_jax.models.cnn import (
    CNN_VARIANTS,
    AlexNet,
    GroupedConv,
    l2_normalise,
    local_response_norm,
    max_pool,
    num_parameters,
)
from au_jax.training.losses import cross_entropy
from au_jax.training.optimizers import caffe_sgd

# (variant, crop in px, pooling) -> parameters, added up by hand from the layer table.
PARAMETERS = {
    ("drml_alexnet", 176, "ceil"): 45_383_052,
    ("drml_alexnet", 176, "floor"): 35_945_868,
    ("drml_alexnet", 227, "ceil"): 56_917_388,
    ("drml_alexnet", 227, "floor"): 56_917_388,
    ("bvlc_alexnet", 176, "ceil"): 45_383_052,
    ("demo", 68, "ceil"): 1_494_444,
}


@pytest.mark.parametrize(("variant", "crop_size", "pool_rounding"), PARAMETERS)
def test_number_of_parameters(variant, crop_size, pool_rounding):
    model = AlexNet(variant=variant, pool_rounding=pool_rounding)
    assert num_parameters(model, crop_size) == PARAMETERS[variant, crop_size, pool_rounding]


def test_every_variant_has_a_row_in_the_table():
    assert {variant for variant, _, _ in PARAMETERS} == set(CNN_VARIANTS)


def test_layers_of_the_papers_network_at_176_pixels():
    model = AlexNet()
    image = jax.ShapeDtypeStruct((2, 176, 176, 3), jnp.float32)
    (logits, out), _ = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), image)
    shapes = {name: layer.shape[1:] for name, layer in out.items()}
    assert logits.shape == (2, 12)
    assert shapes == {
        "conv1": (42, 42, 96),
        "pool1": (21, 21, 96),
        "norm1": (21, 21, 96),
        "conv2": (21, 21, 256),
        "pool2": (10, 10, 256),
        "norm2": (10, 10, 256),
        "conv3": (10, 10, 384),
        "conv4": (10, 10, 384),
        "conv5": (10, 10, 256),
        "pool5": (5, 5, 256),
        "fc6": (4096,),
        "fc7_raw": (4096,),
        "fc7": (4096,),
        "fc8": (12,),
    }


@pytest.mark.parametrize("variant", CNN_VARIANTS)
def test_every_variant_names_the_same_layers(variant):
    names = {layer.name for layer in CNN_VARIANTS[variant].layers}
    assert {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"} <= names


def _random(model, images):
    """Parameters of the right shapes that keep the signal's size, drawn by NumPy (compiling `init` takes seconds)."""
    rng = np.random.default_rng(0)

    def draw(shape):
        fan_in = max(int(np.prod(shape.shape[:-1])), 1)
        return jnp.asarray(
            rng.normal(0, (2 / fan_in) ** 0.5 if len(shape.shape) > 1 else 0.1, shape.shape), jnp.float32
        )

    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(images)))


@functools.cache
def _demo():
    """A narrow demo network, its images, its parameters and its compiled `apply`."""
    model = AlexNet("demo", width=0.25)
    images = jax.random.uniform(jax.random.key(1), (3, 64, 64, 3), minval=-100, maxval=100)
    return model, images, _random(model, images), jax.jit(model.apply, static_argnames="train")


def test_initial_biases_and_spreads_are_those_of_the_solver():
    model = AlexNet(width=0.25)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 99, 99, 3)))["params"]
    biases = {name: float(layer["bias"][0]) for name, layer in params.items()}
    assert biases == {
        "conv1": 0, "conv2": 1, "conv3": 0, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1, "fc8": 0
    }  # fmt: skip
    assert np.std(params["conv2"]["kernel"]) == pytest.approx(0.01, rel=0.05)
    assert np.std(params["fc7"]["kernel"]) == pytest.approx(0.005, rel=0.05)
    biases = {layer.name: layer.bias for layer in CNN_VARIANTS["bvlc_alexnet"].layers if hasattr(layer, "bias")}
    assert biases == {"conv1": 0, "conv2": 0.1, "conv3": 0, "conv4": 0.1, "conv5": 0.1, "fc6": 0.1, "fc7": 0.1}


def test_pooling_worked_by_hand():
    # 4 x 4, windows of 3 every 2: "ceil" has a second window that hangs over the edge by one.
    x = jnp.arange(16, dtype=jnp.float32).reshape(1, 4, 4, 1) - 20.0
    np.testing.assert_array_equal(max_pool(x, 3, 2, "ceil")[0, :, :, 0], [[-10, -9], [-6, -5]])
    np.testing.assert_array_equal(max_pool(x, 3, 2, "floor")[0, :, :, 0], [[-10]])


def _with_gradient(function, x, weigh):
    """Values, and the gradient of their sum, each weighed by `weigh` of the values: one program."""

    def both(x):
        values, pull = jax.vjp(function, x)
        return values, pull(weigh(values))[0]

    return jax.jit(both)(jnp.asarray(x))


@pytest.mark.parametrize(
    ("height", "width", "window", "stride", "ceil"),
    [(10, 21, 3, 2, True), (10, 21, 3, 2, False), (3, 8, 3, 2, True), (9, 7, 2, 2, True), (5, 11, 3, 3, True)],
)
def test_pooling_and_its_gradient_agree_with_torch(height, width, window, stride, ceil):
    torch = pytest.importorskip("torch")
    # A permutation: no two pixels are equal, so that the maximum has one place.
    x = np.random.default_rng(height * 100 + width).permutation(2 * height * width * 3).reshape(2, height, width, 3)
    x = x.astype(np.float32)
    pool = functools.partial(max_pool, window=window, stride=stride, rounding="ceil" if ceil else "floor")
    ours, ours_gradient = _with_gradient(pool, x, lambda values: 2.0 * values)

    theirs_in = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    theirs = torch.nn.functional.max_pool2d(theirs_in, window, stride, ceil_mode=ceil)
    theirs.square().sum().backward()
    np.testing.assert_array_equal(ours, theirs.detach().numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(ours_gradient, theirs_in.grad.numpy().transpose(0, 2, 3, 1))


def test_response_normalisation_worked_by_hand():
    # Three channels, window 3, alpha 3, k 1, beta 1: x_c / (1 + sum of squares of the neighbours and itself).
    out = local_response_norm(jnp.asarray([[1.0, 2.0, 3.0]]), size=3, alpha=3.0, beta=1.0, k=1.0)
    np.testing.assert_allclose(out, [[1 / 6, 2 / 15, 3 / 14]], rtol=1e-6)


def test_response_normalisation_and_its_gradient_agree_with_torch():
    torch = pytest.importorskip("torch")
    x = (np.random.default_rng(0).normal(size=(2, 5, 4, 11)) * 60).astype(np.float32)
    normalise = functools.partial(local_response_norm, size=5, alpha=1e-4, beta=0.75, k=1.0)
    ours, ours_gradient = _with_gradient(normalise, x, jnp.ones_like)
    theirs_in = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    theirs = torch.nn.functional.local_response_norm(theirs_in, 5, alpha=1e-4, beta=0.75, k=1.0)
    theirs.sum().backward()
    np.testing.assert_allclose(ours, theirs.detach().numpy().transpose(0, 2, 3, 1), rtol=2e-5, atol=1e-5)
    gradient = theirs_in.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours_gradient, gradient, rtol=1e-4, atol=1e-5)


def test_grouped_convolution_agrees_with_flax():
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 6))
    ours = GroupedConv(8, 3, 1, 1, groups=2, std=0.1, bias=0.5, dtype=jnp.float32)
    theirs = nn.Conv(8, (3, 3), padding=1, feature_group_count=2)
    params = jax.jit(ours.init)(jax.random.key(1), x)
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), rtol=1e-4, atol=1e-5)


def _torch_twin(torch, params, variant):
    """The same network in PyTorch, ceil pooling, with copied weights; fc6's columns go from H, W, C to C, H, W order."""
    width = {name: layer["kernel"].shape[-1] for name, layer in params.items()}

    def pool_and_norm():
        pool, norm = torch.nn.MaxPool2d(3, 2, ceil_mode=True), torch.nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)
        return [pool, norm] if variant == "drml_alexnet" else [norm, pool]

    modules = {
        "conv1": torch.nn.Conv2d(3, width["conv1"], 11, stride=4),
        "conv2": torch.nn.Conv2d(width["conv1"], width["conv2"], 5, padding=2, groups=2),
        "conv3": torch.nn.Conv2d(width["conv2"], width["conv3"], 3, padding=1),
        "conv4": torch.nn.Conv2d(width["conv3"], width["conv4"], 3, padding=1, groups=2),
        "conv5": torch.nn.Conv2d(width["conv4"], width["conv5"], 3, padding=1, groups=2),
    }
    for name in ("fc6", "fc7", "fc8"):
        modules[name] = torch.nn.Linear(params[name]["kernel"].shape[0], width[name])
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(
        modules["conv1"], relu, *pool_and_norm(),
        modules["conv2"], relu, *pool_and_norm(),
        modules["conv3"], relu, modules["conv4"], relu, modules["conv5"], relu,
        torch.nn.MaxPool2d(3, 2, ceil_mode=True), torch.nn.Flatten(),
        modules["fc6"], relu, modules["fc7"], relu, modules["fc8"],
    )  # fmt: skip
    for name, module in modules.items():
        with torch.no_grad():
            module.weight.copy_(torch.tensor(_to_torch(name, params[name]["kernel"], width["conv5"])))
            module.bias.copy_(torch.tensor(np.asarray(params[name]["bias"])))
    return net, modules


def _to_torch(name, kernel, conv5_width):
    kernel = np.asarray(kernel)
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if name == "fc6":
        side = int((kernel.shape[0] / conv5_width) ** 0.5)
        kernel = kernel.reshape(side, side, conv5_width, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return kernel.T


@pytest.mark.optax
@pytest.mark.parametrize("variant", ["drml_alexnet", "bvlc_alexnet"])
def test_forward_pass_and_caffe_updates_agree_with_torch(variant):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    model = AlexNet(variant, width=1 / 16)
    rng = np.random.default_rng(3)
    images = rng.uniform(-128, 127, size=(4, 83, 83, 3)).astype(np.float32)
    labels = rng.choice([-1, 0, 1], size=(4, 12)).astype(np.int8)
    params = _random(model, images)["params"]
    params["conv1"]["kernel"] = params["conv1"]["kernel"] / 64.0  # the images are 0..255 minus a mean
    net, modules = _torch_twin(torch, params, variant)

    logits, _ = jax.jit(model.apply)({"params": params}, jnp.asarray(images))
    torch_images = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(logits, net(torch_images).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert np.std(np.asarray(logits), axis=0).min() > 1e-4  # the images make a difference

    rate, decay, momentum = 0.01, 5e-4, 0.9
    tx = caffe_sgd(rate, momentum=momentum, weight_decay=decay, bias_multiplier=2.0)
    state = tx.init(params)
    groups = [
        {"params": [m.weight for m in modules.values()], "lr": rate, "weight_decay": decay},
        {"params": [m.bias for m in modules.values()], "lr": 2 * rate, "weight_decay": 0.0},
    ]
    sgd = torch.optim.SGD(groups, momentum=momentum)

    @jax.jit
    def gradient(params):
        def loss(params):
            logits, _ = model.apply({"params": params}, jnp.asarray(images))
            return jnp.mean(cross_entropy(logits, jnp.asarray(labels), "sum"))

        return jax.grad(loss)(params)

    known = torch.tensor(labels != 0)
    for _ in range(2):
        updates, state = tx.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
        sgd.zero_grad()
        terms = torch.nn.functional.binary_cross_entropy_with_logits(
            net(torch_images), torch.tensor((labels > 0).astype(np.float32)), reduction="none"
        )
        (terms * known).sum().div(len(labels)).backward()
        sgd.step()
    for name, module in modules.items():
        expected = module.weight.detach().numpy()
        ours = _to_torch(name, params[name]["kernel"], params["conv5"]["kernel"].shape[-1])
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=2e-6, err_msg=name)
        np.testing.assert_allclose(params[name]["bias"], module.bias.detach().numpy(), rtol=1e-3, atol=2e-6)


def test_fc7_is_the_normalised_relu_output_before_dropout():
    _, images, params, apply = _demo()
    _, out = apply(params, images, train=True, rngs={"dropout": jax.random.key(2)})
    raw = np.asarray(out["fc7_raw"])
    assert raw.min() == 0.0
    np.testing.assert_allclose(out["fc7"], raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-5)


def test_dropout_acts_in_training_only():
    _, images, params, apply = _demo()
    still = [apply(params, images)[0] for _ in range(2)]
    moving = [apply(params, images, train=True, rngs={"dropout": jax.random.key(s)})[0] for s in (1, 2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(np.asarray(moving[0] - moving[1])).max() > 1e-6


def test_zero_vector_has_a_finite_gradient_under_normalisation():
    gradient = jax.grad(lambda x: jnp.sum(l2_normalise(x, eps=1e-12)))(jnp.zeros(4))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(l2_normalise(jnp.asarray([3.0, 4.0]), eps=1e-12), [0.6, 0.8], rtol=1e-6)


def test_half_precision_computes_and_returns_float32_logits():
    model, images, _, _ = _demo()
    model = model.clone(dtype=jnp.bfloat16)
    (logits, out), params = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), images)
    assert logits.dtype == jnp.float32 and out["fc7"].dtype == jnp.float32
    assert out["conv1"].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


@pytest.mark.optax
@pytest.mark.slow
def test_demo_network_learns_local_signs_from_a_thousand_frames():
    # Every AU brightens its own spot of a noisy image; an untrained net is right in half of the cases.
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 1], size=(1024 + 256, 12)).astype(np.int8)
    images = rng.normal(0, 25, size=(len(labels), 64, 64, 3)).astype(np.float32)
    for au in range(12):
        top, left = 6 + 14 * (au // 4), 6 + 14 * (au % 4)
        images[:, top : top + 8, left : left + 8] += 40.0 * labels[:, au, None, None, None]
    model = AlexNet("demo", dropout=0.0)  # with 0.5 it takes three times as many steps
    params = jax.jit(model.init)(jax.random.key(0), jnp.asarray(images[:1]))["params"]
    tx = optax.adam(1e-3)
    state = tx.init(params)

    @jax.jit
    def step(params, state, x, y):
        def loss(params):
            logits, _ = model.apply({"params": params}, x)
            return jnp.mean(cross_entropy(logits, y, "sum"))

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for number in range(3 * 16):
        rows = slice(number % 16 * 64, number % 16 * 64 + 64)
        params, state = step(params, state, jnp.asarray(images[rows]), jnp.asarray(labels[rows]))
    logits, _ = jax.jit(model.apply)({"params": params}, jnp.asarray(images[1024:]))
    assert np.mean((np.asarray(logits) > 0) == (labels[1024:] > 0)) > 0.9


def test_mistakes_are_named():
    x = jnp.zeros((1, 64, 64, 3))
    with pytest.raises(ValueError, match="unknown CNN variant 'alexnet'; choose from drml_alexnet"):
        jax.eval_shape(AlexNet("alexnet").init, jax.random.key(0), x)
    with pytest.raises(ValueError, match="choose 'ceil'"):
        jax.eval_shape(AlexNet(pool_rounding="round").init, jax.random.key(0), x)
    with pytest.raises(ValueError, match="the crop is too small"):
        jax.eval_shape(AlexNet().init, jax.random.key(0), jnp.zeros((1, 31, 31, 3)))
    with pytest.raises(ValueError, match="do not divide into 2 groups"):
        GroupedConv(8, 3, 1, 1, 2, 0.1, 0.0, jnp.float32).init(jax.random.key(0), jnp.zeros((1, 9, 9, 3)))


def test_bfloat16_computes_nearly_the_same_with_float32_parameters():
    model = AlexNet("drml_alexnet", width=1 / 16)
    images = jnp.asarray(np.random.default_rng(3).uniform(-2, 2, size=(4, 67, 67, 3)), jnp.float32)
    params = _random(model, images)["params"]

    def run(dtype):
        def loss(params):
            logits, out = model.clone(dtype=dtype).apply({"params": params}, images)
            return jnp.mean(jnp.square(logits)), (logits, out["fc7"])

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)

    (_, (logits, fc7)), gradients = run(jnp.bfloat16)
    (_, (expected, expected_fc7)), expected_gradients = run(jnp.float32)
    assert logits.dtype == fc7.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype(jnp.float32)}
    scale = float(np.abs(expected).max())
    difference = np.abs(logits - expected).max() / scale
    assert 1e-5 < difference < 0.03  # 8 bits of mantissa: something is lost, but little
    np.testing.assert_allclose(fc7, expected_fc7, atol=0.01)
    for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected_gradients), strict=True):
        cosine = np.vdot(ours, theirs) / (np.linalg.norm(ours) * np.linalg.norm(theirs))
        assert cosine > 0.99
