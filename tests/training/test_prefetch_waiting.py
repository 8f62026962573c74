"""The share of an epoch without data counts only time in which the accelerator had nothing to do."""

import types

import pytest

from au_jax.training import prefetch
from au_jax.training.prefetch import StallTimer


class Loss:
    def __init__(self, ready):
        self.is_ready = lambda: ready


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    moved = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(prefetch, "time", types.SimpleNamespace(perf_counter=lambda: moved.now))
    return moved


def epoch(clock, seconds_to_feed, ready):
    """An epoch of four batches whose steps take 1 s each on the host, and are over or still computed afterwards."""

    def batches():
        for number in range(4):
            clock.now += seconds_to_feed
            yield {"x": number}

    measured = StallTimer(batches())
    for _ in measured:
        clock.now += 1.0
        measured.queued(Loss(ready))
    return measured.figures()


def test_time_in_next_counts_where_the_last_step_is_over(clock):
    assert epoch(clock, 3.0, ready=True) == {"seconds": 16.0, "data_wait": 0.75}


def test_time_in_next_is_hidden_while_a_step_is_computed(clock):
    # The first batch alone is waited for.
    assert epoch(clock, 3.0, ready=False) == {"seconds": 16.0, "data_wait": 3 / 16}


def test_batches_that_are_there_cost_nothing(clock):
    assert epoch(clock, 0.0, ready=True) == {"seconds": 4.0, "data_wait": 0.0}
