"""What predict writes when pictures differ in size or the disk fills up; the detector is a stand-in."""

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.writers import Detections
from au_jax.predict import Outputs, predict

pytest.importorskip("av")


class Detector:
    """Finds no face and scores nothing, in chunks of two."""

    def stream(self, pictures, chunk):
        rows = []
        for picture in pictures:
            blank = np.zeros((8, 8, 3), np.uint8), np.zeros((49, 2), np.float32)
            rows.append(RegisteredFace(picture.number, picture.timestamp, picture.image, *blank, None))
            if len(rows) == 2:
                yield table(rows), rows
                rows = []
        if rows:
            yield table(rows), rows


def table(rows):
    count = len(rows)
    return Detections(
        frames=np.array([row.number for row in rows]),
        timestamps=np.array([row.timestamp for row in rows]),
        success=np.zeros(count, bool),
        confidence=np.zeros(count, np.float32),
        boxes=np.full((count, 4), np.nan, np.float32),
        landmarks=np.full((count, 68, 2), np.nan, np.float32),
        scores={"anet": np.full((count, 12), np.nan, np.float32)},
    )


@pytest.fixture
def frames(tmp_path):
    """Five frames of which the third is smaller, the fourth damaged and the fifth grey."""
    folder = tmp_path / "frames"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    for number, size in ((1, (320, 240)), (2, (320, 240)), (3, (33, 21)), (5, (320, 240))):
        picture = Image.fromarray(noise).resize(size)
        (picture.convert("L") if number == 5 else picture).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_frames_of_different_sizes_are_drawn_into_one_film(frames, tmp_path):
    from au_jax.faces.decoding import read_video

    outputs = Outputs(tmp_path / "out.csv", overlay=tmp_path / "out.mp4")
    assert predict(Detector(), str(frames), outputs)["frames"] == 5
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 6
    shapes = [picture.image.shape for picture in read_video(tmp_path / "out.mp4")]
    # The damaged frame has a row and no picture.
    assert len(shapes) == 4 and len(set(shapes)) == 1


def test_a_full_disk_is_told_with_the_file(frames, small_disk, tmp_path):
    with small_disk(), pytest.raises(UserError, match=r"out\.mp4 cannot be written"):
        predict(Detector(), str(frames), Outputs(tmp_path / "out.csv", overlay=tmp_path / "out.mp4"))
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*"))
    for number in range(6, 40):
        (frames / f"{number}.png").symlink_to(frames / "5.png")
    with small_disk(), pytest.raises(OSError, match=r"out\.csv"):
        predict(Detector(), str(frames), Outputs(tmp_path / "out.csv"))
