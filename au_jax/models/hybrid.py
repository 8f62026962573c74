"""The composed network of the paper (section III, Fig. 2): CNN -> PCA of fc7 -> LSTM -> fusion, as pure functions.

    faces -- CNN (III-A) --+-- logits ------------------------+
                           +-- fc7 -- PCA -- LSTM (III-B) ----+-- fusion (III-C) -- logits

Training scores its branches with the forward passes below; `apply` composes them for new videos, in `predict` and `export`.
Its recurrent state goes in and comes out, so that a video of any length, or a live camera, needs the same memory; from a
video's first frame on it gives the scores that the systems give for the whole video.
"""

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int32, UInt8

from au_jax.config import CNNConfig, Config, FusionConfig, LSTMConfig
from au_jax.errors import ConfigError
from au_jax.models.cnn import DTYPES, AlexNet
from au_jax.models.fusion import Fusion
from au_jax.models.lstm import Carry, LSTMStack

SYSTEMS: tuple[str, ...] = ("anet", "hybrid")
"""Systems that `apply` computes: the CNN alone, and the whole network."""


def make_cnn(config: CNNConfig, num_outputs: int) -> AlexNet:
    """The CNN that a config's block `cnn` describes.

    Args:
      config: `config.cnn`.
      num_outputs: number of AUs.

    Example:
      >>> from au_jax.config import get_config
      >>> make_cnn(get_config().cnn, num_outputs=12).variant
      'drml_alexnet'
    """
    return AlexNet(
        variant=config.variant,
        num_outputs=num_outputs,
        width=config.width,
        groups=config.groups,
        pool_rounding=config.pool_rounding,
        dropout=config.dropout,
        dtype=DTYPES[config.dtype],
    )


def make_lstm(config: LSTMConfig, num_outputs: int) -> LSTMStack:
    """The LSTM stack that a config's block `lstm` describes.

    Args:
      config: `config.lstm`.
      num_outputs: number of AUs.

    Example:
      >>> from au_jax.config import get_config
      >>> make_lstm(get_config().lstm, num_outputs=12).layers
      3
    """
    return LSTMStack(
        layers=config.layers,
        hidden=config.hidden,
        num_outputs=num_outputs,
        remat_chunk=config.remat or None,
        dropout=config.dropout,
        variational=config.variational,
        bidirectional=config.bidirectional,
        forget_bias=config.forget_bias,
        init_range=config.init_range,
        stop_gradient_step=config.burn_in or None,
        kernel=config.kernel,
    )


def make_fusion(config: FusionConfig, num_outputs: int) -> Fusion:
    """The fusion network that a config's block `fusion` describes.

    Args:
      config: `config.fusion`.
      num_outputs: number of AUs.

    Example:
      >>> from au_jax.config import get_config
      >>> make_fusion(get_config().fusion, num_outputs=12).variant
      'stacked'
    """
    return Fusion(
        variant=config.variant,
        hidden=config.hidden,
        dropout=config.dropout,
        normalise=config.normalise,
        num_outputs=num_outputs,
    )


def subtract_mean(
    image: UInt8[Array, "C C 3"],
    mean: Float32[Array | np.ndarray, "S S 3"],
    offset: Int32[Array, " 2"],
    flip: Bool[Array, ""],
) -> Float32[Array, "C C 3"]:
    """Subtracts the mean face where the crop was cut, and mirrored if the crop was, as Caffe's data layer does.

    Args:
      image: [C, C, 3] uint8, one crop.
      mean: [S, S, 3] float32, of the training faces.
      offset: [2] int32, y and x of the crop.
      flip: bool.

    Returns:
      [C, C, 3] float32, the CNN's input.

    Example:
      >>> mean = jnp.arange(3.0).reshape(1, 3, 1) * jnp.ones((3, 3, 3))  # 0, 1 and 2 from left to right
      >>> crop, corner = jnp.full((2, 2, 3), 10, jnp.uint8), jnp.array([0, 1])
      >>> subtract_mean(crop, mean, corner, jnp.array(False))[0, :, 0].tolist()
      [9.0, 8.0]
      >>> subtract_mean(crop, mean, corner, jnp.array(True))[0, :, 0].tolist()
      [8.0, 9.0]
    """
    window = jax.lax.dynamic_slice(mean, (offset[0], offset[1], jnp.zeros_like(offset[0])), image.shape)
    return image.astype(jnp.float32) - jnp.where(flip, window[:, ::-1], window)


