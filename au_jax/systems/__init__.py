"""The systems of the tables by their names in `config.systems`."""

from au_jax.systems.anet import ANet
from au_jax.systems.anet_transfer import AnetTransfer
from au_jax.systems.base import FoldContext, System, Transfer
from au_jax.systems.cpm import Cpm
from au_jax.systems.hog_svm import HogSvm
from au_jax.systems.hybrid import Hybrid
from au_jax.systems.jpml import Jpml

SYSTEMS: dict[str, type[System]] = {
    "hog_svm": HogSvm,
    "cpm": Cpm,
    "jpml": Jpml,
    "anet_transfer": AnetTransfer,
    "anet": ANet,
    "hybrid": Hybrid,
}

__all__ = ["SYSTEMS", "FoldContext", "System", "Transfer"]
