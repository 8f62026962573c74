"""The curve over the seconds of a person that have been seen: which frames are in which part, and its files."""

import numpy as np
import pytest

from au_jax.config import load, typed
from au_jax.errors import UserError
from au_jax.evaluation.tables import Scored
from au_jax.run import check_config
from experiments.seen_seconds import between, curve, frames_per_second, seen_seconds, write_curve


def scored(right, frames=20):
    """Two people, one of two videos; AU 12 in every second frame, and a share of the frames is called rightly."""
    keys = ("A/T1", "B/T1", "B/T2")
    labels = {key: np.where(np.arange(frames) % 2, 1, -1)[:, None].astype(np.int8) for key in keys}
    scores = {key: np.where(np.arange(frames)[:, None] < right, rows, -rows) for key, rows in labels.items()}
    return Scored(
        {key: rows.astype(np.float32) for key, rows in scores.items()},
        labels,
        {key: np.arange(1, frames + 1) for key in keys},
    )


def test_seconds_run_on_over_a_persons_videos_and_over_missing_frames():
    one = scored(20)
    one.frames["B/T1"] = np.arange(1, 41, 2)  # every other frame has a score
    seconds = seen_seconds(one, fps=2.0)
    np.testing.assert_allclose(seconds["A/T1"], np.arange(20) / 2)
    np.testing.assert_allclose(seconds["B/T1"], np.arange(20))
    # The first video ended with frame 39, the 38th after the first: 19 s, and a half for that frame.
    np.testing.assert_allclose(seconds["B/T2"], 19.5 + np.arange(20) / 2)


def test_a_part_has_the_frames_of_its_seconds():
    part = between(scored(20), fps=2.0, start=8.0, stop=11.0)
    assert {key: rows.tolist() for key, rows in part.frames.items()} == {
        "A/T1": [17, 18, 19, 20],
        "B/T1": [17, 18, 19, 20],
        "B/T2": [1, 2],
    }
    assert part.scores["B/T2"].shape == part.labels["B/T2"].shape == (2, 1)


def test_the_curve_is_the_difference_in_each_part():
    # ANet is right in no frame, the hybrid in the first ten of each video; F1 is 100 where all are right, else 0.
    systems = {"anet": {0: scored(0)}, "hybrid": {0: scored(10)}}
    first, second, third = curve(systems, fps=2.0, edges=[0, 5, 10, 20, 99])
    assert (first["subjects"], first["frames"]) == (2, 20) and (third["subjects"], third["frames"]) == (1, 20)
    differences = [part["hybrid"]["f1_frame"]["anet"]["difference"] for part in (first, second)]
    assert differences == [100.0, 0.0]
    # Of the second video ten of twenty frames are right: half of the hits and half of the false calls.
    assert third["hybrid"]["f1_frame"]["anet"] == {"difference": 50.0, "interval": [50.0, 50.0]}
    assert first["anet"]["f1_frame"]["anet"]["difference"] == 0.0


def test_the_files_of_a_run(tmp_path, finished):
    document = write_curve([str(finished)], tmp_path, [0, 1, 2])
    assert document["systems"] == ["anet", "hog_svm", "hybrid"] and len(document["parts"]) == 2
    text = (tmp_path / "seen_seconds.md").read_text()
    assert " 0 to 1 |" in text and "Hybrid, F1-event" in text
    for end in ("png", "svg", "json"):
        assert (tmp_path / f"seen_seconds.{end}").stat().st_size > 0
    # Two videos of some 24 frames for each of six people, 25 frames a second: the first second is 25 frames of each.
    assert [part["frames"] for part in document["parts"]][0] == 6 * 25


@pytest.mark.parametrize(("runs", "edges"), [([], [0, 5]), (["x"], [5]), (["x"], [5, 5]), (["x"], [0, 5])])
def test_mistakes_are_told(tmp_path, runs, edges):
    with pytest.raises(UserError):
        write_curve(runs, tmp_path, edges)


@pytest.mark.parametrize("variant", ["", ":no_rest", ":hard", ":smoke"])
def test_the_config_of_long_recordings_is_the_papers_stack_on_the_demos_faces(variant):
    config = typed(load(f"long{variant}"))
    check_config(config)
    assert frames_per_second(config) == 6.25
    assert (config.lstm.layers, config.lstm.loss, config.lstm.burn_in, config.lstm.level) == (3, "margin", 10, 0.0)
    if variant != ":smoke":
        assert (config.lstm.hidden, config.lstm.sequence_length) == (256, 1300)
        assert config.cnn.variant == "demo" and config.fusion.variant == "temporal"
