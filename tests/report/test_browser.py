"""The page in a real browser: no errors, no network, keyboard, narrow screens, dark mode. Skipped where there is none."""

import json
import re

import pytest

from au_jax.report.page import write_report

SECTIONS = {"results", "confusion", "curves", "video", "frames", "protocol", "costs", "config", "environment"}


@pytest.fixture(scope="module")
def report(tmp_path_factory, faces_maker, run_maker):
    """A report with a name that would break a page that took it for markup."""
    folder = tmp_path_factory.mktemp("browser")
    faces = faces_maker(folder / "faces", ("</script><b>", *(f"S{number}" for number in range(1, 7))), 1, 100)
    write_report(folder, **run_maker(folder, faces))
    return folder / "report.html"


@pytest.fixture
def opened(browser, report):
    """Opens the page and yields a function of (width, scheme); what goes wrong in it fails the test at the end."""
    complaints, contexts = [], []

    def open_page(width=1280, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _inside(request.url) else None)
        page.goto(report.as_uri())
        return page

    def _inside(url):
        return url.startswith("data:") or url == report.as_uri()

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_page_fits_every_width_and_shows_all_its_sections(opened, width, scheme):
    page = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {heading.get_attribute("id") for heading in page.query_selector_all("h2")} >= SECTIONS
    for section in page.query_selector_all("section"):
        assert section.bounding_box()["width"] <= width
    # Tables and pictures that are wider scroll inside themselves, and do so for the keyboard as well.
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth)"
        ".map((box) => [box.tabIndex, getComputedStyle(box).overflowX])"
    )
    assert all(entry == [0, "auto"] for entry in wide) and (len(wide) > 5 or width == 1280)


def test_dark_page_has_light_letters_and_drawings_follow(opened):
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(1280, scheme)
        colours[scheme] = [
            page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).{field}")
            for selector, field in (
                ("body", "backgroundColor"),
                ("body", "color"),
                ("#f1_frame .drawing text", "fill"),
                ("#f1_frame .drawing path", "fill"),
            )
        ]
    light, dark = ([_brightness(colour) for colour in colours[scheme]] for scheme in ("light", "dark"))
    assert light[0] > 240 and light[1] < 40 and light[2] < 40 and light[3] > 240
    assert dark[0] < 40 and dark[1] > 220 and dark[2] > 220 and dark[3] < 40


def _brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_viewer_is_worked_by_the_keyboard_alone(opened, report):
    page = opened()
    data = json.loads((report.parent / "figures" / "viewer.json").read_text())
    video = data["videos"][0]
    for _ in range(60):
        page.keyboard.press("Tab")
        # What has the focus is seen to have it.
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("document.activeElement.id") == "frame-slider":
            break
    else:
        raise AssertionError("the slider is not among the first 60 stops of the Tab key")
    assert page.inner_text(".where") == f"{video['key']}, frame 1"
    first = page.get_attribute(".face img", "src")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    stop = video["stops"][12]
    assert page.inner_text(".where") == f"{video['key']}, frame {video['frames'][stop]}"
    assert page.get_attribute(".face img", "src") == f"data:image/jpeg;base64,{video['pictures'][12]}" != first
    assert page.evaluate("document.querySelector('.face img').naturalWidth") == 24
    for au in (0, 11):
        row = page.locator("#viewer tbody tr").nth(au)
        code = video["truth"][au][stop]
        assert row.locator(".truth").inner_text() == {"+": "present", "-": "absent", "?": "no label"}[code]
        for system in range(3):
            score, cell = video["scores"][system][au][stop], row.locator(".score").nth(system)
            mark = "" if code == "?" else "✓" if (score > 0) == (code == "+") else "✗"
            assert cell.locator("span").nth(1).inner_text() == mark
            shown = float(cell.locator("span").nth(0).inner_text().replace("−", "-"))
            assert shown == pytest.approx(score, rel=0.06)
    page.keyboard.press("End")
    assert page.inner_text(".where").endswith(f"frame {video['frames'][video['stops'][-1]]}")


def test_another_video_is_chosen_and_plots_are_pointed_at(opened, report):
    page = opened()
    videos = json.loads((report.parent / "figures" / "viewer.json").read_text())["videos"]
    page.select_option("#video-choice", "2")
    assert page.inner_text(".where") == f"{videos[2]['key']}, frame 1"
    plot = page.locator("#viewer .plot svg").nth(4)
    box = plot.bounding_box()
    plot.click(position={"x": 0.5 * box["width"], "y": 5})
    shown = int(page.inner_text(".where").rpartition(" ")[2])
    assert abs(shown - 50) <= 2
    # A name is a name.
    assert "</script><b>" in {page.inner_text(f"#video-choice option:nth-child({n})") for n in range(1, 7)} | {
        cell for cell in page.locator("#protocol ~ details dd").all_inner_texts() for cell in cell.split(", ")
    }


def test_play_shows_frame_after_frame_until_it_is_paused(opened):
    page = opened()
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    for _ in range(100):
        if int(page.input_value("#frame-slider")) >= 3:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("ten seconds of playing did not show three frames")
    page.click("#play")
    assert page.inner_text("#play") == "Play"
    value = page.input_value("#frame-slider")
    page.wait_for_timeout(400)
    assert page.input_value("#frame-slider") == value


def test_page_without_scripts_says_so_and_keeps_the_rest(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.is_visible("noscript p") and not page.is_visible("#viewer")
    assert page.is_visible("#f1_frame .drawing")
    context.close()
