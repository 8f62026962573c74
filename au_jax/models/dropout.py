"""Dropout with one random byte per number where `nn.Dropout` draws a float: on a CPU an eighth of the time."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


class ByteDropout(nn.Module):
    """As `nn.Dropout`, with other masks; `rate` is rounded to 256ths (0.5 is exact), and the scale follows from it."""

    rate: float
    broadcast_dims: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool) -> jax.Array:
        """Zeros numbers of x, each with probability `rate`, and scales the rest (needs a "dropout" key)."""
        kept = 256 - round(256 * self.rate)
        if deterministic or kept == 256:
            return x
        if kept == 0:
            return jnp.zeros_like(x)
        shape = [1 if axis in self.broadcast_dims else size for axis, size in enumerate(x.shape)]
        size = math.prod(shape)
        words = jax.random.bits(self.make_rng("dropout"), (-(-size // 4),), jnp.uint32)
        mask = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[:size].reshape(shape) < kept
        return jnp.where(jnp.broadcast_to(mask, x.shape), x * (256 / kept), 0.0)