def cnn_forward(
    model: AlexNet, variables: dict[str, Any], batch: dict[str, Any]
) -> tuple[Float32[Array, "B A"], Float32[Array, "B D"]]:
    """The CNN branch (section III-A) on a batch of crops.

    Args:
      model: of `make_cnn`.
      variables: "params", and "mean" [S, S, 3] float32.
      batch: "image" [B, C, C, 3] uint8, "offset" [B, 2] int32 and "flip" [B] bool, as in `subtract_mean`.

    Returns:
      Logits [B, A] and the L2-normalised fc7 [B, D], float32.

    Example:
      >>> model = AlexNet("demo", num_outputs=2)
      >>> batch = {"image": jnp.zeros((4, 36, 36, 3), jnp.uint8), "offset": jnp.zeros((4, 2), int), "flip": jnp.zeros(4, bool)}
      >>> params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 36, 36, 3)))["params"]
      >>> mean = jnp.zeros((40, 40, 3))
      >>> logits, fc7 = jax.eval_shape(lambda p: cnn_forward(model, {"params": p, "mean": mean}, batch), params)
      >>> logits.shape, fc7.shape
      ((4, 2), (4, 256))
    """
    images = jax.vmap(subtract_mean, in_axes=(0, None, 0, 0))(
        batch["image"], variables["mean"], batch["offset"], batch["flip"]
    )
    outputs = model.apply({"params": variables["params"]}, images, train=False)
    logits, representations = cast(tuple[jax.Array, dict[str, jax.Array]], outputs)
    return logits, representations["fc7"]


def project(
    fc7: Float[Array | np.ndarray, "N D"],
    mean: Float[Array | np.ndarray, " D"],
    components: Float[Array | np.ndarray, "K D"],
) -> Float32[Array | np.ndarray, "N K"]:
    """The LSTM's features: fc7 along the training fold's principal components (section III-B).

    For NumPy arrays, as training and the systems' scores use it, and JAX arrays alike; the two round differently.

    Args:
      fc7: [N, D] float.
      mean: [D], of the training frames' fc7.
      components: [K, D], divided by a common scale where `config.lstm.standardise` asks for it.

    Returns:
      [N, K] float32.

    Example:
      >>> project(np.array([[2.0, 3.0]]), np.array([1.0, 1.0]), np.array([[0.0, 1.0]])).tolist()
      [[2.0]]
    """
    return ((fc7 - mean[None]) @ components.T).astype(np.float32)


def lstm_forward(
    model: LSTMStack, params: Any, features: Float[Array | np.ndarray, "B T D"], carry: Carry | None = None
) -> tuple[Float[Array, "B T A"], Float[Array, "B T H"], Carry | None]:
    """The LSTM branch (section III-B) on whole videos, or on the next frames of videos.

    Args:
      model: of `make_lstm`.
      params: of the model.
      features: [B, T, D] float32, of `project`.
      carry: state after the frames before these; None: these are the first.

    Returns:
      Scores [B, T, A] in [-1, 1], the last layer's hidden output [B, T, H], and the state after these frames.

    Example:
      >>> model, features = LSTMStack(layers=1, hidden=4, num_outputs=2), jnp.zeros((1, 6, 3))
      >>> params = model.init(jax.random.key(0), features)["params"]
      >>> scores, hidden, carry = lstm_forward(model, params, features)
      >>> scores.shape, hidden.shape, len(carry)
      ((1, 6, 2), (1, 6, 4), 1)
    """
    outputs: Any = model.apply({"params": params}, features, None, carry)
    hidden: Any = model.apply({"params": params}, features, None, carry, method="hidden_states")
    return outputs[0], hidden[0], outputs[1]


def fusion_forward(model: Fusion, params: Any, batch: dict[str, Any]) -> Float[Array, "N A"]:
    """The fusion network (section III-C) on the two branches' rows of the same frames.

    Args:
      model: of `make_fusion`.
      params: of the model.
      batch: "cnn" and "lstm" [N, A] scores, or [N, ..] features for the variant "features".

    Returns:
      Logits [N, A] float32.

    Example:
      >>> model, scores = Fusion("mean", num_outputs=2), jnp.array([[1.0, -3.0]])
      >>> params = model.init(jax.random.key(0), scores, scores)["params"]
      >>> fusion_forward(model, params, {"cnn": scores, "lstm": 0.0 * scores}).tolist()
      [[0.5, -1.5]]
    """
    return cast(jax.Array, model.apply({"params": params}, batch["cnn"], batch["lstm"]))


