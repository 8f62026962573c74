"""What `experiments.benchmark` times: each part's work by this project, and by PyTorch where it is at hand.

On a GPU, LSTM training in other ways as well: cuDNN's, and several folds in one program. cuDNN's part needs an NVIDIA GPU and has
not been measured yet; the folds' runs anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from au_jax.config import get_config
from au_jax.evaluation import metrics
from au_jax.models.cnn import AlexNet
from au_jax.models.fusion import Fusion
from au_jax.models.lstm import LSTMStack
from au_jax.models.lstm_kernel import EXAMPLES
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer


@dataclass(frozen=True)
class Sizes:
    """How much work is timed: sizes of the networks and batches, and turns per part.

    `waited` is the length in seconds of the epochs whose waiting for frames is measured: of a short one, the first batch, for
    which nothing is computed yet, would be a large part.
    """

    turns: int = 7
    variant: str = "drml_alexnet"
    crop: int = 176
    batch: int = 32
    inputs: int = 1024
    hidden: int = 256
    layers: int = 3
    sequences: int = 10
    steps: int = 1300
    streamed: int = 300
    fused: int = 4096
    frames: int = 300
    ceiling: int = 4096
    folds: int = 3
    waited: float = 20.0


QUICK = replace(Sizes(), turns=7, steps=300, streamed=60, frames=60, ceiling=2048, waited=10.0)


@dataclass(frozen=True)
class Part:
    """A part to be timed.

    Attributes:
      name, unit: as the table shows them.
      amount: units per call.
      work: floating-point operations, or bytes, per call.
      ceiling: what `work` is measured against, "product" or "copy".
      ours: does the work and waits for its end.
      theirs: the same in PyTorch, if there is one.
    """

    name: str
    unit: str
    amount: float
    work: float
    ceiling: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None = None


def _training(init: Callable, optimizer: Any, loss: Callable, batch: parallel.Batch) -> Callable[[], None]:
    """An update of `au_jax.training`, from a batch in host memory to new parameters."""
    tx = make_optimizer(optimizer, 1, 1).tx
    params = jax.jit(init)(jax.random.key(0))["params"]
    state = [*parallel.replicate_on_devices((params, tx.init(params)))]
    step = parallel.make_train_step(loss, tx)

    def update() -> None:
        *state[:], value = step(*state, {}, parallel.shard(batch), jax.random.key(1))
        jax.block_until_ready((state, value))

    return update


def cnn_parts(sizes: Sizes, torch_networks: Any) -> list[Part]:
    """Training and inference of the CNN, from uint8 pictures in host memory."""
    model, rng = AlexNet(sizes.variant), np.random.default_rng(0)
    shape = (sizes.batch, sizes.crop, sizes.crop, 3)
    batch = {
        "image": rng.integers(256, size=shape, dtype=np.uint8),
        "labels": _labels(rng, sizes.batch),
    }

    def loss(params, constants, example, key):
        del constants
        logits, _ = model.apply({"params": params}, _pixels(example["image"][None]), train=True, rngs={"dropout": key})
        return losses.cross_entropy(logits[0], example["labels"], "sum"), losses.labelled(example["labels"])

    one = jnp.zeros((1, *shape[1:]))
    train = _training(lambda key: model.init(key, one), get_config().cnn.optimizer, loss, batch)
    (_, out), variables = jax.jit(model.init_with_output)(jax.random.key(0), one)
    forward = parallel.make_forward(lambda params, batch: model.apply({"params": params}, _pixels(batch["image"]))[0])
    infer = partial(forward, jax.device_put(variables["params"]), {"image": batch["image"]})
    work = sizes.batch * cnn_work(variables["params"], out)
    torch_train = torch_infer = None
    if torch_networks:
        network = torch_networks.cnn(sizes.variant, sizes.crop)
        torch_train = partial(torch_networks.cnn_step(network), batch["image"], batch["labels"])
        scoring = torch_networks.cnn(sizes.variant, sizes.crop).eval()
        torch_infer = partial(torch_networks.infer, scoring, batch["image"])
    return [
        Part("CNN training", "frames/s", sizes.batch, 3 * work, "product", train, torch_train),
        Part("CNN inference", "frames/s", sizes.batch, work, "product", infer, torch_infer),
    ]


def lstm_parts(sizes: Sizes, torch_networks: Any) -> list[Part]:
    """Training of the LSTM stack with both kernels, and scores frame by frame."""
    model, rng = LSTMStack(sizes.layers, sizes.hidden), np.random.default_rng(0)
    batch = sequences(sizes, rng)
    one = jnp.zeros((1, 1, sizes.inputs))
    params = jax.jit(model.init)(jax.random.key(0), one)
    work = 2.0 * sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
    apply = jax.jit(model.apply)

    def stream() -> None:
        carry = model.initial_carry(1)
        for step in range(sizes.streamed):
            scores, carry = apply(params, batch["features"][:1, step : step + 1], None, carry)
            np.asarray(scores)  # as each frame's score is wanted before the next frame is there

    torch_train = torch_stream = None
    if torch_networks:
        make = partial(torch_networks.LSTM, sizes.inputs, sizes.hidden, sizes.layers)
        torch_train = partial(torch_networks.lstm_step(make()), batch["features"], batch["labels"])
        torch_stream = partial(torch_networks.stream, make().eval(), batch["features"][:1, : sizes.streamed])
    frames = sizes.sequences * sizes.steps
    optimizer = get_config().lstm.optimizer
    trained = []
    for kernel in ("fused", "scan"):
        network = model.clone(kernel=kernel)
        train = _training(lambda key, n=network: n.init(key, one), optimizer, partial(sequence_loss, network), batch)
        unit = "steps x sequences/s"
        trained.append(Part(f"LSTM training, {kernel}", unit, frames, 3 * frames * work, "product", train, torch_train))
    return [
        *trained,
        Part("LSTM streaming", "steps/s", sizes.streamed, sizes.streamed * work, "product", stream, torch_stream),
    ]


def sequence_loss(model: LSTMStack, params: Any, constants: Any, example: Any, key: jax.Array) -> tuple:
    """The margin loss of one sequence (`parallel.ExampleLoss`)."""
    del constants
    scores, _ = model.apply({"params": params}, example["features"][None], train=True, rngs={"dropout": key})
    counted = losses.labelled(example["labels"])
    return (losses.max_margin(scores[0], example["labels"], 0.5, 1.0) * counted).sum(), counted.sum()


def fusion_parts(sizes: Sizes) -> list[Part]:
    """Training of the fusion network, and the whole chain of a prediction: CNN, projection, LSTM, fusion, frame by frame."""
    rng = np.random.default_rng(0)
    fusion, scores = Fusion(), jnp.zeros((1, 12))
    batch = {
        "cnn": rng.normal(size=(sizes.fused, 12)).astype(np.float32),
        "lstm": rng.normal(size=(sizes.fused, 12)).astype(np.float32),
        "labels": _labels(rng, sizes.fused),
    }

    def loss(params, constants, example, key):
        del constants
        streams = example["cnn"][None], example["lstm"][None]
        logits = fusion.apply({"params": params}, *streams, train=True, rngs={"dropout": key})
        return losses.cross_entropy(logits[0], example["labels"], "sum"), losses.labelled(example["labels"])

    train = _training(lambda key: fusion.init(key, scores, scores), get_config().fusion.optimizer, loss, batch)

    key = jax.random.key(0)
    cnn, lstm = AlexNet(sizes.variant), LSTMStack(sizes.layers, sizes.hidden)
    image = jnp.zeros((1, sizes.crop, sizes.crop, 3))
    (_, out), cnn_params = jax.jit(cnn.init_with_output)(key, image)
    projection = jnp.asarray(rng.normal(size=(out["fc7"].shape[1], sizes.inputs)), jnp.float32)
    lstm_params = jax.jit(lstm.init)(key, jnp.zeros((1, 1, sizes.inputs)))
    fusion_params = fusion.init(key, scores, scores)
    networks = cnn_params, projection, lstm_params, fusion_params

    @jax.jit
    def predict(networks, image, carry):
        cnn_params, projection, lstm_params, fusion_params = networks
        logits, out = cnn.apply(cnn_params, _pixels(image))
        temporal, carry = lstm.apply(lstm_params, (out["fc7"] @ projection)[:, None], None, carry)
        return fusion.apply(fusion_params, logits, temporal[:, 0]), carry

    images = rng.integers(256, size=(sizes.streamed, 1, sizes.crop, sizes.crop, 3), dtype=np.uint8)

    def chain() -> None:
        carry = lstm.initial_carry(1)
        for image in images:
            fused, carry = predict(networks, image, carry)
            np.asarray(fused)  # as each frame's score is wanted before the next frame is there

    weights = sum(leaf.size for leaf in jax.tree.leaves((projection, lstm_params, fusion_params)) if leaf.ndim == 2)
    chain_work = sizes.streamed * (cnn_work(cnn_params["params"], out) + 2.0 * weights)
    fusion_work = 6.0 * sizes.fused * sum(leaf.size for leaf in jax.tree.leaves(fusion_params) if leaf.ndim == 2)
    return [
        Part("fusion training", "frames/s", sizes.fused, fusion_work, "product", train),
        Part("prediction, streaming", "frames/s", sizes.streamed, chain_work, "product", chain),
    ]


def metrics_parts(sizes: Sizes) -> list[Part]:
    """F1-frame of many frames."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([-1, 0, 1], np.int8), size=(1000 * sizes.frames, 12))
    scores = rng.normal(size=labels.shape).astype(np.float32)
    size = float(labels.nbytes + scores.nbytes)
    return [
        Part("F1 of scores", "frames/s", len(labels), size, "copy", lambda: metrics.f1(metrics.counts(labels, scores)))
    ]


