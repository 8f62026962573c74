"""The frame of a time, at the rates of real cameras and at a variable one."""

import numpy as np
import pytest

from au_jax.data.annotations.frame_times import covered_frames, frame_edges, frame_ends, frame_of_time
from au_jax.data.annotations.notation import exact_rate, format_timecode, parse_time
from au_jax.errors import DataError

RATES = (23.976, 25, 29.97, 30, 50, 59.94)


def video(fps, frames):
    return np.array([float(index / exact_rate(fps)) for index in range(frames)])


@pytest.mark.parametrize("fps", RATES)
def test_times_rounded_to_milliseconds_find_their_frame(fps):
    times = video(fps, 20_000)
    assert (frame_of_time(times, np.round(times, 3)) == np.arange(20_000)).all()


@pytest.mark.parametrize("fps", RATES)
def test_a_time_finds_the_nearest_frame_within_half_a_frame(fps):
    times, half = video(fps, 1000), 0.5 / fps
    for shift, expected in ((0.98 * half, 0), (-0.98 * half, 0), (1.02 * half, 1), (-1.02 * half, -1)):
        found = frame_of_time(times, times[10:900] + shift)
        assert (found == np.arange(10, 900) + expected).all()
    assert frame_of_time(times, np.array([-1.02 * half, times[-1] + 1.02 * half])).tolist() == [-1, -1]


@pytest.mark.parametrize(
    "fps, drop", [(29.97, True), (29.97, False), (59.94, True), (59.94, False), (25, False), (23.976, False)]
)
def test_every_timecode_finds_its_frame(fps, drop):
    times = video(fps, 20_000)
    frames = np.arange(0, 20_000, 7)
    seconds = np.array([parse_time(format_timecode(int(frame), fps, drop), fps=fps) for frame in frames])
    assert (frame_of_time(times, seconds) == frames).all()


def test_a_variable_rate_is_the_videos_own():
    # 30 fps that falls to 15 in the dark, then a pause of two seconds.
    times = np.array([0, 0.033, 0.067, 0.1, 0.167, 0.233, 2.233, 2.267])
    seconds = [0.13, 0.14, 0.199, 0.201, 0.27, 0.24, 2.22, 2.21]
    assert frame_of_time(times, np.array(seconds)).tolist() == [3, 4, 4, 5, -1, 5, 6, -1]


def test_the_middle_between_two_frames_is_the_earlier():
    assert frame_of_time(video(25, 10), np.array([0.02, 0.06, 0.3])).tolist() == [0, 1, 7]


def test_frame_times_that_do_not_increase_are_refused():
    for times in ([0.0, 0.04, 0.04], [], [0.0, np.nan]):
        with pytest.raises(DataError, match="do not increase"):
            frame_of_time(np.array(times), np.array([0.0]))


def test_an_interval_in_a_pause_meets_no_frame_and_one_across_it_both_sides():
    times = np.array([0.0, 0.04, 0.08, 2.0, 2.04])
    edges = frame_edges(times)
    assert covered_frames(edges, 0.5, 0.9) == (3, 3)
    assert covered_frames(edges, 0.05, 2.03) == (1, 4)
    assert covered_frames(edges, 3.0, 4.0) == (5, 5)
    assert covered_frames(edges, -2.0, -1.0) == (0, 0)
    assert covered_frames(edges, -2.0, 0.04) == (0, 1)
    assert covered_frames(edges, 0.08, None) == (2, 5)


def test_a_frame_before_a_pause_leaves_the_screen_after_a_usual_frame():
    assert frame_ends(np.array([0.0, 0.04, 0.08, 2.0])).round(6).tolist() == [0.04, 0.08, 0.12, 2.04]
    assert frame_ends(np.array([0.0])).tolist() == [0.04]
