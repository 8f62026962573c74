"""Dropout with as few random bits a number as the rate needs, one for 0.5, where `nn.Dropout` draws a float of 32."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


class BitDropout(nn.Module):
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
        # 1, 2, 4 or 8 bits, of which a word of 32 holds a whole number.
        bits = next(bits for bits in (1, 2, 4, 8) if kept * 2**bits % 256 == 0)
        shape = [1 if axis in self.broadcast_dims else size for axis, size in enumerate(x.shape)]
        size, in_word = math.prod(shape), 32 // bits
        words = jax.random.bits(self.make_rng("dropout"), (-(-size // in_word), 1), jnp.uint32)
        shifts = bits * jnp.arange(in_word, dtype=jnp.uint32).reshape(1, -1)
        drawn = (words >> shifts) & jnp.uint32(2**bits - 1)
        mask = drawn.reshape(-1)[:size].reshape(shape) < jnp.uint32(kept * 2**bits // 256)
        return jnp.where(jnp.broadcast_to(mask, x.shape), x * (256 / kept), 0.0)
