"""The composed network of the paper (section III, Fig. 2): CNN -> PCA of fc7 -> LSTM -> fusion, as pure functions.

    faces -- CNN (III-A) --+-- logits ------------------------+
                           +-- fc7 -- PCA -- LSTM (III-B) ----+-- fusion (III-C) -- logits

Training scores its branches with the forward passes below; `apply` composes them for new videos, in `predict` and `export`.
Its recurrent state goes in and comes out, so that a video of any length, or a live camera, needs the same memory; from a
video's first frame on it gives the scores that the systems give for the whole video.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int32, UInt8

from au_jax.config import CNNConfig, Config, FusionConfig, LSTMConfig
from au_jax.errors import ConfigError
from au_jax.labels import INTENSITY, PROBABILITY
from au_jax.models import ordinal, temporal
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
        head="logit" if config.loss == "cross_entropy" else "tanh",
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
        present=config.lookback,
        level=config.level_frames > 0,
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


def lstm_inputs(
    config: LSTMConfig,
    features: Float[Array | np.ndarray, "B T D"],
    present: Bool[Array | np.ndarray, "B T"],
    carry: temporal.LevelCarry | None = None,
) -> tuple[Float[Array | np.ndarray, "B T D"], temporal.LevelCarry | None]:
    """What the LSTM sees: the features minus a share of the video's level (`config.lstm.level`).

    Args:
      config: `config.lstm`.
      features: [B, T, D] float32, of `project`.
      present: [B, T] bool; False behind a video's end.
      carry: of the call before; None: these are the first frames.

    Returns:
      [B, T, D] float32, and the carry after these frames; the features themselves and None where the level stays.

    Example:
      >>> from au_jax.config import LSTMConfig
      >>> features = np.array([[[1.0], [3.0], [8.0]]], np.float32)
      >>> config = LSTMConfig(level=0.5, level_frames=2)
      >>> lstm_inputs(config, features, np.ones((1, 3), bool))[0][0, :, 0].tolist()
      [0.5, 2.0, 7.0]
    """
    if not config.level:
        return features, None
    rows = jnp.asarray(features)
    carry = temporal.initial_level(rows.shape[0], rows.shape[2]) if carry is None else carry
    level, carry = temporal.opening_level(rows, jnp.asarray(present), carry, config.level_frames)
    return rows - config.level * level, carry


FusionCarry = tuple[temporal.WindowCarry, temporal.LevelCarry]
"""What fusion remembers of one branch's scores."""


def fusion_carry(config: FusionConfig, batch: int, width: int) -> FusionCarry:
    """The state of one branch of the variant "temporal" before the first frame of `batch` videos.

    Example:
      >>> window, level = fusion_carry(FusionConfig(lookback=6, lookahead=2), batch=3, width=12)
      >>> [part.shape[0] for part in jax.tree.leaves((window, level))][0]
      3
    """
    window = temporal.initial_window(batch, width, config.lookback, config.lookahead)
    return window, temporal.initial_level(batch, width)


def fusion_rows(
    config: FusionConfig,
    scores: Float[Array | np.ndarray, "B T A"],
    present: Bool[Array | np.ndarray, "B T"],
    carry: FusionCarry,
) -> tuple[Float[Array, "B T W A"], FusionCarry]:
    """What the variant "temporal" sees of one branch: the scores around each frame and, behind them, the level.

    Args:
      config: `config.fusion`.
      scores: [B, T, A] float32, of the branch.
      present: [B, T] bool; False behind a video's end.
      carry: of `fusion_carry`, or of the call before.

    Returns:
      [B, T, W, A], row t of frame t - `config.lookahead`, and the carry; see `temporal.windows`.

    Example:
      >>> from au_jax.config import FusionConfig
      >>> config, scores = FusionConfig(lookback=1, level_frames=2), np.array([[[1.0], [3.0], [8.0]]], np.float32)
      >>> rows, _ = fusion_rows(config, scores, np.ones((1, 3), bool), fusion_carry(config, 1, 1))
      >>> rows[0, :, :, 0].tolist()
      [[1.0, 1.0, 1.0], [1.0, 3.0, 2.0], [3.0, 8.0, 2.0]]
    """
    rows, known = jnp.asarray(scores), jnp.asarray(present)
    window, level = carry
    around, window = temporal.windows(rows, known, window, config.lookback, config.lookahead)
    if config.level_frames:
        mean, level = temporal.opening_level(rows, known, level, config.level_frames)
        around = jnp.concatenate([around, mean[:, :, None]], 2)
    return around, (window, level)


