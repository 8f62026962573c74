"""Damaged copies of whole recordings: told of or refused in one line, and the labels of what is whole stay right."""

import shutil

import numpy as np
import pytest

from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

from ..data.conftest import raw, reader, stand_in, write_picture, write_text, write_video
from .conftest import amounts, mutate

pytest.importorskip("av")
__all__ = ["raw", "reader", "stand_in"]  # fixtures

FRAMES = 6
HEADER = ",".join(str(number) for number in range(100))


def codes(frame, au):
    """The truth: present in every (AU)-th frame."""
    return int((frame + au) % 3 == 0)


def table(header, first):
    rows = [",".join([str(f), *(str(codes(f, au)) for au in range(1, 100))]) for f in range(first, FRAMES + 1)]
    return "\n".join([header, *rows]) + "\n"


def make_bp4d(root):
    for number in range(1, FRAMES + 1):
        write_picture(root / f"F001/T1/{number}.jpg", 20 * number)
    write_text(root / "AU_OCC/F001_T1.csv", table(HEADER, 1))


def make_disfa(root):
    write_video(root / "LeftVideoSN001_comp.avi", FRAMES)
    for au in PAPER_AUS:
        lines = [f"{frame},{5 * codes(frame, au)}" for frame in range(1, FRAMES + 1)]
        write_text(root / f"SN001/SN001_au{au}.txt", "\n".join(lines) + "\n")


def make_gft(root):
    write_video(root / "001.mp4", FRAMES)
    header = ",".join(["frame", *(f"AU{au}_occ" for au in range(1, 100))])
    write_text(root / "001.csv", table(header, 1))


def make_folder(root):
    for number in range(1, FRAMES + 1):
        write_picture(root / f"anna/clip/{number}.png", 20 * number)
    write_text(root / "anna/clip.csv", table(HEADER.replace("0", "frame", 1), 1))


MAKERS = {"bp4d": make_bp4d, "disfa": make_disfa, "gft": make_gft, "folder": make_folder}


@amounts(usual=8, slow=120)
@pytest.mark.parametrize("source", MAKERS)
def test_one_damaged_file_of_a_copy_costs_no_more_than_itself(raw, reader, stand_in, tmp_path, source, seeds):
    whole = tmp_path / "whole"
    MAKERS[source](whole)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    for seed in seeds:
        generator = np.random.default_rng([seed, 21])
        shutil.rmtree(raw)
        shutil.copytree(whole, raw)
        hit = files[generator.integers(len(files))]
        (raw / hit).write_bytes(mutate((whole / hit).read_bytes(), generator))
        try:
            read = reader(source, skip_unusable=True, level="A")
            recordings = read.recordings()
            told = read.problems()
            parts = [faces for recording in recordings for faces in read.faces(recording)]
        except UserError as error:
            assert "\n" not in str(error)
            continue
        assert all("\n" not in problem.text for problem in told)
        for faces in parts:
            assert (np.diff(faces.frame_numbers) > 0).all() and set(np.unique(faces.labels)) <= {-1, 0, 1}
            assert not faces.labels[~faces.face_detected].any()
            if hit.suffix in (".csv", ".txt"):
                continue  # see test_codes.py
            for frame, labels in zip(faces.frame_numbers, faces.labels, strict=True):
                truth = [1 if codes(frame, au) else -1 for au in PAPER_AUS]
                assert labels.any() == (labels == truth).all(), (seed, hit, frame)
