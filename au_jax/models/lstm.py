"""The temporal network of the paper (section III-B): stacked LSTMs over frame features, a score in [-1, 1] per AU.

Standard LSTM without peepholes, tanh as block input and output; dropout on the non-recurrent connections only, with a
fresh mask per step (the recipe of char-rnn, which the paper follows). The scores of one subject's concatenated videos
come from one call: `reset` zeroes the state where a new video starts.

Parameters of a layer: input/kernel [D, 4 hidden], input/bias [4 hidden], recurrent/cell/kernel [hidden, 4 hidden]; the
gates are in the order input, forget, block input, output.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from au_jax.errors import ConfigError
from au_jax.models.lstm_kernel import run_layer

KERNELS: tuple[str, ...] = ("fused", "scan")
"""How a layer's steps are differentiated: see `LSTMStack.kernel`."""

Carry = tuple[tuple[jax.Array, jax.Array], ...]
"""(cell state, output) of every layer, each [B, hidden] float32."""


def symmetric_uniform(init_range: float):
    """Initialiser uniform in [-init_range, init_range].

    Example:
      >>> weights = symmetric_uniform(0.08)(jax.random.key(0), (1000,))
      >>> bool(weights.min() < -0.07), bool(abs(weights).max() <= 0.08)
      (True, True)
    """

    def initialise(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -init_range, init_range)

    return initialise


def _gate_bias(hidden: int, forget_bias: float):
    """Initialiser of the gates' biases in the order input, forget, block input, output."""

    def initialise(key, shape, dtype=jnp.float32):
        del key
        return jnp.zeros(shape, dtype).at[hidden : 2 * hidden].set(forget_bias)

    return initialise


