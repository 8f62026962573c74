"""Minutes of each person, where the paper's idea lives: the demo's faces and CNN, and the paper's three LSTMs of 256.

    au-jax train --config=long --workdir=runs/long
    python -m experiments.seen_seconds --run=runs/long --out=runs/long_curve

48 people for five minutes each. `long:no_rest` is the same without an opening at rest, `long:hard` has faces as hard as BP4D's
(docs/explanation/how-hard.md; drawing them takes dlib and about an hour); `long:smoke` a handful of seconds, which show that
everything runs, not that it learns.
"""

import ml_collections

from au_jax import paper_config
from au_jax.config import load


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Returns the configuration for long recordings; variant "", "no_rest", "hard" or "smoke"."""
    if variant not in ("", "no_rest", "hard", "smoke"):
        raise ValueError(f"configs/long.py has no variant {variant!r}; choose no_rest, hard, smoke or none")
    config = load("demo:smoke" if variant == "smoke" else "demo")
    small = config.lstm
    config.systems = ("anet", "anet_filter", "hybrid")
    config.data.preset = f"long_{variant}" if variant in ("no_rest", "hard") else "long"
    # Neighbouring frames of long videos say little new: an epoch of the CNN is about as long as the demo's.
    config.cnn.frame_step = 6

    # The paper's stack, loss, burn-in and optimizer. Of its input the demo's CNN has 256 numbers, not 4096.
    config.lstm = paper_config.get_config().lstm
    config.lstm.pca_components, config.lstm.standardise = small.pca_components, True
    # As many updates as the paper's about 10 epochs over BP4D.
    config.lstm.epochs, config.lstm.steps_per_epoch = 10, 40

    if variant == "smoke":
        config.data.subjects, config.data.frames = 6, 60
        config.cnn.frame_step = 2
        config.lstm.hidden, config.lstm.sequence_length = 16, 40
        config.lstm.epochs, config.lstm.steps_per_epoch = 2, 2
    return config
