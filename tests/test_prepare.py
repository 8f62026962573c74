"""Real recordings from folder to dataset: the command line, resuming, and which faces a config means."""

import csv
import os

import numpy as np
import pytest

from au_jax import files
from au_jax.config import get_config
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare, refuse_stand_in
from au_jax.data.recordings import Faces, RecordingId, write_recording
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

pytest.importorskip("dlib")
pytest.importorskip("av")

SUBJECTS = ("F001", "M002")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, scene):
    """Videos of two subjects with codes: columns and rows in any order, and a row for a frame that is not there."""
    from au_jax.faces.video_writer import VideoWriter

    root, truth = tmp_path_factory.mktemp("raw"), {}
    for number, subject in enumerate(SUBJECTS):
        part = slice(10 * number, 10 * number + 10)
        pictures, labels = scene[0][part], scene[1][part].copy()
        (root / subject).mkdir()
        with VideoWriter(root / subject / "talk.mp4", 25, 240, 240) as writer:
            for row, picture in enumerate(pictures):
                # Nobody is there in the fifth frame.
                writer.write(np.full_like(picture, 90) if row == 4 else picture)
        order = np.random.default_rng(number).permutation(len(PAPER_AUS))
        with open(root / subject / "talk.csv", "w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["frame", *(f"AU{PAPER_AUS[index]:02d}" for index in order)])
            rows = np.random.default_rng(number).permutation(len(labels))
            codes = {1: "1", -1: "0", 0: "9"}
            writer.writerows([row + 1, *(codes[int(labels[row, index])] for index in order)] for row in rows)
            writer.writerow([len(labels) + 1] + ["1"] * len(PAPER_AUS))
        labels[4] = 0
        truth[subject] = labels
    return root, truth


def settings(recordings, directory, **changes):
    data = get_config().data
    data.source, data.raw, data.directory, data.image_size, data.workers = (
        "folder",
        str(recordings[0]),
        str(directory),
        64,
        1,
    )
    data.update(changes)
    return data


def test_the_command_checks_prepares_and_reports(command, recordings, tmp_path):
    options = (
        "--config=folder",
        f"--raw={recordings[0]}",
        f"--config.data.directory={tmp_path}",
        "--config.data.image_size=64",
    )
    checked = command("au_jax.prepare", *options, "--check_only")
    assert checked.returncode == 0, checked.stderr
    assert "talk.mp4: frames 11 have codes, but the video has frames 1 to 10" in checked.stdout
    assert not (tmp_path / "tfds").exists()

    done = command("au_jax.prepare", *options, "--config.data.workers=2")
    assert done.returncode == 0, done.stderr
    assert "2 subjects, 20 frames" in done.stdout and "a face in 18 of 20 frames" in done.stdout
    report = files.read_json(tmp_path / "folder_64px.json")
    assert report["prepared"]["frames_with_a_face"] == 18
    assert {problem["kind"] for problem in report["prepared"]["problems"]} >= {"frame without face"}

    dataset = FaceDataset(prepare(settings(recordings, tmp_path, raw="")))
    assert dataset.subjects == SUBJECTS
    for subject in SUBJECTS:
        records = dataset.records(subject)
        np.testing.assert_array_equal(records.frame_numbers, np.arange(1, 11))
        np.testing.assert_array_equal(records.labels, recordings[1][subject])
        np.testing.assert_array_equal(np.flatnonzero(~records.face_detected), [4])
        # The eyes are where the template has them, a third of 200 pixels apart.
        eyes = records.landmarks[0, 19:31].reshape(2, 6, 2).mean(1)
        np.testing.assert_allclose(eyes, np.array([[67.5, 65], [132.5, 65]]) * 0.32, atol=2)


def test_preparing_goes_on_with_the_next_recording(recordings, tmp_path, monkeypatch):
    begun = []

    def dying(folder, recording, *arguments):
        begun.append(recording.subject)
        if recording.subject == "M002" and begun.count("M002") == 1:
            raise OSError(28, "No space left on device", str(folder))
        write_recording(folder, recording, *arguments)

    monkeypatch.setattr("au_jax.data.preparation_workers.write_recording", dying)
    data = settings(recordings, tmp_path)
    with pytest.raises(OSError, match="No space"):
        prepare(data)
    assert len(FaceDataset(prepare(data)).records("F001").labels) == 10
    assert begun == ["F001", "M002", "M002"]
    assert not (tmp_path / "recordings" / "folder_64px").exists()

    other = settings(recordings, tmp_path, raw=str(tmp_path))
    with pytest.raises(UserError, match=r"was prepared from .*--config.data.name"):
        prepare(other)


def test_recordings_that_cannot_be_used_stop_before_any_work(recordings, tmp_path):
    raw = tmp_path / "raw"
    (raw / "F001").mkdir(parents=True)
    for name in ("talk.mp4", "talk.csv"):
        os.link(recordings[0] / "F001" / name, raw / "F001" / name)
    (raw / "F001" / "empty.mp4").touch()
    (raw / "F001" / "empty.csv").write_text("frame,AU1\n1,1\n")
    data = settings(recordings, tmp_path / "data", raw=str(raw))
    with pytest.raises(UserError, match=r"1 of 2 recordings cannot be used.*empty.mp4.*skip_unusable"):
        prepare(data)
    data.skip_unusable = True
    assert [video.name for video in FaceDataset(prepare(data)).records("F001").videos] == ["talk"]


def test_synthetic_faces_do_not_stand_in_for_prepared_recordings(recordings, tmp_path):
    data = settings(recordings, tmp_path, source="synthfacs", preset="tiny", stands_for="folder")
    refuse_stand_in(data)
    prepare(settings(recordings, tmp_path))
    with pytest.raises(UserError, match=r"--config.data.source=folder"):
        refuse_stand_in(data)
    data.stands_for = ""
    refuse_stand_in(data)


def test_a_disk_that_fills_up_is_named_and_leaves_no_part(small_disk, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    faces = Faces(
        images,
        np.zeros((8, 12), np.int8),
        np.zeros((8, 49, 2), np.float32),
        np.arange(8, dtype=np.int32),
        np.ones(8, bool),
    )
    with small_disk(), pytest.raises(OSError, match=r"F001/talk\.jpegs"):
        write_recording(tmp_path, RecordingId("F001", "talk"), iter([faces, faces]), 90)
    assert list((tmp_path / "F001").iterdir()) == []
