"""What the viewer of test videos is given: few videos of different subjects, and little of a long one."""

import numpy as np

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
