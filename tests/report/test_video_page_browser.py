"""The page of a video in Chromium: player and timelines show the same frame, also at a variable rate; keys, people, dark mode."""

import io
import re
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from .test_video_page import FRAMES, TIMES, clip, faces, table, written  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser):
    """Opens a page and yields a function of (path, width, scheme); what goes wrong in it fails the test at the end."""
    complaints, contexts, pages = [], [], set()

    def open_page(path, width=1280, scheme="light", ready=True):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme))
        page = contexts[-1].new_page()
        pages.add(path.as_uri())
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if _outside(request.url) else None)
        page.goto(path.as_uri())
        if ready:
            until(page, "document.getElementById('video').readyState >= 2")
        return page

    def _outside(url):
        return not url.startswith(("data:", "blob:")) and not url.startswith("file://")

    yield open_page
    for context in contexts:
        context.close()
    # What the tests themselves do: they read pixels, and one takes the video away.
    own = ("willReadFrequently", "net::ERR_FILE_NOT_FOUND")
    assert [complaint for complaint in complaints if not any(word in complaint for word in own)] == []


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    written(folder / "clip.html", clip(folder / "clip.mp4"), cautions=["the run is of synthetic faces"])
    return folder / "clip.html"


def until(page, holds):
    """Waits; the page allows no script that a test could wait with in it."""
    for _ in range(600):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"half a minute passed without {holds}")


def level(page):
    """The mean grey of the picture's middle, as the screen shows it."""
    until(page, "!document.getElementById('video').seeking")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.locator("#video").bounding_box()
    shot = page.screenshot(clip={"x": box["x"] + box["width"] * 0.4, "y": box["y"] + 5, "width": 12, "height": 12})
    return float(np.asarray(Image.open(io.BytesIO(shot)).convert("L")).mean())


def shown_frame(page):
    """The frame that the picture is of, by its grey."""
    return round((level(page) - 20) / 7)


def told_frame(page):
    return int(re.search(r"frame (\d+)", page.inner_text("#where"))[1]) - 1


def both(page):
    """Frame in the picture, frame in the text, and the time at which the timelines have their mark."""
    at = float(page.evaluate("document.getElementById('lines').style.getPropertyValue('--at')"))
    end = TIMES[-1] + np.median(np.diff(TIMES))
    return shown_frame(page), told_frame(page), round(at * end, 3)


def test_every_frame_is_shown_where_the_timelines_have_their_mark(opened, page_file):
    page = opened(page_file)
    page.keyboard.press("b")  # boxes off
    assert both(page) == (0, 0, 0.0)
    for frame in range(1, FRAMES):
        page.keyboard.press("ArrowRight")
        assert both(page) == (frame, frame, pytest.approx(TIMES[frame], abs=2e-3))
    page.keyboard.press("ArrowRight")  # nothing is behind the last
    assert both(page)[:2] == (FRAMES - 1,) * 2
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    assert both(page)[:2] == (FRAMES - 8,) * 2
    page.keyboard.press("Home")
    assert both(page)[:2] == (0, 0)
    page.keyboard.press("Shift+ArrowRight")  # a second
    frame = int(np.argmin(np.abs(TIMES - 1)))
    assert both(page)[:2] == (frame, frame)


def test_playing_moves_the_mark_and_it_stands_on_the_shown_frame_when_paused(opened, page_file):
    page = opened(page_file)
    page.keyboard.press("b")
    page.select_option("#speed", "0.5")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    until(page, "Number(document.getElementById('axis').getAttribute('aria-valuenow')) > 8")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press("Space")
    assert page.inner_text("#play") == "Play"
    shown, told, _ = both(page)
    assert shown == told > 7
    page.keyboard.press("Space")
    until(page, "document.getElementById('video').ended")
    assert told_frame(page) == FRAMES - 1
    page.keyboard.press("Space")  # from the start again
    until(page, "Number(document.getElementById('axis').getAttribute('aria-valuenow')) < 29")
    page.keyboard.press("Space")


def test_events_are_jumped_to_of_all_aus_or_the_chosen_one(opened, page_file):
    page = opened(page_file)
    starts = {"6": [0, 20], "12": [5, 25]}  # of face 0; 13 to 20 has a gap that is closed
    rows = page.locator("#events tr")
    listed = [(row.split("\t")[0], row.split("\t")[1]) for row in rows.all_inner_texts()]
    assert {au for au, _ in listed} == {"AU 6", "AU 12"}
    onsets = sorted({float(time) for _, time in listed})
    for onset in onsets[1:]:
        page.keyboard.press("n")
        assert TIMES[told_frame(page)] == pytest.approx(onset, abs=6e-3)
    page.keyboard.press("p")
    assert TIMES[told_frame(page)] == pytest.approx(onsets[-2], abs=6e-3)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator("tr.chosen th").inner_text().startswith("AU 12")
    assert all(text.startswith("AU 12") for text in rows.all_inner_texts())
    page.keyboard.press("n")
    assert told_frame(page) == starts["12"][0]
    page.keyboard.press("Escape")
    assert page.locator("tr.chosen").count() == 0
    # Each is a button as well.
    rows.last.locator("button").click()
    assert TIMES[told_frame(page)] == pytest.approx(onsets[-1], abs=6e-3)
    assert rows.last.evaluate("row => row.classList.contains('now')")


