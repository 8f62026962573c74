"""The page of a video: what it holds, where its video lies, and what its timelines are made of."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

from au_jax.errors import DataError
from au_jax.faces.decoding import probe, read_pictures
from au_jax.faces.tracking import RegisteredFace
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.event_writers import EventRules
from au_jax.inference.writers import Detections
from au_jax.report.video_page import PageWriter, page_data, video_beside, write_index

FRAMES = 30
TIMES = np.cumsum([0.0, *np.where(np.arange(FRAMES - 1) % 3 == 2, 0.09, 0.04)])
"""Of a camera that drops frames."""


def clip(path):
    """Each frame has a grey level of its own."""
    with VideoWriter(path, 25, 96, 64) as writer:
        for number, time in enumerate(TIMES):
            writer.write(np.full((64, 96, 3), 20 + 7 * number, np.uint8), time)
    return path


def table(people=(0, 1), aus=(6, 12), times=TIMES):
    """Face 0 is lost in frames 11 to 13 and doubtful in 20 to 22; face 1 comes at frame 16."""
    rows = [(f, p) for f in range(len(times)) for p in people if p == 0 or f >= 15]
    frames, who = np.array(rows).T
    found = ~((who == 0) & (frames >= 10) & (frames < 13))
    scores = np.where((frames % 10 < 5)[:, None] == np.array([True, False]), 2.0, -1.0) * (1 + who[:, None])
    scores = np.where(found[:, None], scores, np.nan).astype(np.float32)
    confidence = np.where(found, np.where((who == 0) & (frames >= 19) & (frames < 22), 0.7, 0.95), 0).astype(np.float32)
    boxes = np.where(found[:, None], np.float32([10, 12, 20, 24]) + 40 * who[:, None], np.nan).astype(np.float32)
    return Detections(
        aus, frames + 1, times[frames], found, confidence, boxes, np.zeros((len(rows), 68, 2), np.float32),
        {"anet": scores / 2, "hybrid": scores}, (scores + 2) / 6, face_ids=who,
    )  # fmt: skip


def faces(detections, source):
    """The rows' frames, with their pictures."""
    pictures = {frame.number: frame for frame in read_pictures(source)}
    blank = np.zeros((8, 8, 3), np.uint8), np.zeros((49, 2), np.float32), None
    return [
        RegisteredFace(int(n), float(t), pictures[int(n)].image, *blank, person=int(p))
        for n, t, p in zip(detections.frames, detections.timestamps, detections.people, strict=True)
    ]


def written(path, source, detections=None, **options):
    detections = table() if detections is None else detections
    with PageWriter(path, source, **options) as page:
        page.write(detections, faces(detections, source))
    return page


def content(path):
    """The page's text, its data, and the bytes of the video that it holds, if any."""
    text = path.read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    held = re.search(r'id="bytes" data-type="([^"]*)">(.*?)</script>', text, re.S)
    return text, data, held and (held[1], base64.b64decode(held[2]))


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_a_small_video_that_browsers_play_is_held_to_the_byte(tmp_path):
    video = clip(tmp_path / "clip.mp4")
    page = written(tmp_path / "clip.html", video)
    text, _, held = content(tmp_path / "clip.html")
    assert held == ("video/mp4", video.read_bytes())
    assert page.words == f"This page holds the video ({video.stat().st_size / 1e6:.1f} MB; the recording itself)."
    assert page.words in text and not video_beside(tmp_path / "clip.html").exists()
    # Nothing else is fetched, from nowhere.
    assert "default-src 'none'" in text and "media-src blob:" in text
    assert re.findall(r'(?:src|href)="(?!blob:)([^"]*)"', text) == []


def test_a_large_video_is_linked_by_its_place_beside_the_page(tmp_path):
    (tmp_path / "my clips").mkdir()
    (tmp_path / "pages").mkdir()
    video = clip(tmp_path / "my clips" / "a #1.mp4")
    page = written(tmp_path / "pages" / "a.html", video, embedded=100)
    text, _, held = content(tmp_path / "pages" / "a.html")
    assert held is None and 'src="../my%20clips/a%20%231.mp4"' in text
    assert "../my clips/a #1.mp4: keep both as they lie" in page.words
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a.html"]


@pytest.mark.parametrize("embedded", [10**7, 100])
def test_frames_of_a_folder_become_a_video_with_their_times(tmp_path, embedded):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 6):
        Image.fromarray(np.full((48, 60 + 4 * (number == 3), 3), 30 * number, np.uint8)).save(folder / f"{number}.png")
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.5])
    page = written(tmp_path / "f.html", folder, table(people=(0,), times=times), embedded=embedded)
    assert "coded anew for browsers, since it is a folder of frames" in page.words
    text, data, held = content(tmp_path / "f.html")
    made = video_beside(tmp_path / "f.html")
    assert made.exists() == (embedded == 100) == (f'src="{made.name}"' in text)
    if held:
        made.write_bytes(held[1])
    found = list(read_pictures(made))
    np.testing.assert_allclose([frame.timestamp for frame in found], times, atol=1e-3)
    assert [round(frame.image.mean() / 30) for frame in found] == [1, 2, 3, 4, 5]
    assert found[2].image.shape == (48, 60, 3) and data["offset"] == 0