def check_streamable(config: Config, systems: Sequence[str]) -> None:
    """Refuses systems whose scores of a frame need the frames after it.

    Raises:
      ConfigError: the hybrid is asked for and its LSTM is bidirectional.

    Example:
      >>> from au_jax.config import get_config
      >>> config = get_config()
      >>> config.lstm.bidirectional = True
      >>> check_streamable(config, ("anet",))  # the CNN needs no other frames
      >>> check_streamable(config, ("anet", "hybrid"))
      Traceback (most recent call last):
      au_jax.errors.ConfigError: the hybrid of this run cannot score new videos: its LSTM is bidirectional ...
    """
    if "hybrid" in systems and config.lstm.bidirectional:
        raise ConfigError(
            "the hybrid of this run cannot score new videos: its LSTM is bidirectional and needs frames that are still to "
            "come; take the CNN alone with --systems=anet, or train a run with --config.lstm.bidirectional=False"
        )


def initial_carry(config: Config, systems: Sequence[str]) -> Carry:
    """The state before a video's first frame, for one video; () for the CNN alone.

    Example:
      >>> from au_jax.config import get_config
      >>> carry = initial_carry(get_config(), ("anet", "hybrid"))
      >>> len(carry), carry[0][0].shape  # (cell state, output) of every layer
      (3, (1, 256))
    """
    if "hybrid" not in systems:
        return ()
    return make_lstm(config.lstm, len(config.data.aus)).initial_carry(1)


def apply(
    config: Config,
    systems: Sequence[str],
    variables: dict[str, Any],
    carry: Carry,
    faces: UInt8[Array | np.ndarray, "T S S 3"],
) -> tuple[Carry, dict[str, Float32[Array, "T A"]]]:
    """Scores of the next frames of one video by one fold's networks.

    Args:
      config: of the run.
      systems: of `SYSTEMS`.
      variables: "cnn" as in `cnn_forward`; "thresholds", system -> [A]; for the hybrid also "pca" ("mean", "components"),
        and the parameters "lstm" and "fusion".
      carry: of `initial_carry`, or of the call before.
      faces: [T, S, S, 3] uint8, registered faces in order; S is `config.data.image_size`.

    Returns:
      The state after these frames, and system -> scores [T, A] float32 minus the threshold: above 0 present.

    Raises:
      ConfigError: as `check_streamable`.

    Example:
      >>> from au_jax.config import get_config
      >>> config, count = get_config(), len(get_config().data.aus)
      >>> params = jax.eval_shape(make_cnn(config.cnn, count).init, jax.random.key(0), jnp.zeros((1, 176, 176, 3)))["params"]
      >>> variables = {"cnn": {"params": params, "mean": jnp.zeros((200, 200, 3))}, "thresholds": {"anet": jnp.zeros(count)}}
      >>> faces = jnp.zeros((4, 200, 200, 3), jnp.uint8)
      >>> carry, scores = jax.eval_shape(lambda v: apply(config, ("anet",), v, (), faces), variables)
      >>> carry, scores["anet"].shape
      ((), (4, 12))
    """
    check_streamable(config, systems)
    num_outputs, count = len(config.data.aus), faces.shape[0]
    start = (config.data.image_size - config.data.crop_size) // 2
    window = slice(start, start + config.data.crop_size)
    batch = {
        "image": faces[:, window, window],
        "offset": jnp.full((count, 2), start, jnp.int32),
        "flip": jnp.zeros(count, bool),
    }
    logits, fc7 = cnn_forward(make_cnn(config.cnn, num_outputs), variables["cnn"], batch)
    scores = {"anet": logits}
    if "hybrid" in systems:
        features = project(fc7, variables["pca"]["mean"], variables["pca"]["components"])
        lstm = make_lstm(config.lstm, num_outputs)
        lstm_scores, hidden, new_carry = lstm_forward(lstm, variables["lstm"], features[None], carry)
        carry = cast(Carry, new_carry)
        branches = {"cnn": logits, "lstm": lstm_scores[0]}
        if config.fusion.variant == "features":
            branches = {"cnn": features, "lstm": hidden[0]}
        scores["hybrid"] = fusion_forward(make_fusion(config.fusion, num_outputs), variables["fusion"], branches)
    return carry, {name: scores[name] - variables["thresholds"][name][None] for name in systems}
