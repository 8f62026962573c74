"""The VGG-Face descriptor (section IV-C): fc7 of a VGG-16 trained to tell 2622 people apart.

Reference: Parkhi, Vedaldi & Zisserman, "Deep face recognition", BMVC 2015.

Its weights are public for research and not part of this project: `vgg_face.mat` in the archive vgg_face_matconvnet of
https://www.robots.ox.ac.uk/~vgg/software/vgg_face/, or MatConvNet's own copy of it, `vgg-face.mat`.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, UInt8
from scipy.io import loadmat

from au_jax.errors import DataError
from au_jax.models.cnn import l2_normalise, max_pool

SOURCE = "https://www.robots.ox.ac.uk/~vgg/software/vgg_face/"
"""Where users get the file."""

BLOCKS: tuple[int, ...] = (2, 2, 3, 3, 3)
"""Convolutions before each of the five poolings."""
CONVOLUTIONS: tuple[str, ...] = tuple(f"conv{b}_{i}" for b, n in enumerate(BLOCKS, 1) for i in range(1, n + 1))
LAYERS: tuple[str, ...] = (*CONVOLUTIONS, "fc6", "fc7")


@functools.partial(jax.tree_util.register_dataclass, data_fields=["params", "average"], meta_fields=[])
@dataclass(frozen=True)
class VggFaceWeights:
    """What the file holds.

    Attributes:
      params: layer -> {"kernel" [H, W, in, out], "bias" [out]} float32; fc6 and fc7 are convolutions too.
      average: what is subtracted from RGB 0..255, [3] or [S, S, 3] float32.

    Example:
      >>> VggFaceWeights({"fc6": {"kernel": np.zeros((7, 7, 1, 1))}}, average=np.zeros(3)).side  # 7 * 2 ** 5
      224
    """

    params: dict[str, Any]
    average: Any

    @property
    def side(self) -> int:
        """Side in pixels of the faces that the network takes: five poolings end in fc6's window (7 x 7: 224)."""
        return self.params["fc6"]["kernel"].shape[0] * 2 ** len(BLOCKS)


class VggFace(nn.Module):
    """VGG-16 up to fc7.

    Attributes:
      widths: output channels of `LAYERS`.
      window: side of fc6's kernel in pixels of its input.

    Example:
      >>> network, faces = VggFace(widths=(8,) * 13 + (6, 4), window=7), jnp.zeros((1, 224, 224, 3))
      >>> variables = jax.eval_shape(network.init, jax.random.key(0), faces)
      >>> descriptors, out = jax.eval_shape(network.apply, variables, faces)
      >>> descriptors.shape, out["conv5_3"].shape, out["fc6"].shape
      ((1, 4), (1, 14, 14, 8), (1, 1, 1, 6))
    """

    widths: tuple[int, ...]
    window: int

    @nn.compact
    def __call__(self, x: Float32[Array, "B S S 3"]) -> tuple[Float32[Array, "B D"], dict[str, jax.Array]]:
        """Runs the network.

        Args:
          x: [B, S, S, 3] float32, RGB 0..255 minus the average.

        Returns:
          fc7 [B, D] after ReLU, L2-normalised, and `out`, a dict of every named layer's output after ReLU.
        """
        out: dict[str, jax.Array] = {}
        width = dict(zip(LAYERS, self.widths, strict=True))
        for name in CONVOLUTIONS:
            x = out[name] = nn.relu(nn.Conv(width[name], (3, 3), padding=1, name=name)(x))
            block, index = (int(number) for number in name.removeprefix("conv").split("_"))
            if index == BLOCKS[block - 1]:
                x = max_pool(x, window=2, stride=2, rounding="floor")
        for name, window in (("fc6", self.window), ("fc7", 1)):
            x = out[name] = nn.relu(nn.Conv(width[name], (window, window), padding="VALID", name=name)(x))
        return l2_normalise(x.reshape(x.shape[0], -1), eps=1e-12), out


def make_vgg_face(weights: VggFaceWeights) -> VggFace:
    """The network whose layers are as wide as the file's.

    Example:
      >>> params = {name: {"kernel": np.zeros((1, 1, 3, 8))} for name in LAYERS}
      >>> network = make_vgg_face(VggFaceWeights(params, average=np.zeros(3)))
      >>> network.window, network.widths
      (1, (8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8))
    """
    widths = tuple(weights.params[name]["kernel"].shape[-1] for name in LAYERS)
    return VggFace(widths, window=weights.params["fc6"]["kernel"].shape[0])


