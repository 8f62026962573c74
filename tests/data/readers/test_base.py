"""What all readers of recordings share: names, faults of the config, chunks of faces, and being sent to a worker."""

import io
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax.config import DataConfig
from au_jax.data.annotations.codes import Codes
from au_jax.data.provenance import changed_fields, fields_of
from au_jax.data.readers.base import coded_faces, parse_columns
from au_jax.data.recordings import RecordingId
from au_jax.errors import ConfigError, UserError

from ...faces.drawn import Film, Person, line
from ..conftest import write_picture, write_text, write_video

CLIP = RecordingId("anna", "clip")


@pytest.fixture
def long_clip(raw):
    """150 frames of which 5 to 140 are coded: AU 1 in even frames; 30 is black, 31 damaged, 32 has no row."""
    for number in range(1, 151):
        write_picture(raw / f"anna/clip/{number:03d}.jpg", number if number != 30 else 0)
    (raw / "anna/clip/031.jpg").write_bytes(b"damaged")
    rows = [f"{frame},{int(frame % 2 == 0)}" for frame in (*range(5, 32), *range(33, 141), 500)]
    write_text(raw / "anna/clip.csv", "\n".join(["frame,AU1", *rows[:-1]]))


def test_faces_come_in_chunks_with_the_problems_in_the_last(long_clip, reader, stand_in):
    chunks = list(reader("folder").faces(CLIP))
    assert [len(chunk.frame_numbers) for chunk in chunks] == [64, 64, 8]
    assert [chunk.problems for chunk in chunks[:2]] == [(), ()]
    frames = np.concatenate([chunk.frame_numbers for chunk in chunks])
    assert frames.tolist() == list(range(5, 141)) and stand_in == list(range(5, 141))
    first = chunks[0]
    assert first.images.shape == (64, 8, 8, 3) and first.images.dtype == np.uint8
    assert first.labels.shape == (64, 12) and first.labels.dtype == np.int8
    assert first.landmarks.shape == (64, 49, 2) and first.landmarks.dtype == np.float32
    assert first.frame_numbers.dtype == np.int32 and first.face_detected.dtype == bool
    found = {problem.kind: problem for problem in chunks[-1].problems}
    assert {kind: problem.count for kind, problem in found.items()} == {"unreadable frame": 1, "frame without face": 1}
    assert "frames 30 " in found["frame without face"].text and "frames 31 " in found["unreadable frame"].text


def test_labels_are_missing_without_face_picture_or_row_and_right_elsewhere(long_clip, reader, stand_in):
    chunks = list(reader("folder").faces(CLIP))
    frames, labels, detected = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("frame_numbers", "labels", "face_detected")
    )
    expected = np.where(frames % 2 == 0, 1, -1)
    expected[np.isin(frames, [30, 31, 32])] = 0
    np.testing.assert_array_equal(labels[:, 0], expected)
    assert not labels[:, 1:].any()
    np.testing.assert_array_equal(detected, ~np.isin(frames, [30, 31]))


def test_a_video_is_decoded_up_to_the_last_coded_frame(raw, reader, stand_in, monkeypatch):
    write_video(raw / "anna/clip.mp4", 20)
    write_text(raw / "anna/clip.csv", "frame,AU1\n4,1\n9,0\n")
    folder = reader("folder")
    pictures, decoded = folder.pictures(CLIP), []
    monkeypatch.setattr(folder, "pictures", lambda _: (decoded.append(p.number) or p for p in pictures))
    (faces,) = folder.faces(CLIP)
    assert faces.frame_numbers.tolist() == [4, 5, 6, 7, 8, 9] and decoded == list(range(1, 10))
    found = {problem.kind: problem.count for problem in folder.examine(CLIP)[1]}
    assert found == {"frame without label": 4, "frame outside the codes": 14}


def test_codes_behind_the_end_of_a_video_are_refused_when_none_fits(raw, reader, stand_in):
    write_video(raw / "anna/clip.mp4", 3)
    write_text(raw / "anna/clip.csv", "frame,AU1\n40,1\n41,0\n")
    with pytest.raises(
        UserError, match=r"clip.mp4 has none of the frames 40 to 41 that .*clip.csv codes \(frames 1 to 3 are"
    ):
        reader("folder").recordings()


def test_a_reader_takes_what_it_found_along_to_a_worker(long_clip, raw, reader, stand_in):
    folder = reader("folder")
    assert folder.recordings() == [CLIP]
    (raw / "bert").mkdir()
    write_text(raw / "bert/late.csv", "frame,AU1\n1,1\n")
    copy = pickle.loads(pickle.dumps(folder))
    assert copy.survey() == folder.survey() and copy.survey().unusable == ()
    np.testing.assert_array_equal(next(copy.faces(CLIP)).labels, next(folder.faces(CLIP)).labels)