def test_a_turned_or_old_video_is_coded_anew_and_a_large_one_smaller(tmp_path):
    video = clip(tmp_path / "clip.mp4")
    assert "since its picture was turned" in written(tmp_path / "a.html", video, rotate=90).words
    picture = np.zeros((30, 2560, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "1.png")
    (tmp_path / "wide").mkdir()
    (tmp_path / "1.png").rename(tmp_path / "wide" / "1.png")
    written(tmp_path / "w.html", tmp_path / "wide", table(people=(0,), times=np.zeros(1)), embedded=0)
    assert probe(video_beside(tmp_path / "w.html")).width == 1280
    assert 'viewBox="0 0 2560 30"' in (tmp_path / "w.html").read_text()  # boxes are in the pixels of the table


def test_numbers_of_each_person_are_those_of_the_table():
    data = page_data(table(), EventRules())
    np.testing.assert_allclose(unpacked(data["times"], "<i4") / 1e4, TIMES, atol=1e-4)
    assert unpacked(data["numbers"], "<i4").tolist() == list(range(1, FRAMES + 1))
    one, other = data["people"]
    assert (one["id"], one["first"], one["last"], other["id"], other["first"]) == (0, 0, 29, 1, 15)
    rows = unpacked(one["rows"], "<i4")
    assert rows.tolist() == [f for f in range(FRAMES) if not 10 <= f < 13]
    score = unpacked(one["scores"][1], "<i2").reshape(-1, 2)
    assert score[0].tolist() == [2000, -1000] and score[5].tolist() == [-1000, 2000]
    assert unpacked(other["scores"][1], "<i2")[:2].tolist() == [-2000, 4000]
    assert unpacked(one["probability"], "<i2")[:2].tolist() == [667, 167] and one["intensity"] == ""
    confidence = unpacked(one["confidence"], "u1")
    assert confidence[rows == 20].tolist() == [70] and confidence[0] == 95
    assert unpacked(other["boxes"], "<i2")[:4].tolist() == [50, 52, 60, 64]


def test_events_are_those_of_the_rules():
    rules = EventRules(min_gap=0.0, min_length=0.0)
    events = page_data(table(people=(0,)), rules)["people"][0]["events"]
    of_six = [event for event in events if event[0] == 0]
    assert [round(event[1], 2) for event in of_six] == [0.0, round(TIMES[13], 2), round(TIMES[20], 2)]
    assert of_six[0][2] == pytest.approx(TIMES[5], abs=1e-3) and of_six[0][3] == "0.67"
    assert len(page_data(table(people=(0,)), EventRules(min_length=9))["people"][0]["events"]) == 0


def test_scores_that_are_unknown_or_huge_stay_in_their_range():
    detections = table(people=(0,))
    detections.scores["hybrid"][0] = [np.inf, 99.0]
    score = unpacked(page_data(detections, EventRules())["people"][0]["scores"][1], "<i2")
    assert score[:2].tolist() == [-32768, 32767]


def test_names_are_no_markup(tmp_path):
    video = clip(tmp_path / "<b>&clip's.mp4")
    written(tmp_path / "a.html", video, cautions=["<script>alert(1)</script> is a run"])
    text, _, _ = content(tmp_path / "a.html")
    assert "<b>&clip" not in text and "<script>alert" not in text
    assert "&lt;b&gt;&amp;clip&#39;s.mp4" in text and "&lt;script&gt;alert(1)" in text


def test_a_video_without_any_face_has_a_page_all_the_same(tmp_path):
    video = clip(tmp_path / "clip.mp4")
    detections = table(people=(0,))
    detections.success[:] = False
    written(tmp_path / "a.html", video, detections)
    text, data, _ = content(tmp_path / "a.html")
    assert data["people"] == [] and "30 frames in 1.6 s, 0 with a face" in text


def test_nothing_is_written_for_a_video_that_fails_midway(tmp_path):
    video = clip(tmp_path / "clip.mp4")
    (tmp_path / "a.html").write_text("of before")
    with pytest.raises(RuntimeError), PageWriter(tmp_path / "a.html", video, rotate=180) as page:
        page.write(table(), faces(table(), video))
        raise RuntimeError
    assert (tmp_path / "a.html").read_text() == "of before" and not video_beside(tmp_path / "a.html").exists()
    with pytest.raises(DataError), PageWriter(tmp_path / "b.html", tmp_path / "absent.mp4"):
        pass


def test_the_list_of_many_videos_links_their_pages(tmp_path):
    rows = [
        {"video": "anna/T 1", "state": "done", "frames": 20, "faces": 10, "median_confidence": 0.931, "AU12": 25.0,
         "notes": "<dark>"},
        {"video": "b", "state": "failed", "problem": "b.mp4 is empty"},
    ]  # fmt: skip
    write_index(tmp_path / "index.html", rows, {"anna/T 1": tmp_path / "anna" / "T 1.html"})
    text = (tmp_path / "index.html").read_text()
    assert re.findall(r'<a href="([^"]*)">', text) == ["anna/T%201.html"]
    for cell in ("<td>50.0 %</td>", "<td>0.93</td>", "<td>25.0</td>", "&lt;dark&gt;", "b.mp4 is empty"):
        assert cell in text
