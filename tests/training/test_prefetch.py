"""Batches begun ahead are those of the epoch, and what goes wrong in making them is told where they are asked for."""

import contextlib
import threading

import pytest

from au_jax.training.prefetch import Prefetcher


def test_an_epoch_begun_ahead_has_the_batches_of_any_other():
    with contextlib.closing(Prefetcher(lambda epoch: iter([{"x": (epoch, number)} for number in range(3)]))) as ahead:
        plain = [list(ahead.epoch(epoch)) for epoch in range(2)]
        ahead.begin(1)
        assert list(ahead.epoch(1)) == plain[1] == [{"x": (1, number)} for number in range(3)]
        # Another one is asked for than was begun, as after a resume.
        ahead.begin(1)
        assert list(ahead.epoch(0)) == plain[0]


def test_the_first_batch_is_made_before_it_is_asked_for_and_the_second_is_not():
    made, ready = [], threading.Event()

    def batches(epoch):
        for number in range(2):
            made.append(number)
            ready.set()
            yield {"x": number}

    with contextlib.closing(Prefetcher(batches)) as ahead:
        ahead.begin(0)
        assert ready.wait(10) and made == [0]
        assert [batch["x"] for batch in ahead.epoch(0)] == [0, 1]


def test_an_empty_epoch_stays_empty():
    with contextlib.closing(Prefetcher(lambda epoch: iter(()))) as ahead:
        ahead.begin(0)
        assert list(ahead.epoch(0)) == []


def test_what_goes_wrong_ahead_is_raised_when_the_epoch_is_asked_for():
    def broken(epoch):
        raise OSError("frame 7 is damaged")
        yield

    with contextlib.closing(Prefetcher(broken)) as ahead:
        ahead.begin(0)
        with pytest.raises(OSError, match="frame 7"):
            next(ahead.epoch(0))


def test_a_batch_that_is_not_wanted_any_more_keeps_nothing_open():
    ahead = Prefetcher(lambda epoch: iter([{"x": 0}]))
    ahead.begin(0)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