def vgg_face(weights: VggFaceWeights, images: UInt8[Array, "B H W 3"]) -> Float32[Array, "B D"]:
    """Descriptors of faces, which are resized to the network's side.

    The network knows faces with hair and chin; those of this project are cut closer, as the paper's were.

    Args:
      weights: of `read_vgg_face`.
      images: [B, H, W, 3] uint8 RGB.

    Returns:
      [B, D] float32, L2-normalised.

    Example:
      >>> shapes = dict.fromkeys(LAYERS, (3, 3, 2, 2)) | {"conv1_1": (3, 3, 3, 2), "fc6": (1, 1, 2, 2), "fc7": (1, 1, 2, 2)}
      >>> params = {name: {"kernel": jnp.full(shape, 0.1), "bias": jnp.zeros(2)} for name, shape in shapes.items()}
      >>> faces = jnp.full((1, 40, 40, 3), 100, jnp.uint8)
      >>> jax.eval_shape(vgg_face, VggFaceWeights(params, jnp.zeros(3)), faces).shape  # fc7 has two units here, not 4096
      (1, 2)
    """
    side = weights.side
    faces = jax.image.resize(images.astype(jnp.float32), (images.shape[0], side, side, 3), "bilinear")
    average = jnp.broadcast_to(jnp.asarray(weights.average), faces.shape)
    descriptors: Any = make_vgg_face(weights).apply({"params": weights.params}, faces - average)
    return descriptors[0]


def read_vgg_face(path: str | Path) -> VggFaceWeights:
    """Reads `vgg_face.mat` or `vgg-face.mat`.

    Raises:
      DataError: the file is missing, not of MatConvNet's layout, or not a VGG-16.

    Example:
      >>> read_vgg_face("vgg_face.mat").side  # doctest: +SKIP
      224
      >>> read_vgg_face("none.mat")
      Traceback (most recent call last):
      au_jax.errors.DataError: none.mat does not exist; get vgg_face.mat (archive vgg_face_matconvnet) from https://...
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; get vgg_face.mat (archive vgg_face_matconvnet) from {SOURCE}")
    try:
        content = loadmat(path, variable_names=("net", "layers", "meta", "normalization"))
    except (ValueError, NotImplementedError, OSError, TypeError) as error:
        raise DataError(f"{path} is no MATLAB file of version 5 to 7 ({error}); get it from {SOURCE}") from error
    # Oxford's archive holds a struct `net`, MatConvNet's copy the fields of that struct.
    net = {name: content["net"][name][0, 0] for name in content["net"].dtype.names} if "net" in content else content
    try:
        params = _params(net["layers"])
        meta = net["meta"][0, 0] if "meta" in net else net
        average = meta["normalization"][0, 0]["averageImage"]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise DataError(f"{path} has not the layout of vgg_face.mat (at {error}); get it from {SOURCE}") from error
    _check(path, params)
    # One colour is kept as [1, 1, 3], [3, 1] or [1, 3].
    average = average.reshape(-1) if average.size == 3 else average
    return VggFaceWeights(params, average.astype(np.float32))


def _params(layers: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """The weights of `LAYERS` among the file's cell array of structs."""
    params = {}
    for cell in layers.reshape(-1):
        layer = cell[0, 0]
        name = str(layer["name"].reshape(-1)[0])
        if name in LAYERS:
            if "weights" in layer.dtype.names:
                kernel, bias = layer["weights"].reshape(-1)[:2]
            else:  # before MatConvNet 1.0-beta13
                kernel, bias = layer["filters"], layer["biases"]
            # MATLAB has no trailing axes of length one.
            kernel = kernel.reshape(kernel.shape + (1,) * (4 - kernel.ndim))
            params[name] = {"kernel": kernel.astype(np.float32), "bias": bias.reshape(-1).astype(np.float32)}
    return params


def _check(path: Path, params: dict[str, dict[str, np.ndarray]]) -> None:
    """Raises DataError unless the layers are there and fit onto each other."""
    missing = [name for name in LAYERS if name not in params]
    if missing:
        raise DataError(
            f"{path} has no layer {', '.join(missing)}; it is not VGG-Face, which is to be had from {SOURCE}"
        )
    channels = 3
    for name in LAYERS:
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        window = {"fc6": kernel.shape[0], "fc7": 1}.get(name, 3)
        if kernel.shape != (window, window, channels, len(bias)):
            raise DataError(
                f"{path}: layer {name} has weights {kernel.shape} and {len(bias)} biases where {window} x {window} x "
                f"{channels} is due; it is not VGG-Face, which is to be had from {SOURCE}"
            )
        channels = len(bias)
