"""Background threads: items and epochs made ahead are the same, errors reach the reader, and what counts as time without data."""

import contextlib
import threading
import types

import pytest

from au_jax.training import prefetch as module
from au_jax.training.prefetch import Prefetcher, StallTimer, prefetch


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_items_come_in_order_none_among_them():
    assert list(prefetch(iter([1, None, 3]))) == [1, None, 3]
    assert list(prefetch(iter(()))) == []
    assert not threads()


def test_one_item_waits_and_the_next_is_made_but_no_more():
    made, ready = [], threading.Event()

    def items():
        for number in range(10):
            made.append(number)
            if number == 1:
                ready.set()
            yield number

    reader = prefetch(items())
    assert ready.wait(10) and made == [0, 1]
    assert next(reader) == 0
    reader.close()
    assert len(made) <= 4 and not threads()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("frame 7 is damaged")

    reader = prefetch(items())
    assert next(reader) == 1
    with pytest.raises(OSError, match="frame 7"):
        next(reader)
    assert not threads()


def test_a_reader_that_is_dropped_ends_the_thread():
    for _ in prefetch(iter(range(1000))):
        break
    assert not threads()


def test_an_epoch_begun_ahead_has_the_batches_of_any_other():
    with contextlib.closing(
        Prefetcher(lambda epoch: iter([{"x": (epoch, number)} for number in range(3)]))
    ) as prefetcher:
        plain = [list(prefetcher.epoch(epoch)) for epoch in range(2)]
        prefetcher.begin(1)
        assert list(prefetcher.epoch(1)) == plain[1] == [{"x": (1, number)} for number in range(3)]
        # Another one is asked for than was begun, as after a resume.
        prefetcher.begin(1)
        assert list(prefetcher.epoch(0)) == plain[0]


def test_the_first_batch_is_made_before_it_is_asked_for_and_the_second_is_not():
    made, ready = [], threading.Event()

    def batches(epoch):
        for number in range(2):
            made.append(number)
            ready.set()
            yield {"x": number}

    with contextlib.closing(Prefetcher(batches)) as prefetcher:
        prefetcher.begin(0)
        assert ready.wait(10) and made == [0]
        assert [batch["x"] for batch in prefetcher.epoch(0)] == [0, 1]


def test_an_empty_epoch_stays_empty():
    with contextlib.closing(Prefetcher(lambda epoch: iter(()))) as prefetcher:
        prefetcher.begin(0)
        assert list(prefetcher.epoch(0)) == []


def test_what_goes_wrong_ahead_is_raised_when_the_epoch_is_asked_for():
    def broken(epoch):
        raise OSError("frame 7 is damaged")
        yield

    with contextlib.closing(Prefetcher(broken)) as prefetcher:
        prefetcher.begin(0)
        with pytest.raises(OSError, match="frame 7"):
            next(prefetcher.epoch(0))


def test_a_batch_that_is_not_wanted_any_more_keeps_nothing_open():
    prefetcher = Prefetcher(lambda epoch: iter([{"x": 0}]))
    prefetcher.begin(0)
    prefetcher.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


class Loss:
    def __init__(self, ready):
        self.is_ready = lambda: ready


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    moved = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", types.SimpleNamespace(perf_counter=lambda: moved.now))
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
        measured.step_queued(Loss(ready))
    return measured.metrics()


def test_time_in_next_counts_where_the_last_step_is_over(clock):
    assert epoch(clock, 3.0, ready=True) == {"seconds": 16.0, "data_wait": 0.75}


def test_time_in_next_is_hidden_while_a_step_is_computed(clock):
    # The first batch alone is waited for.
    assert epoch(clock, 3.0, ready=False) == {"seconds": 16.0, "data_wait": 3 / 16}


def test_batches_that_are_there_cost_nothing(clock):
    assert epoch(clock, 0.0, ready=True) == {"seconds": 4.0, "data_wait": 0.0}
