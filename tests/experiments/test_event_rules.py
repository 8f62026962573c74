"""F1-event of scores turned into events by rules, as counted by hand."""

import numpy as np
import pytest

from au_jax.inference.event_writers import EventRules
from experiments.event_rules import quality


def video(labels, scores):
    rows = [[1 if mark == "+" else -1] for mark in labels]
    return np.array(rows, np.int8), np.array(scores, np.float32)[:, None], 10.0


def test_a_gap_that_is_closed_makes_one_event_of_two():
    parts = [[video("..++++..", [-1, -1, 1, -1, 1, 1, -1, -1])]]
    # Two events of one and two frames against one of four: the longer one overlaps it by half.
    apart, closed = (quality(parts, EventRules(0.0, gap, 0.0)) for gap in (0.0, 0.2))
    assert closed == pytest.approx(1.0)
    assert apart < 1.0


def test_short_events_are_left_out():
    parts = [[video("..+++...", [1, -1, 1, 1, 1, -1, -1, -1])]]
    with_blip, without = (quality(parts, EventRules(0.0, 0.0, length)) for length in (0.0, 0.2))
    assert without == pytest.approx(1.0)
    assert with_blip < without


def test_folds_count_alike():
    right, wrong = video("..++..", [-1, -1, 1, 1, -1, -1]), video("..++..", [1, -1, -1, -1, -1, 1])
    assert quality([[right], [wrong]], EventRules(0.0, 0.0, 0.0)) == pytest.approx(
        (quality([[right]], EventRules(0.0, 0.0, 0.0)) + quality([[wrong]], EventRules(0.0, 0.0, 0.0))) / 2
    )
