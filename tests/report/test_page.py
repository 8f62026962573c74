"""The page of a run: complete for any part of a run, self-contained, safe and the same at every repetition."""

import base64
import hashlib
import html.parser
import io
import json
import re
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from au_jax import files
from au_jax.errors import UserError
from au_jax.report import page, style
from au_jax.report.page import save_figure, write_report

ALL = {
    "f1_frame",
    "precision_recall",
    "cooccurrence",
    "curves_hybrid_lstm",
    "curves_hybrid_fusion",
    "timeline",
    "contact_sheet",
}


class Page(html.parser.HTMLParser):
    """What the tests look at: every start tag, the words, and the cells of the first table."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.tables = 0
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.tables += tag == "table"
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)
        if tag == "tr" and self.tables == 1:
            self.rows.append([])
        if tag in ("td", "th") and self.tables == 1:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.words.append(data)
        if self.tables == 1 and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += ("*" if "strong" in self.open else " ") + data

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes.get(name) for found, attributes in self.tags if found == tag]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn_faces, run_maker):
    """The report of three systems and folds, in which AU 15 never occurs."""
    workdir = tmp_path_factory.mktemp("run")
    made = run_maker(workdir, drawn_faces, absent=(8,))
    write_report(workdir, **made)
    return workdir, made, Page((workdir / "report.html").read_text())


def test_all_pictures_are_drawn_and_none_is_blank(whole):
    workdir, _, _ = whole
    assert {path.stem for path in (workdir / "figures").glob("*.png")} == ALL
    for name in ALL:
        pixels = np.asarray(Image.open(workdir / "figures" / f"{name}.png").convert("L"))
        assert pixels.shape[1] == 1500
        assert 0.01 < (pixels < 200).mean() < 0.95, name
        # Nothing touches the edge, where it would be cut off.
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (edge > 250).all(), name


def test_page_holds_the_pictures_of_the_folder_with_alt_texts(whole):
    workdir, _, parsed = whole
    inside = {base64.b64decode(source.partition("base64,")[2]) for source in parsed.attributes("img", "src")}
    charts = {"f1_frame", "precision_recall", "curves_hybrid_lstm", "curves_hybrid_fusion", "timeline"}
    assert inside == {(workdir / "figures" / f"{name}.png").read_bytes() for name in ALL - charts}
    widths = [Image.open(io.BytesIO(png)).size[0] for png in inside]
    assert {int(width) for width in parsed.attributes("img", "width")} == set(widths)
    assert parsed.attributes("svg", "class").count("drawing") == len(charts)
    words = parsed.attributes("img", "alt") + [
        attributes["aria-label"] for tag, attributes in parsed.tags if attributes.get("role") == "img"
    ]
    assert len(words) == len(ALL) and all(len(text) > 40 for text in words)


def test_page_refers_to_nothing_outside_and_runs_its_own_script_only(whole):
    workdir, _, parsed = whole
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "href", "action", "data", "poster"):
                assert tag != "script" and value.startswith(("data:image/png;base64,", "#")), value[:60]
    text = (workdir / "report.html").read_text()
    assert not re.search(r"https?:|url\((?!#)|@import", text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = parsed.attributes("meta", "content")[2]
    assert len(scripts) == 1 and policy.endswith(f"script-src 'sha256-{digest}'")


def test_confusion_has_the_counts_of_the_results_with_their_share_of_the_same_truth(whole):
    _, made, parsed = whole
    spans = [attributes for tag, attributes in parsed.tags if attributes.get("class") in ("TP", "FN", "FP", "TN")]
    assert len(spans) == 12 * 3 * 4
    # The third system's counts of AU 12, the seventh AU.
    counts = made["results"]["systems"]["hybrid"]["counts"]["12"]
    tp, fn, fp, tn = (counts[name] for name in ("tp", "fn", "fp", "tn"))
    shares = [tp / (tp + fn), fn / (tp + fn), fp / (fp + tn), tn / (fp + tn)]
    found = spans[(6 * 3 + 2) * 4 :][:4]
    assert [span["style"] for span in found] == [f"--share: {100 * share:.0f}%" for share in shares]
    words = " ".join(" ".join(parsed.words).split())
    assert f"TP {tp:,} FN {fn:,} FP {fp:,} TN {tn:,}" in words


def test_viewer_holds_every_score_and_label_of_its_videos_and_the_pictures_of_its_stops(whole):
    workdir, made, _ = whole
    text = (workdir / "report.html").read_text()
    data = json.loads(re.search(r'id="viewer-data">(.*?)</script>', text, re.DOTALL)[1])
    assert data == files.read_json(workdir / "figures" / "viewer.json")
    assert [system["name"] for system in data["systems"]] == ["HOG+SVM", "ANet", "Hybrid"]
    assert len(data["videos"]) == 6 and len({video["key"].split("/")[0] for video in data["videos"]}) == 6
    video = data["videos"][3]
    fold = next(path for path in workdir.glob("fold_*/scores/anet.npz") if f"{video['key']}/scores" in np.load(path))
    saved = np.load(fold)
    np.testing.assert_allclose(np.array(video["scores"][1]).T, saved[f"{video['key']}/scores"], rtol=5e-3)
    codes = np.array([["-?+".index(code) - 1 for code in column] for column in video["truth"]]).T
    np.testing.assert_array_equal(codes, saved[f"{video['key']}/labels"])
    assert video["frames"] == list(range(1, 41)) and video["stops"] == list(range(40))
    # The grey of a drawn face's corner is three times its row within the subject.
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(video["pictures"][21]))))
    row = 21 + 40 * video["key"].endswith("T2")
    assert picture.shape == (24, 24, 3) and abs(int(picture[0, 0, 1]) - 3 * row) <= 2


def test_links_and_labels_within_the_page_lead_somewhere(whole):
    _, _, parsed = whole
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for value in parsed.attributes("a", "href")}
    targets |= {
        value for tag, attributes in parsed.tags for name, value in attributes.items() if name == "aria-labelledby"
    }
    assert targets and targets <= set(ids)
    assert parsed.open == []


def test_headline_table_shows_figures_best_in_bold_and_a_dash_where_undefined(whole):
    _, made, parsed = whole
    assert [cell.strip() for cell in parsed.rows[0]] == ["Action unit", "always present", "HOG+SVM", "ANet", "Hybrid"]
    rows = {row[0].split()[1] if row[0].split()[0] == "AU" else row[0].split()[0]: row[1:] for row in parsed.rows[1:]}
    assert len(rows) == 13
    assert [cell.strip() for cell in rows["15"]] == ["–"] * 4
    hybrid = made["results"]["systems"]["hybrid"]
    low, high = hybrid["intervals"]["f1_frame"]["12"]
    assert rows["12"][3] == f"*{hybrid['f1_frame']['12']:.1f} {low:.1f} to {high:.1f}"
    assert rows["Average"][3].startswith(f"*{hybrid['f1_frame']['average']:.1f}")
    assert "*" not in "".join(rows["Average"][:3])


def test_page_names_protocol_costs_config_and_versions(whole):
    _, made, parsed = whole
    words = " ".join(" ".join(parsed.words).split())
    assert made["results"]["split"] in words
    assert "cnn.batch_size 196" in words
    assert "hybrid/score 3 15.0 902" in words
    assert "Test S01, S04, S07" in words
    assert re.search(r"jax \d+\.\d+", words)


def test_same_inputs_give_the_same_bytes(whole):
    workdir, made, _ = whole
    assert {path.suffix for path in (workdir / "figures").iterdir()} == {".png", ".svg", ".json"}
    before = {path.name: path.read_bytes() for path in [*(workdir / "figures").iterdir(), workdir / "report.html"]}
    write_report(workdir, **made)
    assert before == {
        path.name: path.read_bytes() for path in [*(workdir / "figures").iterdir(), workdir / "report.html"]
    }


@pytest.mark.parametrize(
    ("systems", "finished", "curves"),
    [(("hog_svm",), (1,), 0), (("anet",), (0, 2), 1), (("hog_svm", "wavelets"), (0,), 0)],
)
def test_any_systems_and_folds_make_a_report(tmp_path, drawn_faces, run_maker, systems, finished, curves):
    made = run_maker(tmp_path, drawn_faces, systems, finished, epochs=1)
    if not curves:
        # Nor are logs and costs needed.
        shutil.rmtree(tmp_path / "logs")
        (tmp_path / "costs.json").unlink()
    write_report(tmp_path, **made)
    parsed = Page((tmp_path / "report.html").read_text())
    assert len(list((tmp_path / "figures").glob("curves_*.png"))) == curves
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} >= {"f1_frame", "timeline", "contact_sheet"}
    assert ("#curves" in parsed.attributes("a", "href")) == bool(curves)
    assert len(parsed.rows[0]) == 2 + len(systems)
    words = " ".join(" ".join(parsed.words).split())
    assert f"{len(finished)} of 3 folds" in words
    assert words.count("(not finished)") == 3 - len(finished)
    assert ("wavelets" in words) == ("wavelets" in systems)


def test_names_of_subjects_are_text_and_no_markup(tmp_path, faces_maker, run_maker, draw_only):
    draw_only("timeline", "contact_sheet")  # those that have names
    names = ("<b>", "a&b", '"><img src=x>', "$x^2$", "被験者", "S6")
    faces = faces_maker(tmp_path / "faces", names, videos=1, frames=30)
    write_report(tmp_path / "run", **run_maker(tmp_path / "run", faces))
    parsed = Page((tmp_path / "run" / "report.html").read_text())
    words = " ".join(parsed.words)
    assert all(name in words for name in names)
    assert "b" not in {tag for tag, _ in parsed.tags}
    assert all(source.startswith("data:") for source in parsed.attributes("img", "src"))


def test_undefined_everywhere_is_said_and_not_hidden(tmp_path, drawn_faces, run_maker):
    write_report(tmp_path, **run_maker(tmp_path, drawn_faces, ("anet",), (0,), absent=tuple(range(12))))
    parsed = Page((tmp_path / "report.html").read_text())
    words = " ".join(" ".join(parsed.words).split())
    assert "F1-frame is undefined" in words
    assert "nan" not in words.lower().split()
    assert all([cell.strip() for cell in row[1:]] == ["–", "–"] for row in parsed.rows[1:])


def test_a_damaged_score_file_is_named_and_the_tables_stay(tmp_path, drawn_faces, run_maker):
    made = run_maker(tmp_path, drawn_faces, ("anet", "hybrid"))
    shutil.rmtree(tmp_path / "logs")
    damaged = tmp_path / "fold_01" / "scores" / "hybrid.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(
        UserError,
        match=r"precision_recall, cooccurrence, timeline, contact_sheet, viewer could not .*fold_01/scores/hybrid.npz",
    ):
        write_report(tmp_path, **made)
    text = (tmp_path / "report.html").read_text()
    assert text.count("This picture could not be drawn") == 4
    assert text.count("The viewer could not be filled") == 1 and "<script" not in text
    assert f"{made['results']['systems']['hybrid']['f1_frame']['average']:.1f}" in text


def test_an_error_while_drawing_is_raised_after_the_page_is_written(
    tmp_path, drawn_faces, run_maker, monkeypatch, draw_only
):
    draw_only("f1_frame", "contact_sheet")

    def fail(run):
        raise ZeroDivisionError("no ink")

    made = run_maker(tmp_path, drawn_faces, ("hog_svm",), (0,))
    monkeypatch.setattr(page, "draw_au_scores", fail)
    with pytest.raises(RuntimeError, match="f1_frame could not be drawn .no ink"):
        write_report(tmp_path, **made)
    assert "no ink" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "contact_sheet.png").exists()


def test_figures_that_commands_left_are_shown_with_their_words(tmp_path, drawn_faces, run_maker, draw_only):
    draw_only("f1_frame", "contact_sheet")
    made = run_maker(tmp_path, drawn_faces, ("hog_svm",), (0,))
    write_report(tmp_path, **made)
    files.write_json(tmp_path / "config.json", json.loads(made["config"].to_json_best_effort()))
    before = (tmp_path / "report.html").read_text()
    assert "The paper's figures" not in before

    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2])
    drawing = style.Drawing(figure, "A line – it rises.", "Read it from <left> to right.")
    tables = {"": [{"x": 1, "y": 0.1234567}, {"x": 2, "y": float("nan")}], "more": []}
    save_figure(tmp_path / "figures", "fig9", drawing, tables, tmp_path)
    assert (tmp_path / "figures" / "fig9.csv").read_text() == "x,y\n1,0.123457\n2,\n"
    assert (tmp_path / "figures" / "fig9.svg").read_bytes().startswith(b"<?xml")
    after = (tmp_path / "report.html").read_text()
    parsed = Page(after)
    assert "A line – it rises." in parsed.attributes("img", "alt")
    assert "Read it from <left> to right." in " ".join(parsed.words)
    # All else is as it was.
    section = after[after.index('<section aria-labelledby="paper">') :]
    section = section[: section.index("</section>") + len("</section>")]
    link = '<li><a href="#paper">The paper\'s figures</a></li>\n'
    assert after.replace(section, "").replace(link, "").split() == before.split()
    # A figure that is written elsewhere changes no page.
    save_figure(tmp_path / "elsewhere", "fig8", drawing, {}, tmp_path)
    assert (tmp_path / "report.html").read_text() == after


@pytest.mark.parametrize(
    "aus", [(12,), tuple(range(1, 26)), pytest.param((1, 2, 4, 6, 12, 25, 26), marks=pytest.mark.slow)]
)
def test_runs_of_any_aus_make_a_whole_report(tmp_path, faces_maker, run_maker, aus):
    faces = faces_maker(tmp_path / "faces", tuple(f"S{n}" for n in range(6)), videos=1, frames=40, aus=aus)
    write_report(tmp_path / "run", **run_maker(tmp_path / "run", faces))
    for name in ALL:
        pixels = np.asarray(Image.open(tmp_path / "run" / "figures" / f"{name}.png").convert("L"))
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (edge > 250).all(), name
    parsed = Page((tmp_path / "run" / "report.html").read_text())
    heads = [row[0].split()[:2] for row in parsed.rows[1:-1]]
    assert heads == [["AU", str(au)] for au in aus]
    words = " ".join(" ".join(parsed.words).split())
    assert f"This run finds {len(aus)} action unit{'s' * (len(aus) > 1)} (AUs" in words
    video = files.read_json(tmp_path / "run" / "figures" / "viewer.json")["videos"][0]
    assert len(video["truth"]) == len(video["scores"][0]) == len(aus)
    alts = " ".join(value or "" for value in parsed.attributes("img", "alt"))
    assert ("each with AU 12 below it" if len(aus) == 1 else f"each with the {len(aus)} AUs below it") in alts