def test_people_have_their_own_lines_and_boxes(opened, page_file):
    page = opened(page_file)
    assert page.inner_text("#where").startswith("face 0, frame 1")
    assert page.locator("#boxes g").count() == 1 and page.text_content("#boxes text") == "face 0"
    values = page.locator("tr.au").first.locator(".value").all_inner_texts()
    assert values == ["+1.00", "+2.00", "0.67"]
    assert page.locator("tr.au").first.evaluate("row => row.classList.contains('on')")
    page.keyboard.press("f")  # face 1 comes later: the page goes there
    assert page.inner_text("#where").startswith("face 1, frame 16") and page.input_value("#person") == "1"
    assert page.locator("#boxes g").count() == 2 and page.locator("#boxes g.chosen text").text_content() == "face 1"
    box = page.locator("#boxes g.chosen rect").first.evaluate(
        "box => ['x','y','width','height'].map(k => +box.getAttribute(k))"
    )
    assert box == [50, 52, 60, 64]
    page.select_option("#person", "0")
    page.evaluate("document.activeElement.blur()")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#where") == "face 0, frame 12, 0.590 s, no face"


def pixels(page, row, frame):
    """Colours of a timeline's pixels at a frame."""
    end = TIMES[-1] + np.median(np.diff(TIMES))
    return np.array(
        page.locator("tr.au canvas").nth(row).evaluate(
            "(canvas, at) => [...canvas.getContext('2d').getImageData(Math.round(at * canvas.width), 0, 1, canvas.height).data]",
            (TIMES[frame] + 0.02) / end,
        )
    ).reshape(-1, 4)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_doubt_is_shaded_absence_hatched_and_what_is_drawn_follows_the_scheme(opened, page_file, scheme):
    page = opened(page_file, scheme=scheme)
    sure, doubtful, absent = (pixels(page, 0, frame) for frame in (7, 20, 11))
    assert (doubtful[:, 3] > 60).mean() > 0.9 and (sure[:, 3] > 60).mean() < 0.5
    # Grey lines, none of them from top to bottom.
    assert 0 < (absent[:, 3] > 60).mean() < 0.6
    present = pixels(page, 0, 2)
    assert (present[:4, 3] > 200).all() and (sure[:4, 3] < 60).all()  # an event's bar
    back, text = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (back, text)]
    assert (brightness[0] > 220 > 60 > brightness[1]) == (scheme == "light")


@pytest.mark.parametrize("width", [1280, 360])
def test_it_fits_every_width_and_the_picture_keeps_its_shape(opened, page_file, width):
    page = opened(page_file, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#video").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(96 / 64, rel=0.01)
    assert page.locator("#boxes").bounding_box() == pytest.approx(box, abs=1)
    graph = page.locator("tr.au canvas").first.bounding_box()
    assert graph["width"] > 100


def test_it_is_worked_by_the_keyboard_and_controls_keep_their_own_keys(opened, page_file):
    page = opened(page_file)
    met = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        met.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"play", "back", "on", "earlier", "later", "speed", "span", "measure", "person", "frames", "axis"} <= set(
        met
    )
    page.focus("#on")
    page.keyboard.press("Space")  # presses the button, does not play
    assert told_frame(page) == 1 and page.evaluate("document.getElementById('video').paused")
    page.focus("#speed")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#speed") == "2" and told_frame(page) == 1
    page.select_option("#measure", "probability")
    assert page.is_visible("li.probability") and not page.is_visible("li.score >> nth=0")
    page.locator("tr.au canvas").first.click(position={"x": 200, "y": 10})
    width = page.locator("tr.au canvas").first.bounding_box()["width"]
    end = TIMES[-1] + np.median(np.diff(TIMES))
    assert TIMES[told_frame(page)] <= 200 / width * end < TIMES[told_frame(page)] + 0.1


def test_a_linked_video_plays_from_the_disk_and_a_lost_one_is_told(opened, tmp_path):
    video = clip(tmp_path / "a #1.mp4")
    written(tmp_path / "linked.html", video, embedded=100)
    page = opened(tmp_path / "linked.html")
    page.keyboard.press("b")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert both(page)[:2] == (5, 5)
    video.rename(tmp_path / "elsewhere.mp4")
    other = opened(tmp_path / "linked.html", ready=False)
    other.wait_for_selector("#broken", state="visible")
    assert "a #1.mp4" in other.inner_text("#broken")
    other.keyboard.press("ArrowRight")
    assert told_frame(other) == 1  # the timelines are read without it


def test_a_video_that_begins_after_its_sound_is_in_step(opened, tmp_path):
    """V4 of the cases: the table's times are the player's, and the first frame is later than 0."""
    path = tmp_path / "late.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"crf": "10"}
        sound = container.add_stream("aac", rate=8000)
        for number in range(10):
            image = np.full((64, 96, 3), 20 + 7 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709"
            )
            frame.pts, frame.time_base = number + 20, Fraction(1, 25)
            container.mux(stream.encode(frame))
        for start in range(0, 16000, 1024):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts, quiet.time_base = 8000, start, Fraction(1, 8000)
            container.mux(sound.encode(quiet))
        for part in (stream, sound):
            container.mux(part.encode(None))
    from au_jax.faces.decoding import read_video

    times = np.array([frame.timestamp for frame in read_video(path)])
    assert times[0] == pytest.approx(0.8, abs=0.15)
    for name, shift in (("player", 0.0), ("first_frame", times[0])):
        detections = table(people=(0,), times=times - shift)
        written(tmp_path / f"{name}.html", path, detections)
        page = opened(tmp_path / f"{name}.html")
        page.keyboard.press("b")
        for frame in range(1, 10):
            page.keyboard.press("ArrowRight")
            assert shown_frame(page) == told_frame(page) == frame
    assert faces(detections, path)