def lstm_forward(
    model: LSTMStack, params: Any, features: Float[Array | np.ndarray, "B T D"], carry: Carry | None = None
) -> tuple[Float[Array, "B T A"], Float[Array, "B T H"], Carry | None]:
    """The LSTM branch (section III-B) on whole videos, or on the next frames of videos.

    Args:
      model: of `make_lstm`.
      params: of the model.
      features: [B, T, D] float32, of `lstm_inputs`.
      carry: state after the frames before these; None: these are the first.

    Returns:
      Scores [B, T, A], in [-1, 1] with the margin loss; the last layer's hidden output [B, T, H]; the state after these frames.

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
      batch: "cnn" and "lstm" [N, A] scores, [N, ..] features for the variant "features", or [N, W, A] of `fusion_rows` for the
        variant "temporal", which does without "lstm" as well.

    Returns:
      Logits [N, A] float32.

    Example:
      >>> model, scores = Fusion("mean", num_outputs=2), jnp.array([[1.0, -3.0]])
      >>> params = model.init(jax.random.key(0), scores, scores)["params"]
      >>> fusion_forward(model, params, {"cnn": scores, "lstm": 0.0 * scores}).tolist()
      [[0.5, -1.5]]
    """
    return cast(jax.Array, model.apply({"params": params}, batch["cnn"], batch.get("lstm")))


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


def delay(config: Config, systems: Sequence[str]) -> int:
    """How many frames late `apply` gives its scores.

    Example:
      >>> from au_jax.config import get_config, replace, typed
      >>> delay(typed(get_config()), ("anet", "hybrid"))
      0
      >>> config = replace(get_config(), **{"fusion.variant": "temporal", "fusion.lookahead": 2})
      >>> delay(typed(config), ("anet", "hybrid")), delay(typed(config), ("anet",))
      (2, 0)
    """
    temporal_fusion = "hybrid" in systems and config.fusion.variant == "temporal"
    return config.fusion.lookahead if temporal_fusion else 0


def initial_carry(config: Config, systems: Sequence[str], intensities: bool = False) -> dict[str, Any]:
    """The state before a video's first frame, for one video: zeros; {} for the CNN alone.

    Args:
      config: of the run.
      systems: of `SYSTEMS`.
      intensities: whether the variables have the head "intensity".

    Example:
      >>> from au_jax.config import get_config
      >>> carry = initial_carry(get_config(), ("anet", "hybrid"))
      >>> len(carry["lstm"]), carry["lstm"][0][0].shape  # (cell state, output) of every layer
      (3, (1, 256))
    """
    num_outputs = len(config.data.aus)
    if "hybrid" not in systems:
        return {}
    # Intensities wait for the scores of their frames.
    late = delay(config, systems) if intensities else 0
    waiting = {f"{INTENSITY}_window": temporal.initial_window(1, num_outputs, 0, late)} if late else {}
    carry: dict[str, Any] = waiting | {"lstm": make_lstm(config.lstm, num_outputs).initial_carry(1)}
    if config.lstm.level:
        carry["level"] = temporal.initial_level(1, config.lstm.pca_components)
    if config.fusion.hysteresis:
        carry["decisions"] = temporal.initial_decisions(1, num_outputs)
    if config.fusion.variant == "temporal":
        carry |= {name: fusion_carry(config.fusion, 1, num_outputs) for name in ("cnn_window", "lstm_window")}
    return carry


