"""The 8-layer CNN of the paper (section III-A, Fig. 2b): five convolutions, three fully connected layers, a logit per AU.

A network is a row of data: `CNN_VARIANTS` maps a name to a table of layers, and `AlexNet` walks through the table. The
paper gives the depth, the 4096-D fc7 and the 176-px crop; kernels, strides, groups and biases are those of the same
group's published Caffe networks (DRML's AlexNet.prototxt), fed 176-px crops.
"""

import dataclasses
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32

from au_jax.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution and its ReLU. `std` is that of the normal initialisation; None means He (fan-in) scaling.

    Example:
      >>> CNN_VARIANTS["drml_alexnet"].layers[0]
      Conv(name='conv1', channels=96, kernel=11, stride=4, padding=0, grouped=False, std=0.01, bias=0.0)
    """

    name: str
    channels: int
    kernel: int
    stride: int
    padding: int
    grouped: bool
    std: float | None
    bias: float


@dataclasses.dataclass(frozen=True)
class Pool:
    """A maximum over windows of `window` x `window` pixels.

    Example:
      >>> CNN_VARIANTS["drml_alexnet"].layers[1]
      Pool(name='pool1', window=3, stride=2)
    """

    name: str
    window: int
    stride: int


@dataclasses.dataclass(frozen=True)
class Norm:
    """Caffe's local response normalisation across channels.

    Example:
      >>> CNN_VARIANTS["drml_alexnet"].layers[2]
      Norm(name='norm1', size=5, alpha=0.0001, beta=0.75, k=1.0)
    """

    name: str
    size: int
    alpha: float
    beta: float
    k: float


@dataclasses.dataclass(frozen=True)
class Dense:
    """A fully connected layer, its ReLU and its dropout; `std` as in `Conv`.

    Example:
      >>> CNN_VARIANTS["drml_alexnet"].layers[-1]
      Dense(name='fc7', features=4096, std=0.005, bias=1.0)
    """

    name: str
    features: int
    std: float | None
    bias: float


DTYPES: dict[str, jnp.dtype] = {"float32": jnp.dtype(jnp.float32), "bfloat16": jnp.dtype(jnp.bfloat16)}
"""Names of the precisions that `AlexNet.dtype` may have; parameters are float32 in both."""

Layer = Conv | Pool | Norm | Dense


@dataclasses.dataclass(frozen=True)
class CnnVariant:
    """One network: its layers up to fc7 in order, and the initialisation of the logits (fc8).

    `input_scale` multiplies the input (0..255 minus the mean). `crop_size` is the side of the crops, in pixels, that
    the variant is meant for; it is information for configs and tables, other sizes work.

    Example:
      >>> demo = CNN_VARIANTS["demo"]
      >>> demo.crop_size, [layer.name for layer in demo.layers]
      (68, ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7'])
    """

    layers: tuple[Layer, ...]
    output_std: float | None
    input_scale: float
    crop_size: int


FC7_WIDTH = 4096
"""Numbers of fc7 in the networks of the paper's size."""


def _caffe_layers(bias: float, pool_first: bool) -> tuple[Layer, ...]:
    """AlexNet as trained in Caffe. `bias`: that of conv2, conv4, conv5, fc6, fc7; `pool_first`: pooling before LRN."""

    def pool_and_norm(index: int) -> tuple[Layer, Layer]:
        pool = Pool(f"pool{index}", window=3, stride=2)
        norm = Norm(f"norm{index}", size=5, alpha=1e-4, beta=0.75, k=1.0)
        return (pool, norm) if pool_first else (norm, pool)

    return (
        Conv("conv1", 96, kernel=11, stride=4, padding=0, grouped=False, std=0.01, bias=0.0),
        *pool_and_norm(1),
        Conv("conv2", 256, kernel=5, stride=1, padding=2, grouped=True, std=0.01, bias=bias),
        *pool_and_norm(2),
        Conv("conv3", 384, kernel=3, stride=1, padding=1, grouped=False, std=0.01, bias=0.0),
        Conv("conv4", 384, kernel=3, stride=1, padding=1, grouped=True, std=0.01, bias=bias),
        Conv("conv5", 256, kernel=3, stride=1, padding=1, grouped=True, std=0.01, bias=bias),
        Pool("pool5", window=3, stride=2),
        Dense("fc6", 4096, std=0.005, bias=bias),
        Dense("fc7", FC7_WIDTH, std=0.005, bias=bias),
    )


# For 68-px crops of 72-px faces on a CPU, He initialisation so that it learns from scratch in a few thousand updates.
# Strides in place of pooling: a raised brow moves by two pixels here, and a maximum over three pixels does not tell.
# Channels are multiples of 16, where XLA's CPU convolutions are fast.
_DEMO_LAYERS: tuple[Layer, ...] = (
    Conv("conv1", 16, kernel=5, stride=2, padding=2, grouped=False, std=None, bias=0.0),
    Conv("conv2", 32, kernel=3, stride=2, padding=1, grouped=False, std=None, bias=0.0),
    Conv("conv3", 64, kernel=3, stride=2, padding=1, grouped=False, std=None, bias=0.0),
    Conv("conv4", 64, kernel=3, stride=1, padding=1, grouped=False, std=None, bias=0.0),
    Conv("conv5", 64, kernel=3, stride=1, padding=1, grouped=False, std=None, bias=0.0),
    Dense("fc6", 256, std=None, bias=0.0),
    Dense("fc7", 256, std=None, bias=0.0),
)

CNN_VARIANTS: dict[str, CnnVariant] = {
    # Same authors, months, 12 AUs and solver as the paper; biases of 1 explain its fc7 with only 35 % zeros.
    "drml_alexnet": CnnVariant(
        _caffe_layers(bias=1.0, pool_first=True), output_std=0.01, input_scale=1.0, crop_size=176
    ),
    # BVLC's reference AlexNet: normalisation before pooling, biases of 0.1.
    "bvlc_alexnet": CnnVariant(
        _caffe_layers(bias=0.1, pool_first=False), output_std=0.01, input_scale=1.0, crop_size=176
    ),
    "demo": CnnVariant(_DEMO_LAYERS, output_std=0.01, input_scale=1.0 / 64.0, crop_size=68),
}


def local_response_norm(
    x: Float[Array, "*rest C"], size: int, alpha: float, beta: float, k: float
) -> Float[Array, "*rest C"]:
    """Caffe's LRN across channels: x_c (k + (alpha / size) sum of x^2 over `size` channels around c)^-beta.

    Args:
      x: [..., C] float, channels last.
      size: number of channels in the window, odd; the window is cut at the ends (zeros outside).
      alpha, beta, k: constants of the formula.

    Returns:
      [..., C], the dtype of x. Tested against torch.nn.LocalResponseNorm, which divides alpha by size too.

    Example:
      >>> y = local_response_norm(jnp.ones((1, 5)), size=5, alpha=5.0, beta=1.0, k=1.0)
      >>> [round(float(value), 3) for value in y[0]]  # 1 / (1 + how many channels are in the window)
      [0.25, 0.2, 0.167, 0.2, 0.25]
    """
    half = size // 2
    window, edges = (1,) * (x.ndim - 1) + (size,), ((0, 0),) * (x.ndim - 1) + ((half, half),)
    dtype, x = x.dtype, x.astype(jnp.float32)  # bfloat16 would lose what is added to k
    total = jax.lax.reduce_window(jnp.square(x), 0.0, jax.lax.add, window, (1,) * x.ndim, edges)
    # exp and log are vectorised on CPUs where a general power is not.
    return (x * jnp.exp(-beta * jnp.log(k + (alpha / size) * total))).astype(dtype)


def max_pool(x: Float[Array, "B H W C"], window: int, stride: int, rounding: str) -> Float[Array, "B h w C"]:
    """Maximum over square windows, with Caffe's ("ceil") or the usual ("floor") number of windows.

    With "ceil" the last window may hang over the lower and right edge; what is outside does not count. Written as a
    maximum of strided slices, because the gradient of a reduce-window is many times slower on CPUs. Where several
    pixels of a window are equal, the gradient is shared among them (PyTorch gives it to the first).

    Args:
      x: [B, H, W, C] float, H and W at least `window`.
      window, stride: side of the windows and distance between them, in pixels.
      rounding: "ceil" or "floor".

    Returns:
      [B, h, w, C], h = round((H - window) / stride) + 1.

    Raises:
      ConfigError: for another rounding, or an image smaller than the window.

    Example:
      >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
      >>> max_pool(x, window=3, stride=2, rounding="ceil")[0, :, :, 0].tolist()
      [[10.0, 11.0], [14.0, 15.0]]
      >>> max_pool(x, window=3, stride=2, rounding="floor").shape
      (1, 1, 1, 1)
    """
    if rounding not in ("ceil", "floor"):
        raise ConfigError(f"pool_rounding is {rounding!r}; choose 'ceil' (Caffe) or 'floor'")
    height, width = x.shape[1:3]
    if min(height, width) < window:
        raise ConfigError(f"cannot pool {height} x {width} pixels with a window of {window}: the crop is too small")
    steps = math.ceil if rounding == "ceil" else math.floor
    rows, columns = (steps((side - window) / stride) + 1 for side in (height, width))
    spans = [(number - 1) * stride + 1 for number in (rows, columns)]
    overhang = [max(span - 1 + window - side, 0) for span, side in zip(spans, (height, width), strict=True)]
    if any(overhang):
        x = jnp.pad(x, ((0, 0), (0, overhang[0]), (0, overhang[1]), (0, 0)), constant_values=-jnp.inf)

    # The maximum is separable: along the rows first, then along the columns, 2 x window slices instead of window^2.
    slices = [x[:, top : top + spans[0] : stride] for top in range(window)]
    x = _maximum(slices)
    return _maximum([x[:, :, left : left + spans[1] : stride] for left in range(window)])


def _maximum(arrays: list[jax.Array]) -> jax.Array:
    largest = arrays[0]
    for array in arrays[1:]:
        largest = jnp.maximum(largest, array)
    return largest


def l2_normalise(x: Float[Array, "*rest D"], eps: float) -> Float[Array, "*rest D"]:
    """x / max(||x||, sqrt(eps)) over the last axis, with a zero gradient instead of NaN where x is zero.

    Example:
      >>> [round(float(value), 3) for value in l2_normalise(jnp.array([3.0, 4.0]), eps=1e-12)]
      [0.6, 0.8]
    """
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=-1, keepdims=True), eps))


