"""The runs behind the paper's tables, at three scales: as the paper, on the demo's small networks, or just to see it work.

python -m au_jax.main --config=experiments/scales.py:bp4d-3fold-smoke --workdir=runs/bp4d_3fold
"""

import ml_collections

from au_jax.config import load
from au_jax.evaluation.paper import PROTOCOLS

DATASETS: tuple[str, ...] = ("bp4d", "gft")
SCALES: dict[str, str] = {
    "smoke": "12 people, tiny networks: shows that everything runs, not that it learns",
    "small": "the demo's networks on 41 and 50 people",
    "full": "the paper's networks and sizes",
}
"""Scales and what they are."""

# People, videos and frames of a video of the synthetic datasets; 0: the preset's own.
_SIZES = {
    "smoke": {"bp4d": (12, 1, 100), "gft": (12, 1, 100)},
    "small": {"bp4d": (41, 4, 60), "gft": (50, 1, 200)},
    "full": {"bp4d": (0, 0, 0), "gft": (0, 0, 0)},
}
_SECTIONS = ("cnn", "hog_svm", "cpm", "jpml", "lstm", "fusion")


def get_config(variant: str) -> ml_collections.ConfigDict:
    """The configuration of a run on synthetic faces.

    Args:
      variant: dataset, protocol and scale: of "bp4d" and "gft", `PROTOCOLS` and `SCALES`, with dashes between.
    """
    dataset, protocol, scale, *more = [*variant.split("-"), "", ""]
    if dataset not in DATASETS or protocol not in PROTOCOLS or scale not in SCALES or any(more):
        raise ValueError(
            f"experiments/scales.py has no variant {variant!r}; it is made of {'|'.join(DATASETS)}, "
            f"{'|'.join(PROTOCOLS)} and {'|'.join(SCALES)}, as in bp4d-3fold-smoke"
        )
    config = load(f"{dataset}:{protocol}")
    other = "gft" if dataset == "bp4d" else "bp4d"
    for data, name in ((config.data, dataset), (config.transfer, other)):
        data.subjects, data.videos, data.frames = _SIZES[scale][name]
    if scale == "full":
        return config
    small = load("demo:smoke" if scale == "smoke" else "demo")
    for section in _SECTIONS:
        config[section] = small[section]
    config.anet_transfer = small.hog_svm.copy_and_resolve_references()
    config.data.image_size, config.data.crop_size = small.data.image_size, small.data.crop_size
    config.protocol.threshold = small.protocol.threshold
    config.evaluation = small.evaluation
    if scale == "smoke":
        # The published lists name 41 people.
        config.protocol.split = "random"
    if scale == "small":
        # A recording is 60 to 200 frames long here, the demo's clips half a minute at a quarter of the rate.
        config.lstm.sequence_length, config.lstm.batch_size, config.lstm.steps_per_epoch = 120, 20, 0
    return config