def apply(
    config: Config,
    systems: Sequence[str],
    variables: dict[str, Any],
    carry: dict[str, Any],
    faces: UInt8[Array | np.ndarray, "T S S 3"],
    present: Bool[Array | np.ndarray, " T"] | None = None,
) -> tuple[dict[str, Any], dict[str, Float32[Array, "T A"]]]:
    """Scores of the next frames of one video by one fold's networks, `delay` frames late.

    Args:
      config: of the run.
      systems: of `SYSTEMS`.
      variables: "cnn" as in `cnn_forward`; "thresholds", system -> [A]; for the hybrid also "pca" ("mean", "components"),
        and the parameters "lstm" and "fusion"; where it is known "calibration" [2, A] of the last system
        (`evaluation.calibration`), and "intensity", the head of the system anet_intensity.
      carry: of `initial_carry`, or of the call before.
      faces: [T, S, S, 3] uint8, registered faces in order; S is `config.data.image_size`.
      present: [T] bool, False behind the video's end; None: all are frames of the video.

    Returns:
      The state after these frames, and system -> scores [T, A] float32 minus the threshold: above 0 present; with a calibration
      also `PROBABILITY` -> [T, A], that of presence by the last system, NaN of an AU without one; with the head also
      `INTENSITY` -> [T, A], 0 to 5, NaN of an AU that was learned without. Row t is of frame
      t - `delay`: the first so many rows of a video are of no frame, and so many rows that are not present bring out its last.

    Raises:
      ConfigError: as `check_streamable`.

    Example:
      >>> from au_jax.config import get_config
      >>> config, count = get_config(), len(get_config().data.aus)
      >>> params = jax.eval_shape(make_cnn(config.cnn, count).init, jax.random.key(0), jnp.zeros((1, 176, 176, 3)))["params"]
      >>> variables = {"cnn": {"params": params, "mean": jnp.zeros((200, 200, 3))}, "thresholds": {"anet": jnp.zeros(count)}}
      >>> faces = jnp.zeros((4, 200, 200, 3), jnp.uint8)
      >>> carry, scores = jax.eval_shape(lambda v: apply(config, ("anet",), v, {}, faces), variables)
      >>> carry, scores["anet"].shape
      ({}, (4, 12))
    """
    check_streamable(config, systems)
    logits, fc7 = apply_cnn(config, variables["cnn"], faces)
    return apply_over_time(config, systems, variables, carry, logits, fc7, present)


def apply_cnn(
    config: Config, variables: dict[str, Any], faces: UInt8[Array | np.ndarray, "T S S 3"]
) -> tuple[Float32[Array, "T A"], Float32[Array, "T D"]]:
    """The part of `apply` that needs no other frame: the CNN on the middle of each face.

    Args:
      config: of the run.
      variables: "params", and "mean" [S, S, 3] float32.
      faces: [T, S, S, 3] uint8, registered faces.

    Returns:
      Logits [T, A] and the L2-normalised fc7 [T, D], float32.

    Example:
      >>> from au_jax.config import get_config
      >>> config, count = get_config(), len(get_config().data.aus)
      >>> params = jax.eval_shape(make_cnn(config.cnn, count).init, jax.random.key(0), jnp.zeros((1, 176, 176, 3)))["params"]
      >>> variables, faces = {"params": params, "mean": jnp.zeros((200, 200, 3))}, jnp.zeros((4, 200, 200, 3), jnp.uint8)
      >>> logits, fc7 = jax.eval_shape(lambda v: apply_cnn(config, v, faces), variables)
      >>> logits.shape, fc7.shape
      ((4, 12), (4, 4096))
    """
    start = (config.data.image_size - config.data.crop_size) // 2
    window = slice(start, start + config.data.crop_size)
    crops = jnp.asarray(faces)[:, window, window].astype(jnp.float32) - variables["mean"][None, window, window]
    model = make_cnn(config.cnn, len(config.data.aus))
    logits, out = cast(Any, model.apply({"params": variables["params"]}, crops, train=False))
    return logits, out["fc7"]