@pytest.mark.parametrize(
    ("source", "fields", "name"),
    [
        ("bp4d", {}, "bp4d_8px"),
        ("gft", {"level": "B"}, "gft_8px"),
        ("gft", {"level": "c", "image_size": 200}, "gft_C_200px"),
        ("folder", {"name": "my lab/2"}, "my_lab_2_8px"),
    ],
)
def test_the_name_comes_from_the_config_alone(reader, source, fields, name):
    assert reader(source, raw="/nowhere", **fields).name == name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"level": "F"}, "config.data.level is 'F'; choose one of A, B, C, D, E"),
        ({"level": "AB"}, "config.data.level is 'AB'"),
        ({"codes": "letters"}, "config.data.codes is 'letters'; choose auto, occurrence or intensity"),
        ({"fps": 0.0}, "config.data.fps is 0.0"),
        ({"columns": "3=dimple"}, "config.data.columns has '3=dimple'"),
        ({"columns": "1"}, "config.data.columns has '1'"),
        ({"columns": "1=a, 1=b"}, "config.data.columns has '1=b'"),
        ({"columns": "1=a, 2=a"}, "config.data.columns has '2=a'"),
    ],
)
def test_faults_of_the_config_are_told_at_once(reader, fields, message):
    with pytest.raises(UserError, match=message):
        reader("folder", **fields)


def test_columns_are_parsed():
    assert parse_columns("", (1, 12)) == {}
    assert parse_columns("1=Brow_In, AU12 = smile,frame=nr", (1, 12)) == {1: "brow_in", 12: "smile", 0: "nr"}


@pytest.mark.parametrize("source", ["bp4d", "disfa", "gft", "folder"])
def test_no_root_or_an_empty_one_is_one_line(reader, raw, source):
    remedy = "; prepare them with au-jax prepare --raw=FOLDER and otherwise the same options"
    with pytest.raises(UserError, match=f"names no folder of {source} recordings{remedy}"):
        reader(source, raw="").recordings()
    with pytest.raises(UserError, match="there is no folder /nowhere of recordings; check --raw or config.data.raw"):
        reader(source, raw="/nowhere").recordings()
    with pytest.raises(UserError, match=f"has no {source} recordings; it should hold "):
        reader(source).recordings()


