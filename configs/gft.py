"""The paper's experiments on GFT: 50 subjects, one video of about 5,000 frames each, B-level and above is present.

    au-jax train --config=gft:3fold --workdir=runs/gft_3fold

Variants 3fold, 10fold and cross (a CNN trained on BP4D). The faces are those of synthfacs' preset `gft_like`. With a copy of GFT:

    au-jax prepare --config=gft --raw=/data/GFT
    au-jax train --config=gft:3fold --config.data.source=gft --workdir=runs/gft_3fold
"""

import ml_collections

from au_jax import paper_config


def get_config(variant: str = "3fold") -> ml_collections.ConfigDict:
    """Returns the configuration of a protocol on GFT."""
    config = paper_config.get_config()
    config.data.source, config.data.preset = "synthfacs", "gft_like"
    config.data.stands_for = "gft"
    config.transfer.source, config.transfer.preset = "synthfacs", "bp4d_like"
    # The paper's folds of GFT were never published: they are drawn.
    paper_config.set_protocol(config, variant)
    return config
