"""The paper's system on DISFA: 27 subjects, one video of 4,845 frames each, intensity 2 and above is present.

    au-jax prepare --config=disfa --raw=/data/DISFA
    au-jax train --config=disfa --workdir=runs/disfa

Of the twelve AUs DISFA has 1, 2, 4, 6, 12, 15 and 17; the others are missing and stay out of losses, metrics and averages. The
paper does not use DISFA; networks and training are those that it used elsewhere. Variants 3fold (published), 10fold and cross.
"""

import ml_collections

from au_jax import paper_config


def get_config(variant: str = "3fold") -> ml_collections.ConfigDict:
    """Returns the configuration of a protocol on DISFA."""
    config = paper_config.get_config()
    config.data.source = "disfa"
    config.transfer.source, config.transfer.preset = "synthfacs", "bp4d_like"
    paper_config.set_protocol(config, variant, published="disfa_3fold")
    return config
