"""The paper's experiments on BP4D: 41 subjects x 8 tasks, A-level and above is present.

    au-jax train --config=bp4d:3fold --workdir=runs/bp4d_3fold

Variants 3fold, 10fold and cross (a CNN trained on GFT). The faces are those of synthfacs' preset `bp4d_like`, which has BP4D's
subjects, tasks, lengths and base rates. With a copy of BP4D:

    au-jax prepare --config=bp4d --raw=/data/BP4D
    au-jax train --config=bp4d:3fold --config.data.source=bp4d --workdir=runs/bp4d_3fold
"""

import ml_collections

from au_jax import paper_config


def get_config(variant: str = "3fold") -> ml_collections.ConfigDict:
    """Returns the configuration of a protocol on BP4D."""
    config = paper_config.get_config()
    config.data.source, config.data.preset = "synthfacs", "bp4d_like"
    config.data.stands_for = "bp4d"
    config.transfer.source, config.transfer.preset = "synthfacs", "gft_like"
    # Inferred: the paper does not list its folds; these are the ones that most published work shares.
    paper_config.set_protocol(config, variant, published="bp4d_3fold")
    return config
