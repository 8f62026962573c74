"""Prepared recordings on disk: written part by part, read frame by frame, with the names that they always had."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from au_jax import files
from au_jax.data.recordings import (
    Faces,
    Problem,
    RecordingId,
    aus_suffix,
    encode_jpeg,
    has_intensities,
    is_finished,
    read_fingerprint,
    read_notes,
    read_recording,
    safe_name,
    write_encoded,
    write_recording,
)
from au_jax.errors import DataError
from au_jax.labels import PAPER_AUS

CLIP = RecordingId("F001", "T1")


def parts(sizes=(3, 2), aus=2):
    first = 5
    for size in sizes:
        numbers = np.arange(first, first + size, dtype=np.int32)
        labels = np.stack([numbers % 2] * aus, axis=1).astype(np.int8)
        problems = (Problem("unreadable frame", "x.mp4", "frame 6", 1),) if first == 5 else ()
        yield Faces(
            np.full((size, 8, 8, 3), first, np.uint8), labels, np.zeros((size, 49, 2), np.float32), numbers, numbers != 6,
            problems,
        )  # fmt: skip
        first += size


def test_a_recording_is_read_as_it_was_written(tmp_path):
    assert not is_finished(tmp_path, CLIP)
    write_recording(tmp_path, CLIP, parts(), quality=95)
    rows = list(read_recording(tmp_path, CLIP))
    assert [row["frame"] for row in rows] == [5, 6, 7, 8, 9] and [row["found"] for row in rows] == [True, False] + [
        True
    ] * 3
    assert [row["labels"].tolist() for row in rows] == [[1, 1], [0, 0], [1, 1], [0, 0], [1, 1]]
    assert [np.asarray(Image.open(io.BytesIO(row["jpeg"])))[0, 0, 0] for row in rows] == [5, 5, 5, 8, 8]
    assert is_finished(tmp_path, CLIP)
    assert read_notes(tmp_path, CLIP) == (5, 4, [Problem("unreadable frame", "x.mp4", "frame 6", 1)])


def test_the_arrays_on_disk_have_the_names_that_earlier_recordings_have(tmp_path):
    write_recording(tmp_path, CLIP, parts(), quality=95)
    index = files.read_npz(tmp_path / "F001/T1.npz")
    assert list(index) == ["sizes", "checksums", "labels", "landmarks", "frames", "found"]
    assert {path.name for path in (tmp_path / "F001").iterdir()} == {"T1.npz", "T1.jpegs", "T1.json"}


def test_intensities_are_kept_where_any_are_known_and_parts_without_are_unknown(tmp_path):
    first, second = parts()
    grades = np.array([[3, -1], [0, 0], [5, 1]], np.int8)
    write_recording(tmp_path, CLIP, iter([dataclasses.replace(first, intensities=grades), second]), quality=95)
    rows = list(read_recording(tmp_path, CLIP))
    assert [row["intensities"].tolist() for row in rows] == [[3, -1], [0, 0], [5, 1], [-1, -1], [-1, -1]]
    assert has_intensities(tmp_path, CLIP)
    write_encoded(tmp_path, RecordingId("F001", "copy"), rows, [], None)
    again = list(read_recording(tmp_path, RecordingId("F001", "copy")))
    assert [row["intensities"].tolist() for row in again] == [row["intensities"].tolist() for row in rows]
    # Zeros alone tell of no intensity.
    write_recording(tmp_path, CLIP, iter([dataclasses.replace(first, intensities=np.minimum(grades, 0))]), quality=95)
    assert not has_intensities(tmp_path, CLIP)
    write_recording(tmp_path, CLIP, parts(), quality=95)
    assert not has_intensities(tmp_path, CLIP) and "intensities" not in next(read_recording(tmp_path, CLIP))


def test_a_recording_of_an_earlier_version_is_read_and_has_no_fingerprint(tmp_path):
    write_recording(tmp_path, CLIP, parts(), quality=95, fingerprint={"level": "B"})
    assert read_fingerprint(tmp_path, CLIP) == {"level": "B"}
    index = files.read_npz(tmp_path / "F001/T1.npz")
    del index["checksums"]
    files.write_npz(tmp_path / "F001/T1.npz", index)
    notes = files.read_json(tmp_path / "F001/T1.json")
    files.write_json(tmp_path / "F001/T1.json", notes["problems"])
    assert [row["frame"] for row in read_recording(tmp_path, CLIP)] == [5, 6, 7, 8, 9]
    assert read_notes(tmp_path, CLIP) == (5, 4, [Problem("unreadable frame", "x.mp4", "frame 6", 1)])
    assert read_fingerprint(tmp_path, CLIP) is None


def test_changed_pictures_are_one_line_with_the_remedy(tmp_path):
    write_recording(tmp_path, CLIP, parts(), quality=95)
    pictures = tmp_path / "F001/T1.jpegs"
    content = bytearray(pictures.read_bytes())
    content[-9] ^= 1
    pictures.write_bytes(content)
    with pytest.raises(DataError, match=r"T1.jpegs has changed at picture 5; delete .*T1.npz to have it made again"):
        list(read_recording(tmp_path, CLIP))


def test_faces_that_are_jpegs_already_are_written_to_the_byte(tmp_path):
    write_recording(tmp_path, CLIP, parts(), quality=40)
    rows = list(read_recording(tmp_path, CLIP))
    problem = Problem("unreadable frame", "x.mp4", "frame 6", 1)
    write_encoded(tmp_path / "copy", CLIP, rows, [problem], None)
    for name in ("T1.jpegs", "T1.npz", "T1.json"):
        assert (tmp_path / "copy/F001" / name).read_bytes() == (tmp_path / "F001" / name).read_bytes()


def test_a_recording_without_frames_or_cut_short_is_one_line(tmp_path):
    with pytest.raises(DataError, match="F001/T1 has no frames to prepare; remove it, or mend its labels"):
        write_recording(tmp_path, CLIP, parts(sizes=()), quality=95)
    assert not is_finished(tmp_path, CLIP)
    write_recording(tmp_path, CLIP, parts(), quality=95)
    pictures = tmp_path / "F001/T1.jpegs"
    pictures.write_bytes(pictures.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"T1.jpegs breaks off; delete .*T1.npz to have it made again"):
        list(read_recording(tmp_path, CLIP))


def test_what_breaks_off_while_it_is_written_is_not_there(tmp_path):
    def broken():
        yield from parts(sizes=(2,))
        raise RuntimeError("the reader failed")

    with pytest.raises(RuntimeError, match="the reader failed"):
        write_recording(tmp_path, CLIP, broken(), quality=95)
    assert list((tmp_path / "F001").iterdir()) == [] and not is_finished(tmp_path, CLIP)


def test_names_become_safe(tmp_path):
    assert [safe_name(name) for name in ("F001", "é-1", "all", "a.b")] == ["F001", "__1", "all_", "a_b"]
    with pytest.raises(ValueError, match="is no name for a file"):
        is_finished(tmp_path, RecordingId("..", "T1"))


def test_two_selections_of_aus_have_two_names():
    selections = [PAPER_AUS, (1,), (1, 2), (2, 1), tuple(range(4, 13)), tuple(range(12, 3, -1)), tuple(range(4, 14))]
    assert aus_suffix(PAPER_AUS) == "" and len({aus_suffix(aus) for aus in selections}) == len(selections)


def test_jpeg_keeps_small_coloured_detail():
    image = np.zeros((16, 16, 3), np.uint8)
    image[8, 8] = (255, 0, 0)
    back = np.asarray(Image.open(io.BytesIO(encode_jpeg(image, 95)))).astype(int)
    assert back[8, 8, 0] > 200 and back[8, 8, 2] < 60
