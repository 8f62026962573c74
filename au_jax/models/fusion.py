"""The fusion network of the paper (section 3.3): the CNN's and the LSTM's scores of a frame to 12 logits.

"Two fully connected layers with shared parameters are placed on top of both CNNs and LSTMs. The fusion network merges
the stacked L2-normalized scores in the first fully connected layer." What is shared is not said; the variants are the
readings of it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from au_jax.errors import UserError
from au_jax.labels import NUM_AUS
from au_jax.models.cnn import l2_normalise

VARIANTS: tuple[str, ...] = ("stacked", "siamese", "features", "mean")


class Fusion(nn.Module):
    """Merges the two streams of a frame.

    Attributes:
      variant: "stacked" (default reading: both score vectors stacked, the same two layers at every frame), "siamese"
        (the first layer is shared by the streams and its outputs are added), "features" (as stacked, on the CNN's fc7
        and the LSTM's hidden output instead of scores), "mean" (a control: the average of both streams' scores, each
        calibrated by a scale and an offset per AU; never normalised).
      hidden: units of the first layer (not stated in the paper; 64 gives 2,380 parameters).
      dropout: probability of a zero after the first layer while training.
      normalise: divide each stream by its L2 norm, as in the paper. This discards how sure a frame is: two frames with
        scores in the same direction coincide; False keeps the magnitude.
      num_outputs: number of logits.
    """

    variant: str = "stacked"
    hidden: int = 64
    dropout: float = 0.5
    normalise: bool = True
    num_outputs: int = NUM_AUS

    @nn.compact
    def __call__(self, cnn_scores: jax.Array, lstm_scores: jax.Array, train: bool = False) -> jax.Array:
        """Logits of frames.

        Args:
          cnn_scores: [.., 12] float32, the CNN's logits ([.., D] features for "features").
          lstm_scores: [.., 12] float32, the LSTM's scores ([.., H] features for "features").
          train: whether dropout is on (needs a "dropout" key).

        Returns:
          logits [.., num_outputs] float32; a zero score vector has a finite gradient.

        Raises:
          ValueError: unknown variant, or scores of different widths for "siamese" and "mean".
        """
        if self.variant not in VARIANTS:
            raise UserError(f"unknown fusion variant {self.variant!r}; choose from {', '.join(VARIANTS)}")
        if self.variant in ("siamese", "mean") and cnn_scores.shape[-1] != lstm_scores.shape[-1]:
            raise ValueError(
                f"fusion variant {self.variant!r} needs scores of one width, got {cnn_scores.shape[-1]} from the CNN "
                f"and {lstm_scores.shape[-1]} from the LSTM"
            )
        if self.variant == "mean":
            return 0.5 * (_Calibration(name="cnn")(cnn_scores) + _Calibration(name="lstm")(lstm_scores))

        streams = [cnn_scores, lstm_scores]
        if self.normalise:
            streams = [l2_normalise(stream, eps=1e-12) for stream in streams]
        first = nn.Dense(self.hidden, name="fc1")
        if self.variant == "siamese":
            x = first(streams[0]) + first(streams[1])
        else:
            x = first(jnp.concatenate(streams, axis=-1))
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        return nn.Dense(self.num_outputs, name="fc2")(x)


class _Calibration(nn.Module):
    """Platt's scale and offset, one of each per AU."""

    @nn.compact
    def __call__(self, scores: jax.Array) -> jax.Array:
        width = scores.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        shape = (1,) * (scores.ndim - 1) + (width,)
        return scores * scale.reshape(shape) + bias.reshape(shape)
