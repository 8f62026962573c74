"""Processor times of contestants that are small programs of known cost."""

import json
import sys

import pytest

from au_jax.errors import CommandError
from experiments import benchmark_peers
from experiments.benchmark_peers import OURS, PEER


def test_the_start_and_the_first_frames_are_left_out():
    marks = [(32, 9.0), (32, 10.0), (30, 10.6), (10, 11.0)]  # 40 frames in a second behind the 64th
    assert benchmark_peers.per_frame(marks) == pytest.approx(25.0)


def test_a_short_video_is_refused():
    with pytest.raises(CommandError, match="the video has 64 frames"):
        benchmark_peers.per_frame([(32, 1.0), (32, 2.0)])


def _costing(seconds):
    marks = [(64, 0.0), (100, 100 * seconds)]
    return [sys.executable, "-S", "-c", f"print('loading'); print({json.dumps(json.dumps(marks))})"]


def test_ratios_are_of_neighbours():
    document = benchmark_peers.measure({OURS: _costing(0.002), PEER: _costing(0.004)}, {OURS: {}, PEER: {}}, turns=2)
    assert document["milliseconds"] == pytest.approx({OURS: 2.0, PEER: 4.0})
    assert document["ratios"] == pytest.approx({PEER: 0.5})
    assert len(document["turns"][OURS]) == 2
    assert f"| {PEER} | 4.0 | 0.50 |" in benchmark_peers.markdown(document)


def test_a_contestant_that_fails_is_named():
    failing = [sys.executable, "-S", "-c", "raise ImportError('no mediapipe')"]
    with pytest.raises(CommandError, match="MediaPipe FaceMesh failed: ImportError: no mediapipe"):
        benchmark_peers.measure({OURS: _costing(0.1), PEER: failing}, {OURS: {}, PEER: {}}, turns=1)
