"""Containers: rates that cannot be, streams without times, clocks, trimmed files."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from au_jax.errors import UserError  # noqa: E402
from au_jax.faces import containers  # noqa: E402
from au_jax.faces.decoding import probe, read_folder, read_pictures, read_video, source_notes  # noqa: E402
from au_jax.faces.packet_times import packet_times  # noqa: E402


def write(path, count=10, codec="libx264", rate=Fraction(25), size=(64, 48), pixels="yuv420p", form=None, options=None):
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt, stream.options = pixels, options or {}
        for number in range(count):
            image = np.full((size[1], size[0], 3), 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times(frames):
    return [frame.timestamp for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec", "form", "pixels"),
    [
        ("v.h264", "libx264", "h264", "yuv420p"),
        ("v.m4v", "mpeg4", "m4v", "yuv420p"),
        ("v.m2v", "mpeg2video", "mpeg2video", "yuv420p"),
    ],
)
def test_a_raw_stream_has_the_rate_of_its_codec_unless_one_is_given(tmp_path, name, codec, form, pixels):
    path = write(tmp_path / name, codec=codec, rate=Fraction(30), form=form, pixels=pixels)
    np.testing.assert_allclose(times(read_video(path)), np.arange(10) / 30)
    np.testing.assert_allclose(times(read_video(path, fps=50)), np.arange(10) / 50)
    np.testing.assert_allclose(packet_times(path)[0], np.arange(10) / 30)
    assert probe(path).fps == 30 and "no times: 30 frames/s, as its codec says" in source_notes(path)[0]
    assert source_notes(path, fps=50) == []


def test_a_raw_stream_whose_codec_knows_no_rate_is_a_guess_and_told(tmp_path):
    path = write(tmp_path / "v.mjpeg", codec="mjpeg", rate=Fraction(30), form="mjpeg", pixels="yuvj420p")
    np.testing.assert_allclose(times(read_video(path)), np.arange(10) / 25)
    assert "25 frames/s, which is a guess, unless --fps is given" in probe(path).notes[0]


def test_a_rate_is_refused_where_the_file_has_times(tmp_path):
    path = write(tmp_path / "v.mp4")
    for read in (lambda: next(read_pictures(path, fps=30)), lambda: source_notes(path, fps=30.0)):
        with pytest.raises(UserError, match=r"v\.mp4 has times of its own; leave out --fps"):
            read()
    with pytest.raises(UserError, match="camera 0 has times of its own; leave out --fps"):
        next(read_pictures("0", fps=30))


@pytest.mark.parametrize(
    ("size", "rate", "pixels"), [((720, 576), Fraction(25), "yuv420p"), ((720, 480), Fraction(30000, 1001), "yuv411p")]
)
def test_a_rate_that_no_camera_has_is_not_believed(tmp_path, size, rate, pixels):
    """A raw DV file claims 60000 frames/s; its pixels are not square either."""
    path = write(tmp_path / "v.dv", 5, "dvvideo", rate, size, pixels, "dv")
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 60000  # what this test is about
    facts = probe(path)
    assert facts.fps == pytest.approx(float(rate)) and any(
        "60000 frames/s, which cannot be" in note for note in facts.notes
    )
    np.testing.assert_allclose(times(read_video(path)), np.arange(5) / float(rate), atol=1e-6)
    assert (facts.width, facts.height) == ((768, 576) if size[1] == 576 else (720, 540))


def write_late(path, late, sound=True):
    """A video whose first frame comes `late` seconds after the sound, as ffmpeg -itsoffset makes it."""
    source = write(path.with_name("source.mp4"), options={"bf": "0"})
    with av.open(str(source)) as read, av.open(str(path), "w") as container:
        taken = read.streams.video[0]
        video = container.add_stream_from_template(taken)
        packets = [packet for packet in read.demux(taken) if packet.size]
        if sound:
            audio = container.add_stream("aac", rate=48000, layout="mono")
            for at in range(0, 48000, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
        for packet in packets:
            shift = round(late / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, video
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_times_are_those_that_players_show_where_the_sound_begins_earlier(tmp_path, name):
    path = write_late(tmp_path / name, 0.854)
    with av.open(str(path)) as container:
        begin = max(0.0, -container.start_time / 1e6)  # what an encoder puts before the sound
    on_clock = np.array(times(read_video(path)))
    np.testing.assert_allclose(on_clock, 0.854 + begin + np.arange(10) / 25, atol=0.025)
    np.testing.assert_allclose(np.diff(on_clock), 1 / 25, atol=1e-3)
    since_first = np.array(times(read_video(path, clock="first_frame")))
    assert since_first[0] == 0
    np.testing.assert_allclose(on_clock - since_first, on_clock[0])
    whole, start = packet_times(path)
    np.testing.assert_allclose(whole + start, on_clock, atol=1e-6)


def test_a_clock_that_starts_late_as_a_whole_begins_at_0(tmp_path):
    path = write(tmp_path / "v.ts", codec="mpeg2video", form="mpegts")
    with av.open(str(path)) as container:
        assert container.start_time > 0  # as every transport stream
    np.testing.assert_allclose(times(read_video(path)), np.arange(10) / 25, atol=1e-4)


def test_an_unknown_clock_is_refused(tmp_path):
    with pytest.raises(UserError, match="no clock 'wall'; choose one of player, first_frame"):
        next(read_video(tmp_path / "v.mp4", clock="wall"))


def test_probe_counts_the_frames_that_are_shown(tmp_path):
    """A trimmed file keeps frames before its beginning, which its edit list hides."""
    source = write(tmp_path / "whole.mp4", 12, options={"bf": "0", "g": "12"})
    path = tmp_path / "trimmed.mp4"
    with av.open(str(source)) as read, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        taken = read.streams.video[0]
        video = container.add_stream_from_template(taken)
        for packet in read.demux(taken):
            if packet.size:
                shift = round(Fraction(5, 25) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, video
                container.mux(packet)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 12  # what the header counts
    frames = list(read_video(path))
    assert probe(path).frames == len(frames) == len(packet_times(path)[0]) == 7
    np.testing.assert_allclose(times(frames), np.arange(7) / 25, atol=1e-3)


@pytest.mark.parametrize(
    ("average", "guessed", "codec", "expected"),
    [
        (Fraction(30000, 1001), None, None, Fraction(30000, 1001)),
        (Fraction(60000), Fraction(25), None, Fraction(25)),
        (Fraction(90000), Fraction(90000), Fraction(50), Fraction(50)),
        (None, None, None, Fraction(25)),
        (Fraction(1, 10), None, None, Fraction(1, 10)),
    ],
)
def test_the_first_rate_that_can_be_counts(average, guessed, codec, expected):
    from types import SimpleNamespace as Named

    container = Named(format=Named(flags=0))
    stream = Named(
        average_rate=average, guessed_rate=guessed, codec_context=Named(framerate=codec), container=container
    )
    assert containers.mean_rate(stream) == expected


def test_what_exists_on_disk_is_no_camera(tmp_path, monkeypatch):
    from PIL import Image

    from au_jax.faces.decoding import is_camera

    monkeypatch.chdir(tmp_path)
    (tmp_path / "001").mkdir()
    Image.new("RGB", (4, 2)).save(tmp_path / "001" / "7.png")
    assert not is_camera("001") and is_camera("002") and not is_camera(tmp_path / "002") and is_camera(3)
    assert [frame.number for frame in read_pictures("001")] == [7] == [frame.number for frame in read_folder("001")]