def _normal(std: float | None) -> Callable[..., jax.Array]:
    return nn.initializers.he_normal() if std is None else nn.initializers.normal(std)


class GroupedConv(nn.Module):
    """Convolution in `groups` independent parts of the channels, as plain convolutions side by side.

    XLA's CPU backward pass of a grouped convolution is catastrophically slow; two plain ones are not. The kernel has
    the shape of Flax's own `nn.Conv(feature_group_count=groups)`: [kernel, kernel, C_in / groups, C_out].

    Example:
      >>> x = jnp.ones((1, 8, 8, 4))
      >>> conv = GroupedConv(channels=6, kernel=3, stride=2, padding=1, groups=2, std=0.01, bias=0.0, dtype=jnp.float32)
      >>> variables = jax.eval_shape(conv.init, jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, jax.eval_shape(conv.apply, variables, x).shape
      ((3, 3, 2, 6), (1, 4, 4, 6))
    """

    channels: int
    kernel: int
    stride: int
    padding: int
    groups: int
    std: float | None
    bias: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w K"]:
        channels_in = x.shape[-1]
        if channels_in % self.groups or self.channels % self.groups:
            raise ConfigError(
                f"layer {self.name}: {channels_in} input and {self.channels} output channels do not divide into "
                f"{self.groups} groups; change groups or width"
            )
        shape = (self.kernel, self.kernel, channels_in // self.groups, self.channels)
        kernel = self.param("kernel", _normal(self.std), shape).astype(self.dtype)
        bias = self.param("bias", nn.initializers.constant(self.bias), (self.channels,)).astype(self.dtype)
        parts = [
            jax.lax.conv_general_dilated(
                part,
                weights,
                window_strides=(self.stride, self.stride),
                padding=((self.padding, self.padding), (self.padding, self.padding)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            for part, weights in zip(
                jnp.split(x, self.groups, axis=-1), jnp.split(kernel, self.groups, axis=-1), strict=True
            )
        ]
        convolved = jnp.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        return convolved + bias.reshape(1, 1, 1, -1)


class AlexNet(nn.Module):
    """The CNN of section III-A: frames to a logit per AU, with every named layer's output beside them.

    Attributes:
      variant: a key of `CNN_VARIANTS`.
      num_outputs: number of logits, one per AU; the paper has 12.
      groups: groups of the convolutions that the table marks as grouped (Caffe's AlexNet: 2).
      pool_rounding: "ceil" (Caffe) or "floor".
      width: multiplies the channels of every layer but the logits; rounded to a multiple of `groups`.
      dropout: probability of a zero after fc6 and fc7 while training.
      dtype: of the computation; parameters and logits are float32.

    Example:
      >>> model = AlexNet("demo", num_outputs=3)
      >>> crops = jnp.zeros((2, 68, 68, 3))
      >>> variables = jax.eval_shape(model.init, jax.random.key(0), crops)
      >>> logits, out = jax.eval_shape(model.apply, variables, crops)
      >>> logits.shape, out["fc7"].shape
      ((2, 3), (2, 256))
    """

    variant: str = "drml_alexnet"
    num_outputs: int = 12
    groups: int = 2
    pool_rounding: str = "ceil"
    width: float = 1.0
    dropout: float = 0.5
    dtype: DTypeLike = jnp.float32

    def _channels(self, channels: int) -> int:
        return max(round(channels * self.width / self.groups), 1) * self.groups

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W 3"], train: bool = False
    ) -> tuple[Float32[Array, "B A"], dict[str, jax.Array]]:
        """Runs the network.

        Args:
          x: [B, H, W, 3] float, RGB 0..255 minus the training mean.
          train: whether dropout is on (needs a "dropout" key).

        Returns:
          logits [B, num_outputs] float32 and `out`, a dict from layer name to its output: `conv1`.. after ReLU,
          `pool1`, `norm1`.., `fc6` after dropout, `fc7_raw` after ReLU and before dropout, `fc7` the same L2-normalised
          (the paper's feature), `fc8` the logits.

        Raises:
          ConfigError: unknown variant, channels that do not divide into groups, a crop too small to pool.
        """
        if self.variant not in CNN_VARIANTS:
            raise ConfigError(f"unknown CNN variant {self.variant!r}; choose from {', '.join(CNN_VARIANTS)}")
        variant = CNN_VARIANTS[self.variant]
        out: dict[str, jax.Array] = {}
        x = (x * variant.input_scale).astype(self.dtype)
        for layer in variant.layers:
            match layer:
                case Conv(name, channels, kernel, stride, padding, grouped, std, bias):
                    groups = self.groups if grouped else 1
                    convolution = GroupedConv(
                        self._channels(channels), kernel, stride, padding, groups, std, bias, self.dtype, name=name
                    )
                    x = nn.relu(convolution(x))
                case Pool(name, window, stride):
                    x = max_pool(x, window, stride, self.pool_rounding)
                case Norm(name, size, alpha, beta, k):
                    x = local_response_norm(x, size, alpha, beta, k)
                case Dense(name, features, std, bias):
                    x = x.reshape(x.shape[0], -1)
                    dense = nn.Dense(
                        self._channels(features),
                        kernel_init=_normal(std),
                        bias_init=nn.initializers.constant(bias),
                        dtype=self.dtype,
                        name=name,
                    )
                    x = nn.relu(dense(x))
                    if name == "fc7":
                        out["fc7_raw"] = x
                    x = nn.Dropout(self.dropout, deterministic=not train)(x)
            out[layer.name] = x
        logits = nn.Dense(self.num_outputs, kernel_init=_normal(variant.output_std), dtype=self.dtype, name="fc8")(
            x
        ).astype(jnp.float32)
        out["fc7"] = l2_normalise(out["fc7_raw"].astype(jnp.float32), eps=1e-12)
        out["fc8"] = logits
        return logits, out


def num_parameters(model: nn.Module, crop_size: int) -> int:
    """Number of parameters of a CNN for crops of `crop_size` px, by shapes alone (nothing is allocated).

    Example:
      >>> num_parameters(AlexNet(num_outputs=12), crop_size=176)  # the paper's
      45383052
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, crop_size, crop_size, 3), jnp.float32))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