def folds_part(sizes: Sizes) -> Part:
    """Gradients of the LSTMs of `sizes.folds` folds, each with sequences of its own, as one program."""
    model = LSTMStack(sizes.layers, sizes.hidden)
    rng = np.random.default_rng(0)
    batches = jax.tree.map(lambda *rows: np.stack(rows), *(sequences(sizes, rng) for _ in range(sizes.folds)))
    keys = jax.random.split(jax.random.key(0), sizes.folds)
    params = jax.jit(jax.vmap(lambda key: model.init(key, jnp.zeros((1, 1, sizes.inputs)))["params"]))(keys)

    def gradient(params, batch, key):
        def total(params):
            examples = jax.random.split(key, sizes.sequences)
            return mapped_loss(model)(params, {}, batch, examples)[0].sum()

        return jax.grad(total)(params)

    together = jax.jit(jax.vmap(gradient))
    frames = sizes.folds * sizes.sequences * sizes.steps
    weights = sum(leaf[0].size for leaf in jax.tree.leaves(params) if leaf.ndim == 3)
    return Part(
        f"LSTM gradients, {sizes.folds} folds",
        "steps x sequences/s",
        frames,
        6.0 * frames * weights,
        "product",
        lambda: jax.block_until_ready(together(params, batches, keys)),
    )


