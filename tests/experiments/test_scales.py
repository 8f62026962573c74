"""The runs behind the paper's tables: each scale of each is a config that can be run, and sizes are what they say."""

import itertools

import pytest

from au_jax.config import check_fields, typed
from experiments import scales


@pytest.mark.parametrize(
    "variant", ["-".join(parts) for parts in itertools.product(scales.DATASETS, scales.PROTOCOLS, scales.SCALES)]
)
def test_every_variant_is_a_valid_config(variant):
    check_fields(scales.get_config(variant))


def test_full_size_is_the_papers_config_and_small_has_the_demos_networks():
    full, small = (typed(scales.get_config(f"bp4d-3fold-{scale}")) for scale in ("full", "small"))
    assert (full.data.image_size, full.data.crop_size, full.lstm.hidden, full.lstm.sequence_length) == (
        200,
        176,
        256,
        1300,
    )
    assert (small.data.subjects, small.data.videos, small.data.frames) == (41, 4, 60)
    assert small.cnn.variant != full.cnn.variant
    assert typed(scales.get_config("gft-3fold-small")).data.subjects == 50


def test_across_datasets_both_are_of_the_same_scale():
    config = typed(scales.get_config("bp4d-cross-smoke"))
    assert (config.data.subjects, config.transfer.subjects, config.transfer.frames) == (12, 12, 100)


@pytest.mark.parametrize(
    "variant", ["", "bp4d", "bp4d-3fold", "bp4d-3fold-huge", "ck-3fold-smoke", "bp4d-3fold-smoke-x"]
)
def test_another_variant_is_refused_with_the_ones_there_are(variant):
    with pytest.raises(ValueError, match=r"bp4d\|gft, 3fold\|cross\|10fold and smoke\|small\|full"):
        scales.get_config(variant)
