"""The paper's system on your own recordings: videos or folders of frames, with a CSV of AU codes each.

    au-jax prepare --config=folder --raw=/data/mine --config.data.name=mine
    au-jax train --config=folder --config.data.name=mine --workdir=runs/mine

<subject>/<video>.mp4 (avi, mov, mkv) or <subject>/<video>/<frame>.jpg (png), and <subject>/<video>.csv with a header that names
`frame` and AU columns (AU1, AU01, AU01_c, ...). Folds are drawn over subjects. Variants 3fold, 10fold and cross.
"""

import ml_collections

from au_jax import paper_config


def get_config(variant: str = "3fold") -> ml_collections.ConfigDict:
    """Returns the configuration of a protocol on recordings of the user's own."""
    config = paper_config.get_config()
    config.data.source = "folder"
    config.transfer.source, config.transfer.preset = "synthfacs", "bp4d_like"
    paper_config.set_protocol(config, variant)
    return config
