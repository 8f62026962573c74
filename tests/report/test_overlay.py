"""The overlay: bars as long as the scores say, landmarks where they are, and nothing left over where there is no face."""

import numpy as np
import pytest
from PIL import ImageColor

from au_jax.faces.tracking import Face
from au_jax.labels import PAPER_AUS
from au_jax.report import style
from au_jax.report.overlay import draw_overlay, draw_people

SIZES = [(360, 640), (1080, 1920), (1040, 1392), (640, 360), (361, 643)]


def _face(height: int, width: int) -> Face:
    x, y = np.meshgrid(np.linspace(0.2, 0.4, 17), np.linspace(0.4, 0.7, 4))
    landmarks = (np.stack([x.ravel(), y.ravel()], 1) * [width, height]).astype(np.float32)
    return Face((0.18 * width, 0.35 * height, 0.25 * width, 0.4 * height), 0.9, landmarks)


def _picture(height: int = 360, width: int = 640, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def _has(image: np.ndarray, colour: str) -> np.ndarray:
    return (image == ImageColor.getrgb(colour)).all(-1)


def _columns(image: np.ndarray, colour: str) -> np.ndarray:
    return np.flatnonzero(_has(image, colour)[: -image.shape[0] // 5].any(0))


def _one(au: int, value: float) -> np.ndarray:
    scores = np.zeros(len(PAPER_AUS), np.float32)
    scores[PAPER_AUS.index(au)] = value
    return scores


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_bar_is_as_long_as_tanh_of_the_score_and_stays_in_the_picture(height, width):
    picture, face = _picture(height, width), _face(height, width)
    unit = min(height / 360, width / 400)
    lengths = {}
    for score in (-9.0, -0.5, 0.5, 1.0, 9.0):
        image = draw_overlay(picture, face, {"hybrid": _one(12, score)}, PAPER_AUS)
        assert image.shape == (height, width + round(160 * unit), 3) and image.dtype == np.uint8
        columns = _columns(image[: round(250 * unit)], style.BLUE)
        assert width < columns.min() and columns.max() < image.shape[1]
        lengths[score] = len(columns)
    full = lengths[9.0]
    assert 60 * unit < full < 80 * unit and abs(lengths[-9.0] - full) <= 1
    for score in (-0.5, 0.5, 1.0):
        assert lengths[score] == pytest.approx(np.tanh(abs(score)) * full, abs=2)


def test_present_is_filled_to_the_right_and_absent_hollow_to_the_left():
    picture, face = _picture(), _face(360, 640)
    present = draw_overlay(picture, face, {"hybrid": _one(1, 2.0)}, PAPER_AUS)[:300]
    absent = draw_overlay(picture, face, {"hybrid": _one(1, -2.0)}, PAPER_AUS)[:300]
    assert abs(_columns(present, style.BLUE).min() - _columns(absent, style.BLUE).max()) <= 1
    boxes = []
    for image in (present, absent):
        rows, columns = np.nonzero(_has(image, style.BLUE))
        boxes.append(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    assert _has(boxes[0], style.BLUE).all()
    inside = boxes[1][1:-1, 1:-1]
    assert inside.size and (inside == 255).all()


def test_every_au_has_its_row_and_the_last_system_the_thick_bar():
    picture, face = _picture(), _face(360, 640)
    middles = []
    for au in PAPER_AUS:
        image = draw_overlay(picture, face, {"anet": _one(au, 1.0), "hybrid": _one(au, 1.0)}, PAPER_AUS)[:300]
        thick, thin = (np.flatnonzero(_has(image, colour).any(1)) for colour in (style.BLUE, style.VERMILLION))
        assert len(thick) >= 1.5 * len(thin) and thick.max() < thin.min()
        middles.append(thick.mean())
    np.testing.assert_allclose(np.diff(middles), middles[1] - middles[0], atol=1)
    assert middles == sorted(middles)


def test_label_of_a_present_au_is_bold_black():
    picture, face = _picture(), _face(360, 640)
    present, absent = (
        draw_overlay(picture, face, {"hybrid": _one(1, value)}, PAPER_AUS)[:14, 650:] for value in (1.0, -1.0)
    )
    assert _has(present, style.BLACK).any() and not _has(absent, style.BLACK).any()


def test_without_a_face_it_says_so_and_draws_no_bar_and_no_landmark():
    picture, scores = _picture(), {"anet": np.ones(12), "hybrid": np.ones(12)}
    image = draw_overlay(picture, None, scores, PAPER_AUS)
    assert not _has(image, style.SKY).any() and not _has(image[:300], style.BLUE).any()
    assert not _has(image[:300], style.VERMILLION).any()
    assert _has(image[:60, :200], "white").sum() > 100
    assert (draw_overlay(picture, _face(360, 640), scores, PAPER_AUS)[:60, :100] == 90).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_landmarks_are_drawn_where_they_are(height, width):
    face = _face(height, width)
    image = draw_overlay(_picture(height, width), face, {}, PAPER_AUS)
    for x, y in face.landmarks:
        assert _has(image[int(y), int(x)], style.SKY)
    x, y, box_width, box_height = face.box
    edge = image[round(y) + 1 : round(y + box_height), round(x) : round(x) + 3]
    assert _has(edge, style.SKY).any(1).mean() > 0.9
    assert (image[:, width // 2 :] == 90).all()  # no scores, no panel


def test_scores_that_are_not_finite_have_no_bar():
    scores = np.full(12, np.nan)
    scores[[0, 1]] = np.inf, -np.inf
    image = draw_overlay(_picture(), _face(360, 640), {"hybrid": scores}, PAPER_AUS)
    assert not _has(image[:300], style.BLUE).any()


def test_picture_is_left_as_it_was():
    picture = _picture()
    picture.flags.writeable = False
    image = draw_overlay(picture, _face(360, 640), {"hybrid": np.ones(12)}, PAPER_AUS)
    assert (picture == 90).all() and image.flags.writeable


def test_pictures_of_any_size_are_drawn_on():
    face = Face((-50.0, -9.0, 300.0, 300.0), 0.5, np.float32(np.arange(136).reshape(68, 2) * 9 - 300))
    for height, width in ((1, 1), (20, 30), (40, 900), (900, 40)):
        scores = {name: np.linspace(-3, 3, 12) for name in ("a", "b", "c", "anet", "hybrid")}
        image = draw_overlay(_picture(height, width), face, scores, PAPER_AUS)
        assert image.shape[0] == height and width < image.shape[1] <= 1.4 * width + 1


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        draw_overlay(np.zeros((4, 4, 3)), None, {}, PAPER_AUS)
    with pytest.raises(ValueError, match=r"\[12\] scores, found \(11,\) of hybrid"):
        draw_overlay(_picture(), None, {"hybrid": np.zeros(11)}, PAPER_AUS)


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 6, 12, 25, 26), tuple(range(1, 26))])
def test_any_aus_have_their_rows_within_the_frame(aus):
    picture, face = _picture(), _face(360, 640)
    none = draw_overlay(picture, face, {"hybrid": np.full(len(aus), np.nan)}, aus)
    tops = []
    for row in range(len(aus)):
        scores = np.full(len(aus), np.nan)
        scores[row] = 5.0
        image = draw_overlay(picture, face, {"hybrid": scores}, aus)
        rows = np.flatnonzero((_has(image, style.BLUE) & ~_has(none, style.BLUE)).any(1))
        tops.append(rows.min())
        assert rows.size and rows.max() < 345
    assert tops == sorted(set(tops))


@pytest.mark.parametrize("place", [(0.0, 0.0), (500.0, 40.0), (540.0, 250.0), (300.0, 150.0)])
def test_nothing_but_box_and_landmarks_is_drawn_on_the_picture(place):
    """A face at the right stood behind the bars before."""
    picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    face = Face((*place, 100.0, 100.0), 0.9, np.full((68, 2), 50, np.float32) + np.float32(place))
    scores = {"anet": np.full(12, 3.0), "hybrid": np.full(12, 3.0)}
    drawn = draw_overlay(picture, face, scores, PAPER_AUS)[:, :640]
    changed = (drawn != picture).any(-1)
    x, y = (int(value) for value in place)
    assert changed[y + 6 : y + 94, x + 6 : x + 94].mean() < 0.02  # the landmarks, all in one place
    changed[max(y - 2, 0) : y + 106, max(x - 2, 0) : x + 106] = False
    assert not changed.any()
    # With a name, and without a face, the picture's size is the same.
    assert draw_overlay(picture, face, scores, PAPER_AUS, "face 1").shape == (360, 800, 3)
    assert draw_overlay(picture, None, scores, PAPER_AUS).shape == (360, 800, 3)


def test_the_name_stands_in_the_strip():
    picture, face, scores = _picture(), _face(360, 640), {"hybrid": np.full(12, np.nan)}
    with_name, without = (draw_overlay(picture, face, scores, PAPER_AUS, name) for name in ("face 3", ""))
    rows, columns = np.nonzero((with_name != without).any(-1))
    assert columns.min() > 640 and 310 < rows.min() and rows.max() < 345


def test_what_is_written_of_two_people_does_not_overlap():
    spots = (60.0, 280.0), (300.0, 140.0), (480.0, 140.0)
    people = [
        (
            number,
            Face((*spot, 90.0, 90.0), 0.9, np.full((68, 2), -99, np.float32)),
            np.where(np.arange(12) < 8, 1.0, -1.0),
        )
        for number, spot in enumerate(spots)
    ]
    alone = [_has(draw_people(_picture(), [one], PAPER_AUS), "white").sum() for one in people]
    assert _has(draw_people(_picture(), people, PAPER_AUS), "white").sum() == sum(alone)


def test_in_a_crowd_nothing_is_written_on_any_face():
    random = np.random.default_rng(3)
    numbers = 0
    for count in (2, 4, 8, 16):
        for _ in range(6):
            sizes = random.uniform(30, 220, count)
            boxes = [(*random.uniform((0, 0), (640 - size, 360 - size)), size, size) for size in sizes]
            people = [
                (number, Face(tuple(map(float, box)), 0.9, np.full((68, 2), -99, np.float32)), np.ones(12))
                for number, box in enumerate(boxes)
            ]
            image = draw_people(_picture(), people, PAPER_AUS)
            written = _has(image, "white")
            numbers += int(written.any())
            for x, y, width, height in ((round(v) for v in box) for box in boxes):
                assert not written[max(y, 0) : y + height, max(x, 0) : x + width].any(), (count, boxes)
    assert numbers > 15  # of 24 pictures


@pytest.mark.parametrize("place", [(20.0, 60.0), (540.0, 60.0), (300.0, 5.0), (280.0, 250.0)])
def test_the_number_and_the_present_aus_stand_beside_each_face_and_on_none(place):
    one = Face((*place, 80.0, 80.0), 0.9, np.float32(np.full((68, 2), 40) + place))
    other = Face((400.0, 140.0, 90.0, 90.0), 0.9, np.full((68, 2), 440, np.float32))
    scores = np.full(12, -1.0)
    scores[[3, 6]] = 1.0
    image = draw_people(_picture(), [(0, one, scores), (7, other, -scores)], PAPER_AUS)
    written = _has(image, style.BLACK) | _has(image, "white")
    alone = draw_people(_picture(), [(0, one, scores)], PAPER_AUS)
    assert _has(alone, "white").sum() > 50
    for face in (one, other):
        x, y, width, height = (round(value) for value in face.box)
        inside = written[y + 4 : y + height - 4, x + 4 : x + width - 4]
        assert inside.mean() < 0.02  # landmarks alone
    # More AUs need more room.
    few, many = (
        _has(draw_people(_picture(), [(0, other, part)], PAPER_AUS), style.BLACK).sum() for part in (scores, -scores)
    )
    assert many > 1.5 * few


def test_frames_of_several_people_are_drawn_once(tmp_path):
    pytest.importorskip("av")
    from au_jax.faces.decoding import read_video
    from au_jax.faces.tracking import RegisteredFace
    from au_jax.inference.writers import Detections
    from au_jax.report.overlay import OverlayWriter

    faces = [Face((40.0 + 250 * person, 60.0, 80.0, 80.0), 0.9, np.full((68, 2), 90, np.float32)) for person in (0, 1)]
    blank = np.zeros((8, 8, 3), np.uint8), np.zeros((49, 2), np.float32)
    rows = [(1, 0, faces[0]), (1, 1, faces[1]), (2, 1, faces[1]), (3, 1, None)]
    table = Detections(
        PAPER_AUS, np.array([1, 1, 2, 3]), np.array([1, 1, 2, 3]) / 25, np.array([True, True, True, False]), np.ones(4),
        np.zeros((4, 4)), np.zeros((4, 68, 2)), {"anet": np.ones((4, 12))}, face_ids=np.array([0, 1, 1, 1]),
    )  # fmt: skip
    with OverlayWriter(tmp_path / "out.mp4", several=True) as writer:
        writer.write(table, [RegisteredFace(t, t / 25, _picture(), *blank, face, person=who) for t, who, face in rows])
    pictures = [frame.image.astype(int) for frame in read_video(tmp_path / "out.mp4")]
    changed = [(np.abs(picture - 90).max(-1) > 40) for picture in pictures]
    left, right = ([part[60:140, x : x + 82].mean() > 0.02 for part in changed] for x in (38, 288))
    assert (left, right) == ([True, False, False], [True, True, False])