@pytest.mark.parametrize("lie", [1, 7, 1000, 2**31, 0])
def test_a_header_that_lies_about_the_length_costs_no_frame_and_no_label(raw, reader, stand_in, lie):
    av = pytest.importorskip("av")
    (raw / "anna").mkdir()
    path = raw / "anna/clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(12):
            picture = np.full((48, 64, 3), 100 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    for place in (data.index(b"avih") + 24, data.index(b"strh") + 40):
        assert data[place : place + 4] == (12).to_bytes(4, "little")
        data[place : place + 4] = lie.to_bytes(4, "little")
    path.write_bytes(data)
    write_text(raw / "anna/clip.csv", "frame,AU1\n" + "\n".join(f"{n},{n % 2}" for n in range(1, 15)))
    folder = reader("folder")
    (faces,) = folder.faces(CLIP)
    assert faces.frame_numbers.tolist() == list(range(1, 13)) and faces.labels[:, 0].tolist() == [1, -1] * 6
    assert [problem.text for problem in faces.problems] == ["frames 13 to 14 have codes, but there is no such frame"]
    told = {problem.kind for problem in folder.examine(CLIP)[1]}
    assert ("label without frame" in told) == (0 < lie < 14)


SOURCES = ("plain.mp4", "anamorphic.mp4", "interlaced.mp4", "hdr.mp4", "exif.mov", "frames")


def make_source(place, pictures, name):
    """The same person as different cameras store them; `place` holds the recordings of one subject."""
    av = pytest.importorskip("av")
    if name == "frames":
        (place / "frames").mkdir()
        for number, picture in enumerate(pictures, 1):
            Image.fromarray(picture).save(place / "frames" / f"f-11-57-{number:03d}.png")
        return place / "frames"
    codec, pixels, options = "libx264", "yuv420p", {}
    if name == "interlaced.mp4":
        options = {"x264-params": "tff=1:log-level=none"}
    elif name == "hdr.mp4":
        codec, pixels, options = "libx265", "yuv420p10le", {"x265-params": "log-level=none"}
    elif name == "exif.mov":
        codec, pixels = "mjpeg", "yuvj420p"
    with av.open(str(place / name), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        if name == "anamorphic.mp4":
            pictures = [np.asarray(Image.fromarray(picture).resize((180, 240))) for picture in pictures]
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if name == "hdr.mp4":
            stream.codec_context.color_trc, stream.codec_context.color_primaries = 18, 9
        for number, picture in enumerate(pictures):
            if name == "exif.mov":
                jpeg, exif = io.BytesIO(), Image.Exif()
                exif[0x0112] = 1
                Image.fromarray(picture).save(jpeg, "JPEG", exif=exif)
                packet = av.Packet(jpeg.getvalue())
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
                container.mux(packet)
                continue
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        if name != "exif.mov":
            container.mux(stream.encode(None))
    return place / name


@pytest.mark.parametrize("name", SOURCES)
def test_prepare_and_predict_see_the_same_faces_to_the_byte(tmp_path, scene, name):
    pytest.importorskip("dlib")
    from au_jax.config import DataConfig
    from au_jax.data.readers.folder import FolderReader
    from au_jax.faces.decoding import read_pictures
    from au_jax.faces.tracking import register_pictures

    count = 4
    (tmp_path / "anna").mkdir()
    source = make_source(tmp_path / "anna", scene[0][:count], name)
    table = source.with_suffix(".csv")
    table.write_text("frame,AU12\n" + "".join(f"{number},1\n" for number in range(1, count + 1)))
    reader = FolderReader(DataConfig(raw=str(tmp_path), aus=(12,), image_size=100))
    (recording,) = reader.recordings()
    prepared = list(reader.faces(recording))
    predicted = list(register_pictures(read_pictures(source), 100))
    images = np.concatenate([part.images for part in prepared])
    np.testing.assert_array_equal(images, np.stack([face.image for face in predicted]))
    assert np.concatenate([part.face_detected for part in prepared]).all()
    np.testing.assert_array_equal(
        np.concatenate([part.landmarks for part in prepared]), np.stack([face.landmarks for face in predicted])
    )


def test_an_anamorphic_recording_gives_the_faces_of_the_square_one(tmp_path, scene):
    """Registered landmarks would be off by a third of the face's width."""
    pytest.importorskip("dlib")
    from au_jax.faces.decoding import read_pictures
    from au_jax.faces.tracking import register_pictures

    faces = {}
    for name in ("plain.mp4", "anamorphic.mp4"):
        source = make_source(tmp_path, scene[0][:4], name)
        faces[name] = np.stack([face.landmarks for face in register_pictures(read_pictures(source), 200)])
    apart = np.linalg.norm(faces["plain.mp4"] - faces["anamorphic.mp4"], axis=-1)
    assert np.median(apart) < 2.5  # pixels of 200; dlib's landmarks are whole pixels


@pytest.mark.parametrize(
    ("person", "place"), [("left", 0), ("right", 2), ("largest", 1), ((400.0, 0.0, 240.0, 240.0), 2)]
)
def test_the_codes_of_a_group_are_those_of_the_person_who_is_meant(monkeypatch, person, place):
    """Three people in one picture, as in GFT's groups; who is meant leaves for a while."""
    ways = [line(40 + 210 * column, 70 + 210 * column, 60, width=110 if column == 1 else 90) for column in range(3)]
    away = range(20, 40)
    mine = ways[place]
    ways[place] = lambda t: None if t in away else mine(t)
    people = [Person(look, way) for look, way in enumerate(ways)]
    codes = Codes(np.arange(1, 61, dtype=np.int32), np.ones((60, 1), np.int8), aus=(12,))
    parts = list(coded_faces(Film(monkeypatch, people, 60).pictures(), codes, 40, Path("group.mp4"), person))
    labels = np.concatenate([part.labels for part in parts])[:, 0]
    # Frames in which only the others are seen have no labels.
    assert labels[:20].all() and not labels[20:40].any() and labels[41:].all()
    alone = Film(monkeypatch, [people[place]], 60).pictures()
    expected = np.concatenate([part.images for part in coded_faces(alone, codes, 40, Path("alone.mp4"))])
    seen = labels != 0
    images = np.concatenate([part.images for part in parts])
    assert np.abs(images[seen].astype(int) - expected[seen]).mean() < 2
    problems = {problem.kind: problem.text for problem in parts[-1].problems}
    assert problems["several people"].startswith("up to 3 faces in a frame; the codes are taken for those of the ")


def test_a_person_of_a_recording_that_is_not_there_is_refused(raw, reader):
    write_video(raw / "001A.mp4", 3)
    write_text(raw / "001A.csv", "Frame,AU12,AU01\n1,0,3\n2,2,1\n3,9,0\n")
    assert len(reader("gft", person="001A=left; 001A/video=right").recordings()) == 1
    with pytest.raises(ConfigError, match=r"config.data.person names 001B, which .* does not have; .* such as 001A"):
        reader("gft", person="001B=left").recordings()


def test_another_person_is_another_dataset():
    fields = fields_of(DataConfig(source="gft", person="left"))
    assert fields["person"] == "left" and "person" not in fields_of(DataConfig())
    # One that was made before there was a choice means the largest.
    assert not changed_fields({"level": ""}, {"person": "largest"}) and changed_fields({}, fields)["person"] == (
        "largest", "left",
    )  # fmt: skip


@pytest.mark.parametrize("landmarks", ["dlib", "mesh"])
def test_faces_are_registered_by_the_landmarks_of_the_config(raw, reader, stand_in, monkeypatch, landmarks):
    from au_jax.faces import backends, tracking

    register, asked = tracking.register_pictures, []

    def watched(pictures, size, tracker):
        asked.append(type(tracker).__name__)
        return register(pictures, size, tracker)

    monkeypatch.setattr(tracking, "register_pictures", watched)
    write_picture(raw / "anna" / "clip" / "1.png", 90)
    write_text(raw / "anna" / "clip.csv", "frame,AU12\n1,1\n")
    clip = reader("folder", aus=(12,), landmarks=landmarks)
    assert [len(faces.labels) for faces in clip.faces(clip.recordings()[0])] == [1]
    assert asked == [type(backends.make_tracker(landmarks)).__name__]
