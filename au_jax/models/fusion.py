"""The fusion network of the paper (section III-C): the CNN's and the LSTM's scores of a frame to a logit per AU.

"Two fully connected layers with shared parameters are placed on top of both CNNs and LSTMs. The fusion network merges
the stacked L2-normalized scores in the first fully connected layer." What is shared is not said; the variants are the
readings of it.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from au_jax.errors import ConfigError
from au_jax.models.cnn import l2_normalise

FUSION_VARIANTS: tuple[str, ...] = ("stacked", "siamese", "features", "mean", "temporal")


START_WIDTH = 1.5
"""Standard deviation, in frames, of the Gaussian as which the filters of the variant "temporal" start."""


class Fusion(nn.Module):
    """Merges the two branches of a frame: the scores of the CNN and those of the LSTM.

    Attributes:
      variant: "stacked" (default reading: both score vectors stacked, the same two layers at every frame), "siamese"
        (the first layer is shared by the branches and its outputs are added), "features" (as stacked, on the CNN's fc7
        and the LSTM's hidden output instead of scores), "mean" (a control: the average of both branches' scores, each
        calibrated by a scale and an offset per AU; never normalised), "temporal" (ours: as "mean", over a window of frames that a
        learned filter weighs, one filter per branch, the same for all AUs; it starts as "mean" of Gaussian averages).
      hidden: units of the first layer (not stated in the paper; 64 gives 2,380 parameters).
      dropout: probability of a zero after the first layer while training.
      normalise: divide each branch's vector by its L2 norm, as in the paper. This discards how sure a frame is: two frames with
        scores in the same direction coincide; False keeps the magnitude.
      num_outputs: number of logits, one per AU; the paper has 12.
      present: "temporal": the place in the window of the frame in question.
      level: "temporal": whether a level stands behind the window.

    Example:
      >>> import jax
      >>> model, scores = Fusion(), jnp.zeros((5, 12))
      >>> variables = jax.eval_shape(model.init, jax.random.key(0), scores, scores)
      >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
      2380
    """

    variant: str = "stacked"
    hidden: int = 64
    dropout: float = 0.5
    normalise: bool = True
    num_outputs: int = 12
    present: int = 0
    level: bool = False

    @nn.compact
    def __call__(
        self,
        cnn_scores: Float[Array, "*rest C"],
        lstm_scores: Float[Array, "*rest L"] | None,
        train: bool = False,
    ) -> Float[Array, "*frames A"]:
        """Logits of frames.

        Args:
          cnn_scores: [.., A] float32, the CNN's logits ([.., D] features for "features"; [.., W, A], those of a window and, where
            there is one, the level, for "temporal": see `hybrid.fusion_rows`).
          lstm_scores: [.., A] float32, the LSTM's scores ([.., H] features for "features", [.., W, A] for "temporal"). None, for
            "temporal" only: the CNN alone, filtered.
          train: whether dropout is on (needs a "dropout" key).

        Returns:
          logits [.., num_outputs] float32; a zero score vector has a finite gradient.

        Raises:
          ConfigError: unknown variant.
          ValueError: scores of different widths for "siamese" and "mean".
        """
        if self.variant not in FUSION_VARIANTS:
            raise ConfigError(f"unknown fusion variant {self.variant!r}; choose from {', '.join(FUSION_VARIANTS)}")
        if self.variant == "temporal":
            filtered = [_Filter(self.present, self.level, name="cnn")(cnn_scores)]
            if lstm_scores is not None:
                filtered.append(_Filter(self.present, self.level, name="lstm")(lstm_scores))
            return sum(filtered[1:], filtered[0]) / len(filtered)
        if lstm_scores is None:
            raise ValueError(f"fusion variant {self.variant!r} needs the LSTM's scores; only 'temporal' does without")
        if self.variant in ("siamese", "mean") and cnn_scores.shape[-1] != lstm_scores.shape[-1]:
            raise ValueError(
                f"fusion variant {self.variant!r} needs scores of one width, got {cnn_scores.shape[-1]} from the CNN "
                f"and {lstm_scores.shape[-1]} from the LSTM"
            )
        if self.variant == "mean":
            return 0.5 * (_Calibration(name="cnn")(cnn_scores) + _Calibration(name="lstm")(lstm_scores))

        branches = [cnn_scores, lstm_scores]
        if self.normalise:
            branches = [l2_normalise(branch, eps=1e-12) for branch in branches]
        first = nn.Dense(self.hidden, name="fc1")
        if self.variant == "siamese":
            x = first(branches[0]) + first(branches[1])
        else:
            x = first(jnp.concatenate(branches, axis=-1))
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        return nn.Dense(self.num_outputs, name="fc2")(x)


class _Filter(nn.Module):
    """Calibrated scores of a window, weighed by a filter that all AUs share; it starts as a Gaussian average over the frames."""

    present: int
    level: bool

    @nn.compact
    def __call__(self, scores: Float[Array, "*rest W A"]) -> Float[Array, "*rest A"]:
        width = scores.shape[-2]
        taps = self.param("taps", self._gaussian, (width,))
        shape = (1,) * (scores.ndim - 2) + (width, 1)
        return _Calibration(name="calibration")((scores * taps.reshape(shape)).sum(-2))

    def _gaussian(self, key: Array, shape: tuple[int]) -> Float[Array, " W"]:
        del key
        frames = shape[0] - self.level
        distance = jnp.arange(frames, dtype=jnp.float32) - self.present
        weights = jnp.exp(-(distance**2) / (2 * START_WIDTH**2))
        return jnp.pad(weights / weights.sum(), (0, int(self.level)))


class _Calibration(nn.Module):
    """Platt's scale and offset, one of each per AU."""

    @nn.compact
    def __call__(self, scores: Float[Array, "*rest A"]) -> Float[Array, "*rest A"]:
        width = scores.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        shape = (1,) * (scores.ndim - 1) + (width,)
        return scores * scale.reshape(shape) + bias.reshape(shape)
