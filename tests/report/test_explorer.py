"""What the viewer of test videos is given: few videos of different subjects, and little of a long one.

Frames of the contact sheet: whose, which, with the right face and the right outcome of every AU.
"""

import dataclasses

import numpy as np
import pytest

from au_jax.errors import DataError
from au_jax.evaluation.tables import Scored
from au_jax.report import explorer


def _scored(frames: dict[str, int]) -> Scored:
    generator = np.random.default_rng(0)
    return Scored(
        {key: generator.normal(size=(count, 12)).astype(np.float32) for key, count in frames.items()},
        {key: generator.choice([-1, 1], (count, 12)).astype(np.int8) for key, count in frames.items()},
        {key: np.arange(1, count + 1, dtype=np.int32) for key, count in frames.items()},
    )


def test_videos_are_the_liveliest_and_others_of_different_subjects():
    scored = _scored({f"S{subject}/T{video}": 20 + 2 * (subject == 4) for subject in range(9) for video in range(3)})
    chosen = explorer.choose_videos(scored, 6, seed=0)
    assert chosen[0].startswith("S4/") and len({key[:2] for key in chosen}) == len(chosen) == 6
    assert chosen == explorer.choose_videos(scored, 6, seed=0) != explorer.choose_videos(scored, 6, seed=1)
    assert len(explorer.choose_videos(scored, 60, seed=0)) == 9


def test_a_long_video_is_shown_in_part_and_with_every_nth_picture(tmp_path, faces_maker, run_maker):
    faces = faces_maker(tmp_path / "faces", tuple(f"S{number}" for number in range(6)), videos=1, frames=500)
    made = run_maker(tmp_path / "run", faces, ("anet",), (0,))
    run = explorer.FinishedRun(tmp_path / "run", **made)
    video = explorer.explorer_data(run)["videos"][0]
    assert len(video["frames"]) == len(video["truth"][0]) == len(video["scores"][0][11]) == explorer.FRAMES == 360
    # 360 frames with 60 pictures: every sixth has one.
    assert video["stops"] == list(range(0, 360, 6)) and len(video["pictures"]) == 60
    np.testing.assert_array_equal(np.diff(video["frames"]), 1)


def _scored_faces(faces) -> Scored:
    scored = Scored({}, {}, {})
    for subject in faces.subjects:
        records = faces.records(subject)
        for video in records.videos:
            scored.labels[video.key] = records.labels[video.start : video.stop]
            scored.frames[video.key] = records.frame_numbers[video.start : video.stop]
            scored.scores[video.key] = scored.labels[video.key].astype(np.float32)
    return scored


def test_frames_are_of_subjects_spread_over_all(drawn_faces):
    shown = explorer.choose_frames(_scored_faces(drawn_faces), 4, seed=0)
    assert [frame.subject for frame in shown] == ["S01", "S03", "S05", "S07"]


def test_few_subjects_share_the_sheet_with_different_frames(drawn_faces):
    shown = explorer.choose_frames(_scored_faces(drawn_faces), 12, seed=0)
    assert len({(frame.key, frame.row) for frame in shown}) == 12
    assert len({frame.subject for frame in shown}) == 7


def test_frames_with_all_labels_and_an_au_are_preferred(drawn_faces):
    for frame in explorer.choose_frames(_scored_faces(drawn_faces), 12, seed=3):
        assert (frame.labels != 0).all() and (frame.labels > 0).any()


def test_choice_follows_from_the_seed(drawn_faces):
    scored = _scored_faces(drawn_faces)
    first, again, other = ([(f.key, f.row) for f in explorer.choose_frames(scored, 7, s)] for s in (5, 5, 6))
    assert first == again != other


def test_pictures_are_those_of_the_frames(drawn_faces):
    # The grey of a drawn face's corner is three times its row within the subject.
    shown = explorer.choose_frames(_scored_faces(drawn_faces), 12, seed=1)
    for frame, picture in zip(shown, explorer.decode(drawn_faces, shown), strict=True):
        assert picture.shape == (24, 24, 3)
        row = frame.row + (40 if frame.key.endswith("T2") else 0)
        assert abs(int(picture[0, 0, 1]) - 3 * row) <= 1


def test_frames_that_the_dataset_does_not_have_are_refused(drawn_faces):
    frame = explorer.choose_frames(_scored_faces(drawn_faces), 1, seed=0)[0]
    with pytest.raises(DataError, match="frame 999 of .* no picture"):
        explorer.decode(drawn_faces, [dataclasses.replace(frame, frame=999)])
    with pytest.raises(DataError, match="subject X .* not in the dataset"):
        explorer.decode(drawn_faces, [dataclasses.replace(frame, key="X/T1")])


def test_outcomes_of_labels_and_scores():
    labels, scores = np.array([1, 1, -1, -1, 0, 1], np.int8), np.array([0.1, -0.1, 2.0, 0.0, 5.0, 0.0])
    assert explorer.outcome(labels, scores) == [
        "hit",
        "missed",
        "false alarm",
        "rightly absent",
        "no label",
        "missed",
    ]