class BitDropout(nn.Module):
    """Dropout with as few random bits per number as the rate needs: one for 0.5, where `nn.Dropout` draws a float of 32.

    Attributes:
      rate: probability of a zero, rounded to 256ths (0.5 is exact); the scale of the rest follows from it.
      broadcast_dims: axes along which the mask is the same.

    Example:
      >>> drop = BitDropout(0.5)
      >>> values = drop.apply({}, jnp.ones((4, 6)), deterministic=False, rngs={"dropout": jax.random.key(0)})
      >>> sorted(set(values.reshape(-1).tolist()))
      [0.0, 2.0]
    """

    rate: float
    broadcast_dims: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"], deterministic: bool) -> Float[Array, "*shape"]:
        """Zeros numbers of x, each with probability `rate`, and scales the rest (needs a "dropout" key)."""
        kept = 256 - round(256 * self.rate)
        if deterministic or kept == 256:
            return x
        if kept == 0:
            return jnp.zeros_like(x)
        # 1, 2, 4 or 8 bits, of which a word of 32 holds a whole number.
        bits = next(bits for bits in (1, 2, 4, 8) if kept * 2**bits % 256 == 0)
        shape = [1 if axis in self.broadcast_dims else size for axis, size in enumerate(x.shape)]
        size, in_word = math.prod(shape), 32 // bits
        words = jax.random.bits(self.make_rng("dropout"), (-(-size // in_word), 1), jnp.uint32)
        shifts = bits * jnp.arange(in_word, dtype=jnp.uint32).reshape(1, -1)
        numbers = (words >> shifts) & jnp.uint32(2**bits - 1)
        mask = numbers.reshape(-1)[:size].reshape(shape) < jnp.uint32(kept * 2**bits // 256)
        return jnp.where(jnp.broadcast_to(mask, x.shape), x * (256 / kept), 0.0)


class LSTMCell(nn.Module):
    """One step of an LSTM layer, given the input's share of the gates (`W x_t + b`, computed for all steps at once).

    Example:
      >>> state = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> step = jnp.zeros((1, 4)), jnp.zeros(1, bool), jnp.array(False), jnp.array(False)  # gates 0, that is half open
      >>> variables = {"params": {"kernel": jnp.zeros((1, 4))}}
      >>> (c, h), _ = LSTMCell(hidden=1, init_range=0.08).apply(variables, state, step)
      >>> float(c[0, 0]), round(float(h[0, 0]), 3)  # half of 1, and half of tanh(0.5)
      (0.5, 0.231)
    """

    hidden: int
    init_range: float

    @nn.compact
    def __call__(self, carry, step):
        """carry: (c, h), each [B, hidden]; step: (gates [B, 4 hidden], reset [B], cut [], hold []) -> carry, h."""
        gates, reset, cut, hold = step
        kernel = self.param("kernel", symmetric_uniform(self.init_range), (self.hidden, 4 * self.hidden))
        keep = 1.0 - reset[:, None].astype(gates.dtype)
        c, h = carry[0] * keep, carry[1] * keep
        c, h = jnp.where(cut, jax.lax.stop_gradient(c), c), jnp.where(cut, jax.lax.stop_gradient(h), h)
        i, f, g, o = jnp.split(gates + h @ kernel, 4, axis=-1)
        new_c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        new_h = nn.sigmoid(o) * jnp.tanh(new_c)
        return (jnp.where(hold, carry[0], new_c), jnp.where(hold, carry[1], new_h)), new_h


class LSTMChunk(nn.Module):
    """A scan of the cell over some steps, time first.

    Example:
      >>> state = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> steps = jnp.zeros((3, 1, 4)), jnp.zeros((3, 1), bool), jnp.zeros(3, bool), jnp.zeros(3, bool)
      >>> variables = {"params": {"cell": {"kernel": jnp.zeros((1, 4))}}}
      >>> (c, h), outputs = LSTMChunk(hidden=1, init_range=0.08).apply(variables, state, steps)
      >>> c.tolist(), outputs.shape  # half-open forget gates halve the state three times
      ([[0.125]], (3, 1, 1))
    """

    hidden: int
    init_range: float

    @nn.compact
    def __call__(self, carry, steps):
        scan = nn.scan(LSTMCell, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0)
        return scan(self.hidden, self.init_range, name="cell")(carry, steps)


class LSTMWeights(nn.Module):
    """The recurrent weights, under the name that they have in `LSTMChunk`.

    Example:
      >>> LSTMWeights(hidden=2, init_range=0.08).init_with_output(jax.random.key(0))[0].shape
      (2, 8)
    """

    hidden: int
    init_range: float

    @nn.compact
    def __call__(self) -> jax.Array:
        return _RecurrentWeights(self.hidden, self.init_range, name="cell")()


class _RecurrentWeights(nn.Module):
    hidden: int
    init_range: float

    @nn.compact
    def __call__(self) -> jax.Array:
        return self.param("kernel", symmetric_uniform(self.init_range), (self.hidden, 4 * self.hidden))


class InputWeights(nn.Module):
    """Kernel [D, 4 hidden] and biases of the input's share of the gates, as `nn.Dense` names them.

    Example:
      >>> layer = InputWeights(hidden=2, init_range=0.08, forget_bias=1.0)
      >>> (kernel, bias), _ = layer.init_with_output(jax.random.key(0), 3)
      >>> kernel.shape, bias.tolist()
      ((3, 8), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    """

    hidden: int
    init_range: float
    forget_bias: float

    @nn.compact
    def __call__(self, dimension: int) -> tuple[jax.Array, jax.Array]:
        kernel = self.param("kernel", symmetric_uniform(self.init_range), (dimension, 4 * self.hidden))
        return kernel, self.param("bias", _gate_bias(self.hidden, self.forget_bias), (4 * self.hidden,))


class LSTMLayer(nn.Module):
    """One LSTM layer in one direction; see `LSTMStack` for the attributes.

    Example:
      >>> layer = LSTMLayer(hidden=4, init_range=0.08, forget_bias=0.0, stop_gradient_step=None, remat_chunk=None, kernel="scan")
      >>> state = jnp.zeros((2, 4)), jnp.zeros((2, 4))
      >>> run = lambda key: layer.init_with_output(key, jnp.zeros((2, 5, 3)), jnp.zeros((2, 5), bool), state)[0]
      >>> outputs, (c, h) = jax.eval_shape(run, jax.random.key(0))
      >>> outputs.shape, h.shape
      ((2, 5, 4), (2, 4))
    """

    hidden: int
    init_range: float
    forget_bias: float
    stop_gradient_step: int | None
    remat_chunk: int | None
    kernel: str

    @nn.compact
    def __call__(
        self, inputs: jax.Array, reset: jax.Array, carry: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """inputs [B, T, D], reset [B, T] bool, carry (c, h) each [B, hidden] -> outputs [B, T, hidden], carry."""
        steps = inputs.shape[1]
        kernel, bias = InputWeights(self.hidden, self.init_range, self.forget_bias, name="input")(inputs.shape[2])
        time = jnp.arange(steps)
        cut = time == (-1 if self.stop_gradient_step is None else self.stop_gradient_step)

        if self.kernel == "fused":
            recurrent = LSTMWeights(self.hidden, self.init_range, name="recurrent")()
            carry, outputs = run_layer((kernel, bias, recurrent), inputs, carry, reset, cut, self.remat_chunk)
            return outputs, carry

        gates = jnp.swapaxes(inputs, 0, 1) @ kernel + bias.reshape(1, 1, -1)
        rows = (gates, jnp.swapaxes(reset, 0, 1), cut, jnp.zeros(steps, bool))
        if not self.remat_chunk:
            carry, outputs = LSTMChunk(self.hidden, self.init_range, name="recurrent")(carry, rows)
            return jnp.swapaxes(outputs, 0, 1), carry

        # The steps are cut into chunks whose inner values are computed again in the backward pass (remat), so that only
        # one carry a chunk is kept. The last chunk is filled up with steps that hold the carry.
        chunk = min(self.remat_chunk, steps)
        chunks = math.ceil(steps / chunk)
        filling = chunks * chunk - steps
        rows = tuple(
            jnp.pad(row, [(0, filling)] + [(0, 0)] * (row.ndim - 1), constant_values=fill).reshape(
                chunks, chunk, *row.shape[1:]
            )
            for row, fill in zip(rows, (0, False, False, True), strict=True)
        )
        body = nn.remat(LSTMChunk, prevent_cse=False)
        scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0)
        carry, outputs = scan(self.hidden, self.init_range, name="recurrent")(carry, rows)
        outputs = outputs.reshape(chunks * chunk, *outputs.shape[2:])[:steps]
        return jnp.swapaxes(outputs, 0, 1), carry


class LSTMStack(nn.Module):
    """The temporal network of section III-B: stacked LSTMs and a head, features of a sequence of frames to AU scores.

    drop(x) -> LSTM 1 -> drop -> LSTM 2 -> drop -> LSTM 3 -> drop -> head. 2,365,452 parameters for 1024 inputs.

    Attributes:
      layers: number of LSTM layers.
      hidden: units of a layer (of each direction).
      num_outputs: number of scores, one per AU; the paper has 12.
      dropout: probability of a zero on every non-recurrent connection while training, the input included.
      variational: one dropout mask for all steps of a sequence instead of a fresh one per step.
      bidirectional: a second LSTM per layer runs from the last frame to the first; then nothing can stream.
      head: "tanh", a linear readout squeezed by tanh (the paper's "squeezed into [-1, 1]", inferred), "logit", the readout as
        it is, or "hidden", the last LSTM layer has `num_outputs` units and its output is the score (directions are averaged).
      stop_gradient_step: at this step the state is passed on without its gradient, so that the frames before it (the
        burn-in, which the loss masks) are disregarded in the backward pass. None: never. Only the forward direction has
        a burn-in.
      init_range: weights start uniform in [-init_range, init_range].
      forget_bias: initial bias of the forget gates; all other biases start at 0.
      remat_chunk: number of steps whose activations are computed again in the backward pass; None keeps them all.
      kernel: "fused", a gradient written by hand (lstm_kernel.py), or "scan", the reference that JAX differentiates.
        Parameters are the same, and results but for rounding.

    Example:
      >>> model = LSTMStack(num_outputs=12)
      >>> variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 1, 1024)))
      >>> sum(leaf.size for leaf in jax.tree.leaves(variables))  # the paper's
      2365452
      >>> scores, carry = jax.eval_shape(model.apply, variables, jnp.zeros((2, 7, 1024)))
      >>> scores.shape, carry[0][0].shape
      ((2, 7, 12), (2, 256))
    """

    layers: int = 3
    hidden: int = 256
    num_outputs: int = 12
    dropout: float = 0.5
    variational: bool = False
    bidirectional: bool = False
    head: str = "tanh"
    stop_gradient_step: int | None = None
    init_range: float = 0.08
    forget_bias: float = 0.0
    remat_chunk: int | None = None
    kernel: str = "fused"

    def setup(self):
        if self.kernel not in KERNELS:
            raise ConfigError(f"unknown LSTM kernel {self.kernel!r}; choose from {', '.join(KERNELS)}")
        if self.head not in ("tanh", "logit", "hidden"):
            raise ConfigError(f"unknown LSTM head {self.head!r}; choose 'tanh', 'logit' or 'hidden'")

        def one_direction(stop_gradient_step: int | None) -> list[LSTMLayer]:
            return [
                LSTMLayer(units, self.init_range, self.forget_bias, stop_gradient_step, self.remat_chunk, self.kernel)
                for units in self._units()
            ]

        self.forward = one_direction(self.stop_gradient_step)
        if self.bidirectional:
            self.backward = one_direction(None)
        self.drop = BitDropout(self.dropout, broadcast_dims=(1,) if self.variational else ())
        if self.head != "hidden":
            self.readout = nn.Dense(self.num_outputs, kernel_init=symmetric_uniform(self.init_range))

    def _units(self) -> list[int]:
        last = self.num_outputs if self.head == "hidden" else self.hidden
        return [self.hidden] * (self.layers - 1) + [last]

    def initial_carry(self, batch: int) -> Carry:
        """Zero state for `batch` sequences; needs no parameters."""
        return tuple((jnp.zeros((batch, n), jnp.float32), jnp.zeros((batch, n), jnp.float32)) for n in self._units())

    def hidden_states(
        self,
        features: Float[Array, "B T D"],
        reset: Bool[Array, "B T"] | None = None,
        carry: Carry | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "B T H"], Carry | None]:
        """Output of the last LSTM layer before dropout and head, [B, T, hidden] (2 hidden if bidirectional), and carry.

        Arguments and errors as in `__call__`; use it with `model.apply(..., method="hidden_states")`.
        """
        if self.bidirectional and carry is not None:
            raise ValueError(
                "a bidirectional LSTM takes no carry: it needs the frames after the present one; "
                "run it on whole sequences, or train with lstm.bidirectional=False to stream"
            )
        batch, steps = features.shape[:2]
        reset = jnp.zeros((batch, steps), bool) if reset is None else jnp.asarray(reset, bool)
        state = self.initial_carry(batch) if carry is None else carry
        if len(state) != self.layers:
            raise ValueError(f"the carry has {len(state)} layers where the LSTM has {self.layers}")
        # Backwards, the state is zeroed on passing from the first frame of a video to the last frame of the one before.
        starts_before = jnp.concatenate([jnp.zeros((batch, 1), bool), jnp.flip(reset[:, 1:], axis=1)], axis=1)

        x, new_carry = features, []
        for layer in range(self.layers):
            x = self.drop(x, deterministic=not train)
            outputs, layer_carry = self.forward[layer](x, reset, state[layer])
            new_carry.append(layer_carry)
            if self.bidirectional:
                reverse, _ = self.backward[layer](jnp.flip(x, axis=1), starts_before, state[layer])
                outputs = jnp.concatenate([outputs, jnp.flip(reverse, axis=1)], axis=-1)
            x = outputs
        return x, None if self.bidirectional else tuple(new_carry)

    def __call__(
        self,
        features: Float[Array, "B T D"],
        reset: Bool[Array, "B T"] | None = None,
        carry: Carry | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "B T A"], Carry | None]:
        """Scores of sequences.

        Args:
          features: [B, T, D] float32.
          reset: [B, T] bool, the state is zeroed before step t where it is True; None never.
          carry: state after the frames before these, as returned by an earlier call; None is zero.
          train: whether dropout is on (needs a "dropout" key).

        Returns:
          scores [B, T, num_outputs], in [-1, 1] but for the head "logit" (> 0: present), and the carry after the last step
          (None if bidirectional).

        Raises:
          ConfigError: an unknown head or kernel.
          ValueError: a carry given to a bidirectional LSTM or with a wrong number of layers.
        """
        hidden, new_carry = self.hidden_states(features, reset, carry, train)
        if self.head != "hidden":
            logits = self.readout(self.drop(hidden, deterministic=not train))
            return jnp.tanh(logits) if self.head == "tanh" else logits, new_carry
        if self.bidirectional:
            hidden = 0.5 * (hidden[..., : self.num_outputs] + hidden[..., self.num_outputs :])
        return hidden, new_carry


def one_step(
    model: LSTMStack, params: Any, features: Float[Array, "B 1 D"], carry: Carry
) -> tuple[Float[Array, "B 1 A"], Float[Array, "B 1 H"], Carry]:
    """The stack on a single frame in plain products and tanh, for converters that know no loops; tested against `LSTMStack`.

    Args:
      model: in one direction.
      params: of the model.
      features: [B, 1, D] float32.
      carry: state after the frames before.

    Returns:
      Scores [B, 1, A], the last layer's output [B, 1, H], and the state after this frame.

    Example:
      >>> model, frame = LSTMStack(layers=2, hidden=4, num_outputs=2), jnp.ones((1, 1, 3))
      >>> params = model.init(jax.random.key(0), frame)["params"]
      >>> scores, hidden, carry = one_step(model, params, frame, model.initial_carry(1))
      >>> bool(jnp.allclose(scores, model.apply({"params": params}, frame)[0], atol=1e-6)), len(carry)
      (True, 2)
    """
    x, after = features[:, 0], []
    for layer, (c, h) in enumerate(carry):
        weights = params[f"forward_{layer}"]
        kernel, bias = weights["input"]["kernel"], weights["input"]["bias"]
        gates = x @ kernel + bias.reshape(1, -1) + h @ weights["recurrent"]["cell"]["kernel"]
        units = h.shape[-1]
        i, f, g, o = (gates[:, units * gate : units * (gate + 1)] for gate in range(4))
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        x = jax.nn.sigmoid(o) * jnp.tanh(c)
        after.append((c, x))
    scores = x
    if model.head != "hidden":
        logits = x @ params["readout"]["kernel"] + params["readout"]["bias"].reshape(1, -1)
        scores = jnp.tanh(logits) if model.head == "tanh" else logits
    return scores[:, None], x[:, None], tuple(after)
