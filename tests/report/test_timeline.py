"""The choice of the timeline's video and part, the scale of its lines, and the timeline of a new video."""

import numpy as np

from au_jax.inference.writers import Detections
from au_jax.labels import PAPER_AUS
from au_jax.report import timeline


def _column(*codes: int) -> np.ndarray:
    """Labels [T, 12] whose AU 1 has these codes; the others are absent throughout."""
    labels = np.full((len(codes), 12), -1, np.int8)
    labels[:, 0] = codes
    return labels


def test_a_change_is_counted_at_the_frame_that_differs_from_the_last_known_one():
    np.testing.assert_array_equal(timeline.changes(_column(-1, 1, 1, 0, 0, 1, 0, -1)), [0, 1, 0, 0, 0, 0, 0, 1])


def test_changes_of_all_aus_add_up():
    labels = np.stack([np.full(12, -1), np.full(12, 1)]).astype(np.int8)
    np.testing.assert_array_equal(timeline.changes(labels), [0, 12])


def test_liveliest_video_has_most_changes_and_of_equals_the_first_name():
    calm, lively = _column(-1, -1, -1, -1), _column(-1, 1, -1, 1)
    assert timeline.liveliest({"S2/a": lively, "S1/b": lively, "S0/c": calm}) == "S1/b"


def test_window_is_the_liveliest_part_of_a_long_video():
    # Changes at frames 3 and 4; the first three frames that hold both are 2, 3, 4.
    assert timeline.window(_column(-1, -1, -1, 1, -1, -1), 3) == slice(2, 5)
    assert timeline.window(_column(-1, 1), 5) == slice(0, 2)


def test_scaled_scores_keep_their_sign_and_stay_within_one():
    scores = np.linspace(-40, 10, 120).reshape(10, 12)
    heights = timeline.scaled(scores)
    assert np.abs(heights).max() == 1.0
    np.testing.assert_array_equal(np.sign(heights), np.sign(scores))
    np.testing.assert_array_equal(timeline.scaled(np.zeros((3, 12))), np.zeros((3, 12)))


def test_shown_are_cnn_and_hybrid_or_else_what_there_is():
    assert timeline.shown_systems(("hog_svm", "anet", "hybrid")) == ("anet", "hybrid")
    assert timeline.shown_systems(("hog_svm", "hybrid")) == ("hybrid",)
    assert timeline.shown_systems(("cpm", "jpml", "hog_svm")) == ("cpm", "jpml")


def _detections(aus: int) -> Detections:
    generator = np.random.default_rng(0)
    count = 3200
    success = np.ones(count, bool)
    success[900:1000] = False
    scores = {name: generator.normal(size=(count, aus)).astype(np.float32) for name in ("anet", "hybrid")}
    boxes, landmarks = np.zeros((count, 4), np.float32), np.zeros((count, 68, 2), np.float32)
    confidence = np.ones(count, np.float32)
    return Detections(
        PAPER_AUS[:aus], np.arange(count), np.arange(count) / 25, success, confidence, boxes, landmarks, scores
    )


def test_a_new_video_is_averaged_over_stretches_and_says_how_often_aus_are_present(pixels_of):
    detections = _detections(12)
    drawing = timeline.draw_detections(detections, "clip.mp4")
    pixels_of(drawing)
    assert max(len(line.get_xdata()) for line in drawing.figure.axes[0].lines) == timeline.LONGEST_TIMELINE
    share = detections.present[detections.success].mean(0)[0]
    assert drawing.alt.startswith(
        f"Timeline of the 12 AUs in clip.mp4. Share of the frames with a face: AU 1 {share:.0%},"
    )
