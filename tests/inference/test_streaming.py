"""What predict writes, when frames differ in size or the disk fills up as well; the detector is a stand-in."""

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import CommandError, UserError
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference import detector
from au_jax.inference.streaming import predict
from au_jax.inference.writers import Detections
from au_jax.labels import PAPER_AUS
from au_jax.report.overlay import OverlayWriter
from au_jax.report.timeline import TimelineWriter

pytest.importorskip("av")


class Detector(detector.Detector):
    """Finds no face and scores nothing, in chunks of two."""

    def __init__(self):
        pass

    def stream(self, frames, chunk, faces="largest"):
        rows = []
        for frame in frames:
            blank = np.zeros((8, 8, 3), np.uint8), np.zeros((49, 2), np.float32)
            rows.append(RegisteredFace(frame.number, frame.timestamp, frame.image, *blank, None))
            if len(rows) == 2:
                yield table(rows), rows
                rows = []
        if rows:
            yield table(rows), rows


def table(rows):
    count = len(rows)
    return Detections(
        aus=PAPER_AUS,
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


def test_frames_of_different_sizes_are_drawn_into_one_video(frames, tmp_path):
    from au_jax.faces.decoding import read_video

    out, overlay = tmp_path / "out.csv", tmp_path / "out.mp4"
    counts = predict(Detector(), frames, out, writers=[OverlayWriter(overlay)])
    assert (counts["frames"], counts["faces"], counts["together"]) == (5, 0, 0) and counts["seconds"] > 0
    assert len(out.read_text().splitlines()) == 6
    shapes = [frame.image.shape for frame in read_video(overlay)]
    # The damaged frame has a row and no image.
    assert len(shapes) == 4 and len(set(shapes)) == 1


def test_a_timeline_is_drawn_when_the_last_frame_has_come(frames, tmp_path):
    plot = tmp_path / "out.png"
    predict(Detector(), frames, tmp_path / "out.csv", writers=[TimelineWriter(plot, "frames")])
    assert Image.open(plot).size[0] > 1000


def test_every_writer_gets_every_frame_and_is_closed(frames, tmp_path):
    class Writer:
        numbers, closed = (), False

        def write(self, detections, faces):
            assert detections.frames.tolist() == [face.number for face in faces]
            self.numbers += tuple(detections.frames.tolist())

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.closed = True

    writers = Writer(), Writer()
    predict(Detector(), frames, tmp_path / "out.csv", form="fex", writers=writers)
    assert [(writer.numbers, writer.closed) for writer in writers] == [((1, 2, 3, 4, 5), True)] * 2
    assert (tmp_path / "out.csv").read_text().startswith("frame,FaceRectX")


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(CommandError, match="--format is 'xlsx'; choose one of openface, fex"):
        predict(Detector(), tmp_path / "none.mp4", tmp_path / "out.csv", form="xlsx")


@pytest.mark.parametrize(
    ("name", "content"), [("nowhere.mp4", None), ("empty.mp4", b""), ("text.mp4", b"not a video at all" * 50)]
)
def test_what_is_no_video_is_named_and_costs_no_older_table(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out, plot = tmp_path / "out.csv", tmp_path / "out.png"
    out.write_text("older")
    with pytest.raises(UserError, match=name):
        predict(Detector(), tmp_path / name, out, writers=[TimelineWriter(plot, name)])
    assert out.read_text() == "older" and not plot.exists()


def test_a_full_disk_is_reported_with_the_file(frames, small_disk, tmp_path):
    with small_disk(), pytest.raises(UserError, match=r"out\.mp4 cannot be written"):
        predict(Detector(), frames, tmp_path / "out.csv", writers=[OverlayWriter(tmp_path / "out.mp4")])
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*"))
    for number in range(6, 40):
        (frames / f"{number}.png").symlink_to(frames / "5.png")
    with small_disk(), pytest.raises(OSError, match=r"out\.csv"):
        predict(Detector(), frames, tmp_path / "out.csv")