def cudnn_part(sizes: Sizes) -> Part:
    """Gradients of one fold's LSTM by cuDNN (`jax.experimental.rnn`), with its own dropout between layers."""
    batch = sequences(sizes, np.random.default_rng(0))
    call, arguments = cudnn_gradient(sizes)
    frames = sizes.sequences * sizes.steps
    compiled = jax.jit(call)
    return Part(
        "LSTM gradients, cuDNN",
        "steps x sequences/s",
        frames,
        6.0 * frames * (arguments[0].size + arguments[1].size),
        "product",
        lambda: jax.block_until_ready(compiled(*arguments, batch["features"], batch["labels"])),
    )


def mapped_loss(model: LSTMStack) -> Callable:
    """The loss of a batch as the training loop maps it."""
    return jax.vmap(partial(sequence_loss, model), in_axes=(None, None, 0, 0), axis_name=EXAMPLES)


def cudnn_gradient(sizes: Sizes) -> tuple[Callable[..., Any], tuple[jax.Array, jax.Array]]:
    """(weights, readout, features, labels) -> gradients of the margin loss, and weights and readout to begin with."""
    key = jax.random.key(0)
    weights = rnn.init_lstm_weight(key, sizes.inputs, sizes.hidden, sizes.layers, False)
    readout = 0.08 * jax.random.normal(key, (sizes.hidden, 12))
    zero = jnp.zeros((sizes.layers, sizes.sequences, sizes.hidden))
    lengths = jnp.full(sizes.sequences, sizes.steps, jnp.int32)

    def loss(weights, readout, features, labels):
        outputs = rnn.lstm(features, zero, zero, weights, lengths, sizes.inputs, sizes.hidden, sizes.layers, 0.5, False)
        hidden = cast(tuple[jax.Array, ...], outputs)[0]
        return losses.max_margin(jnp.tanh(hidden @ readout), labels, 0.5, 1.0).mean()

    return jax.grad(loss, argnums=(0, 1)), (weights, readout)


def sequences(sizes: Sizes, rng: np.random.Generator) -> parallel.Batch:
    """Features and labels of a batch of sequences."""
    shape = (sizes.sequences, sizes.steps)
    features = rng.normal(size=(*shape, sizes.inputs)).astype(np.float32)
    return {"features": features, "labels": _labels(rng, *shape)}


def _labels(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.choice(np.array([-1, 1], np.int8), size=(*shape, 12))


def _pixels(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) - 128.0


def cnn_work(params: Any, out: dict[str, jax.Array]) -> float:
    """Operations of a frame: a kernel is used once per output pixel (once if fully connected), two each time."""
    return 2.0 * sum(layer["kernel"].size * np.prod(out[name].shape[1:-1]) for name, layer in params.items())
