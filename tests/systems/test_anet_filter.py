"""ANet + filter costs no CNN of its own where another system trains the fold's, and says what it will do."""

import pytest

from au_jax.config import Config, replace
from au_jax.systems import get_system
from au_jax.systems.anet import ANet
from au_jax.systems.anet_filter import AnetFilter


def alone_and_beside(system):
    return (Config(systems=("anet_filter",)), Config(systems=(system, "anet_filter")))


@pytest.mark.parametrize("system", ["anet", "hybrid"])
def test_the_folds_cnn_is_counted_once(system):
    alone, beside = (AnetFilter.disk_bytes(config, 100, 3, 12) for config in alone_and_beside(system))
    assert alone - beside == ANet.disk_bytes(alone_and_beside(system)[0], 100, 3, 12)
    assert 0 < beside < 1e6  # a filter of a few thousand weights a fold


def test_the_filters_size_is_that_of_the_window_whatever_the_hybrids_variant():
    beside = alone_and_beside("anet")[1]
    sizes = {
        variant: AnetFilter.disk_bytes(replace(beside, **{"fusion.variant": variant}), 100, 1, 12)
        for variant in ("scores", "temporal")
    }
    assert sizes["scores"] == sizes["temporal"]
    longer = AnetFilter.disk_bytes(replace(beside, **{"fusion.lookback": beside.fusion.lookback + 3}), 100, 1, 12)
    assert longer > sizes["temporal"]


def test_it_is_a_system_by_name():
    assert get_system("anet_filter") is AnetFilter