LSTMForward = Callable[..., tuple[Float[Array, "B T A"], Float[Array, "B T H"], Carry | None]]
"""(model, params, features [B, T, D], carry) -> scores, hidden output and carry, as `lstm_forward` and `lstm.one_step`."""


def apply_over_time(
    config: Config,
    systems: Sequence[str],
    variables: dict[str, Any],
    carry: dict[str, Any],
    logits: Float32[Array, "T A"],
    fc7: Float32[Array, "T D"],
    present: Bool[Array | np.ndarray, " T"] | None = None,
    run_lstm: LSTMForward = lstm_forward,
) -> tuple[dict[str, Any], dict[str, Float32[Array, "T A"]]]:
    """The part of `apply` behind the CNN, which goes from frame to frame.

    Args:
      config, systems, variables, carry, present: as in `apply`.
      logits, fc7: of `apply_cnn`, of these frames.
      run_lstm: how the LSTM is computed.

    Returns:
      As `apply`.

    Example:
      >>> from au_jax.config import get_config
      >>> variables = {"thresholds": {"anet": jnp.array([0.5])}}
      >>> _, scores = apply_over_time(get_config(), ("anet",), variables, {}, jnp.array([[2.0]]), jnp.zeros((1, 4)))
      >>> scores["anet"].tolist()
      [[1.5]]
    """
    num_outputs, count = len(config.data.aus), logits.shape[0]
    scores = {"anet": logits}
    if "hybrid" in systems:
        known = (jnp.ones(count, bool) if present is None else jnp.asarray(present))[None]
        carry = dict(carry)
        features = project(fc7, variables["pca"]["mean"], variables["pca"]["components"])
        inputs, level = lstm_inputs(config.lstm, features[None], known, carry.get("level"))
        lstm = make_lstm(config.lstm, num_outputs)
        lstm_scores, hidden, carry["lstm"] = run_lstm(lstm, variables["lstm"], inputs, carry["lstm"])
        if level is not None:
            carry["level"] = level
        branches = {"cnn": logits, "lstm": lstm_scores[0]}
        if config.fusion.variant == "features":
            branches = {"cnn": features, "lstm": hidden[0]}
        if config.fusion.variant == "temporal":
            for name, rows in branches.items():
                around, carry[f"{name}_window"] = fusion_rows(config.fusion, rows[None], known, carry[f"{name}_window"])
                branches[name] = around[0]
            # The CNN's own scores wait for those of the hybrid.
            scores["anet"] = branches["cnn"][:, config.fusion.lookback]
        scores["hybrid"] = fusion_forward(make_fusion(config.fusion, num_outputs), variables["fusion"], branches)
    outputs = {name: scores[name] - variables["thresholds"][name][None] for name in systems}
    if "decisions" in carry:
        held, decisions = temporal.hysteresis(
            outputs["hybrid"][None], carry["decisions"], config.fusion.hysteresis, delay(config, systems)
        )
        carry, outputs["hybrid"] = {**carry, "decisions": decisions}, held[0]
    if "calibration" in variables:
        slope, intercept = variables["calibration"]
        outputs[PROBABILITY] = jax.nn.sigmoid(outputs[systems[-1]] * slope[None] + intercept[None])
    if INTENSITY in variables:
        head = variables[INTENSITY]
        rows = ordinal.expected_intensity(
            project(fc7, head["mean"], head["components"]), head["weights"], head["borders"]
        )
        if late := delay(config, systems):
            known = (jnp.ones(count, bool) if present is None else jnp.asarray(present))[None]
            window = carry[f"{INTENSITY}_window"]
            around, window = temporal.windows(rows[None], known, window, 0, late)
            carry, rows = {**carry, f"{INTENSITY}_window": window}, around[0, :, 0]
        outputs[INTENSITY] = rows
    return carry, outputs
