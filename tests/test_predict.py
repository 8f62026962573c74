"""AUs of new videos with a finished run: the command line."""

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("dlib")
pytest.importorskip("av")

from au_jax import files
from au_jax.faces import blazeface
from au_jax.faces.decoding import read_pictures
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.detector import Detector
from au_jax.inference.streaming import predict
from au_jax.predict import cautions, open_detector

FRAMES = 37
EMPTY = slice(20, 23)  # frames in which nobody is there


@pytest.fixture(scope="module")
def clip(tmp_path_factory, scene):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    pictures = scene[0].copy()
    pictures[EMPTY] = 90
    with VideoWriter(path, 25, 240, 240) as writer:
        for row, picture in enumerate(pictures):
            # Every other frame stands longer: the times are the file's, not a rate's.
            writer.write(picture, timestamp=row * 0.04 + (row % 2) * 0.01)
    return path


@pytest.fixture(scope="module")
def table(finished, clip):
    return Detector.from_run(finished).detect(clip)


def test_the_command_writes_table_overlay_plot_and_page(command, finished, clip, table, tmp_path):
    out, overlay, plot, page = (tmp_path / name for name in ("out.csv", "out.mp4", "out.png", "out.html"))
    done = command(
        "au_jax.predict", f"--run={finished}", f"--video={clip}", f"--out={out}", f"--overlay={overlay}", f"--plot={plot}",
        f"--page={page}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES} frames, {FRAMES - 3} with a face" in done.stdout
    with open(out) as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["frame"]) for row in rows] == list(range(1, FRAMES + 1))
    assert [row["success"] for row in rows] == ["1" if found else "0" for found in table.success]
    written = np.array([float(row["AU12_hybrid"]) for row in rows])
    np.testing.assert_allclose(written, table.scores["hybrid"][:, 6], atol=1e-4)
    drawn, plain = list(read_pictures(overlay)), list(read_pictures(clip))
    assert len(drawn) == FRAMES
    np.testing.assert_allclose([p.timestamp for p in drawn], [p.timestamp for p in plain], atol=1e-3)
    # The picture with box and landmarks, and the bars beside it.
    picture, strip = drawn[0].image[:, :240].astype(int), drawn[0].image[:, 240:]
    assert strip.shape == (240, 96, 3) and strip.std() > 20
    assert 0.5 < np.abs(picture - plain[0].image).mean() < 12
    assert Image.open(plot).size[0] > 1000
    held = re.search(r'id="bytes"[^>]*>(.*?)</script>', text := page.read_text(), re.S)
    assert held is not None and base64.b64decode(held[1]) == clip.read_bytes()
    assert f"{FRAMES} frames in " in text and "not valid for real people" in text
    assert f"{page}: This page holds the video" in done.stdout


def test_a_page_never_costs_a_recording(command, finished, clip, tmp_path):
    """Neither the page nor the video that may lie beside it."""
    shutil.copy(clip, mine := tmp_path / "a_video.mp4")
    before = mine.read_bytes()
    for page in (mine, tmp_path / "a.html"):
        done = command(
            "au_jax.predict", f"--run={finished}", f"--video={mine}", f"--out={tmp_path / 'o.csv'}", f"--page={page}"
        )
        assert done.returncode == 1 and "would overwrite --video" in done.stderr and "Traceback" not in done.stderr
    assert mine.read_bytes() == before and not (tmp_path / "o.csv").exists()


def test_several_people_are_reported_in_one_line(command, finished, clip, scene, tmp_path):
    pair, out = tmp_path / "pair.mp4", tmp_path / "out.csv"
    with VideoWriter(pair, 25, 480, 240) as writer:
        for row, picture in enumerate(scene[0][:8]):
            writer.write(np.concatenate([picture, picture], 1), timestamp=row * 0.04)
    done = command(
        "au_jax.predict", f"--run={finished}", f"--video={pair}", f"--out={out}", "--folds=0", "--systems=anet"
    )
    assert done.returncode == 0, done.stderr
    _, line, caution = done.stdout.splitlines()
    assert line.startswith("up to 2 faces in a frame; the largest at first is followed")
    assert caution == f"{finished} was trained on synthetic faces; its AUs are not valid for real people"
    assert len(out.read_text().splitlines()) == 9
    assert predict(Detector.from_run(finished, folds=[0]), clip, out)["together"] == 1


@pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")
def test_everybody_has_a_number_with_the_face_mesh_too(command, finished, scene, tmp_path):
    pair, out, away = tmp_path / "pair.mp4", tmp_path / "out.csv", range(6, 9)
    with VideoWriter(pair, 25, 480, 240) as writer:
        for row, picture in enumerate(scene[0][:16]):
            # Somebody else, mirrored and of another colour, who is away for a moment.
            other = np.full_like(picture, 90) if row in away else picture[:, ::-1, ::-1]
            writer.write(np.concatenate([picture, other], 1), timestamp=row * 0.04)
    done = command(
        "au_jax.predict", f"--run={finished}", f"--video={pair}", f"--out={out}", "--folds=0", "--systems=anet",
        "--faces=all", "--landmarks=mesh",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("2 people: see face_id")
    with open(out) as stream:
        rows = list(csv.DictReader(stream))
    sides = {float(row["x_30"]) > 240: row["face_id"] for row in rows}
    assert sorted(sides.values()) == ["0", "1"] and {row["success"] for row in rows} == {"1"}
    expected = [(frame, side) for frame in range(1, 17) for side in (False, True) if not side or frame - 1 not in away]
    found = sorted((int(row["frame"]), float(row["x_30"]) > 240) for row in rows)
    assert found == expected and all(row["face_id"] == sides[float(row["x_30"]) > 240] for row in rows)
    # dlib's landmarks are whole pixels.
    assert any(float(row["x_30"]) % 1 > 0.01 for row in rows)
    assert all(np.isfinite(float(row["AU12_anet"])) for row in rows)


def test_the_table_goes_down_a_pipe_the_plot_into_a_fifo_and_the_overlay_where_its_link_leads(finished, clip, tmp_path):
    fifo, link, video = tmp_path / "plot", tmp_path / "link.mp4", tmp_path / "overlay.mp4"
    os.mkfifo(fifo)
    link.symlink_to(video)
    drawn = []
    reader = threading.Thread(target=lambda: drawn.append(fifo.read_bytes()), daemon=True)
    reader.start()
    options = [f"--run={finished}", f"--video={clip}", "--out=/dev/stdout", f"--overlay={link}", f"--plot={fifo}"]
    # A process of its own: its standard output is a pipe.
    done = subprocess.run(
        [sys.executable, "-m", "au_jax.predict", *options, "--folds=0", "--systems=anet"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reader.join(10)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["frame"]) for row in rows] == list(range(1, FRAMES + 1))
    assert f"{FRAMES} frames, {FRAMES - 3} with a face" in done.stderr
    assert Image.open(io.BytesIO(drawn[0])).format == "PNG" and fifo.is_fifo()
    assert link.is_symlink() and len(list(read_pictures(video))) == FRAMES


def test_aus_without_codes_are_named_when_all_folds_have_results(finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "results.json"):
        (run / name).write_bytes((finished / name).read_bytes())
    assert len(cautions(run)) == 1  # of the synthetic faces
    results = json.loads((run / "results.json").read_text())
    for au in ("7", "14"):
        results["always_present"]["counts"][au] = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    (run / "results.json").write_text(json.dumps(results))
    _, line = cautions(run)
    assert line.startswith(f"{run} had no codes of AU 7, 14, whose columns mean nothing; leave them out")
    assert line.endswith('--config.data.aus="(1,2,4,6,10,12,15,17,23,24,)"')
    results["folds"]["finished"] = [0]  # of the other folds nobody knows
    (run / "results.json").write_text(json.dumps(results))
    assert len(cautions(run)) == 1


def test_a_mistaken_command_ends_with_one_line_and_a_status(command, tmp_path):
    done = command("au_jax.predict", f"--run={tmp_path}", "--video=clip.mp4", f"--out={tmp_path / 'out.csv'}")
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1 and len(lines) == 1 and "no config.json" in lines[0]
    assert "Traceback" not in done.stderr


def test_many_videos_are_scored_by_one_command_which_goes_on_where_it_stopped(command, finished, clip, scene, tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "tables"
    (clips / "anna" / "001").mkdir(parents=True)
    for number, picture in enumerate(scene[0][:5]):
        Image.fromarray(picture).save(clips / "anna" / "001" / f"frame{number}.png")
    (clips / "broken.mp4").write_bytes(b"no video")
    with VideoWriter(clips / "head.mp4", 25, 240, 240) as video:
        for picture in scene[0][:5]:
            video.write(np.ascontiguousarray(picture[::-1, ::-1]))
    pages = tmp_path / "pages"
    options = [
        f"--run={finished}",
        f"--videos={clips}",
        f"--out={out}",
        f"--page={pages}",
        "--folds=0",
        "--systems=anet",
    ]
    done = command("au_jax.predict", *options)
    assert done.returncode == 1 and "error: 1 of 3 videos failed" in done.stderr
    lines = done.stdout.splitlines()
    table = lines[next(place for place, line in enumerate(lines) if line.startswith("video ")) :]
    assert table[1].split()[:4] == ["anna/001", "done", "5", "100.0"]
    assert table[2].split()[:2] == ["broken", "failed"] and "not a video that can be read" in table[2]
    assert table[3].split()[:2] == ["head", "done"] and "--rotate=180" in table[3]
    with open(out / "anna" / "001.csv") as stream:
        assert [row["frame"] for row in csv.DictReader(stream)] == ["0", "1", "2", "3", "4"]
    with open(out / "summary.csv") as stream:
        rows = {row["video"]: row for row in csv.DictReader(stream)}
    assert rows["anna/001"]["frames"] == "5" and 0 <= float(rows["anna/001"]["AU12"]) <= 100
    listed = (pages / "index.html").read_text()
    assert re.findall('<a href="([^"]*)">', listed) == ["anna/001.html", "head.html"] and "not a video" in listed
    assert "it is a folder of frames" in (pages / "anna" / "001.html").read_text()
    again = command("au_jax.predict", *options)
    assert "done before" in again.stdout and again.stdout.count("of 3:") == 1  # the broken one alone
    assert (pages / "index.html").read_text() == listed.replace("<td>done</td>", "<td>done before</td>")


def test_no_video_of_a_list_is_overwritten_by_what_is_made_of_it(command, finished, clip, tmp_path):
    shutil.copy(clip, mine := tmp_path / "clip.mp4")
    (tmp_path / "list.txt").write_text("clip.mp4")
    before = mine.read_bytes()
    done = command(
        "au_jax.predict", f"--run={finished}", f"--videos={tmp_path / 'list.txt'}", f"--out={tmp_path / 'tables'}",
        f"--overlay={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 1 and "would overwrite" in done.stderr and "Traceback" not in done.stderr
    assert mine.read_bytes() == before and not (tmp_path / "tables").exists()


def test_the_tables_of_many_videos_do_not_lie_among_them(command, finished, tmp_path):
    (tmp_path / "1.mp4").write_bytes(b"no video")
    done = command("au_jax.predict", f"--run={finished}", f"--videos={tmp_path}", f"--out={tmp_path / 'tables'}")
    assert done.returncode == 1 and done.stderr.startswith("error: --out=") and "--videos" in done.stderr


@pytest.mark.parametrize("given", [(), ("--video=a.mp4", "--videos=b")])
def test_either_one_video_or_many_are_named(command, tmp_path, given):
    done = command("au_jax.predict", f"--run={tmp_path}", f"--out={tmp_path / 'out.csv'}", *given)
    assert done.returncode == 1 and "--video" in done.stderr and "Traceback" not in done.stderr


def test_a_rate_for_a_file_with_times_is_refused_in_one_line(command, finished, clip, tmp_path):
    done = command("au_jax.predict", f"--run={finished}", f"--video={clip}", f"--out={tmp_path / 'o.csv'}", "--fps=30")
    assert done.returncode == 1 and "clip.mp4 has times of its own; leave out --fps" in done.stderr
    assert not (tmp_path / "o.csv").exists()


def test_other_landmarks_than_those_of_the_training_are_the_users_own_choice_and_told(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = files.read_json(run / "config.json")
    config["data"].update(source="folder", landmarks="mesh")
    files.write_json(run / "config.json", config)
    given, other = (open_detector(str(run), ["0"], ["anet"], name) for name in (None, "dlib"))
    assert (given.landmarks, other.landmarks) == ("mesh", "dlib")
    assert cautions(run, given) == []
    (line,) = cautions(run, other)
    assert f"{run} was trained on faces registered by landmarks mesh, and these were by dlib" in line
    # Rendered faces were registered by neither.
    rendered = open_detector(str(finished), ["0"], ["anet"], "mesh")
    assert rendered.landmarks == "mesh" and len(cautions(finished, rendered)) == 1


@pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")
def test_a_table_is_made_with_the_face_mesh(command, finished, clip, table, tmp_path):
    done = command(
        "au_jax.predict", f"--run={finished}", f"--video={clip}", f"--out={tmp_path / 'out.csv'}", "--landmarks=mesh",
        "--folds=0", "--systems=anet",
    )  # fmt: skip
    assert done.returncode == 0 and f"{FRAMES} frames, {FRAMES - 3} with a face" in done.stdout, done.stderr
    with open(tmp_path / "out.csv") as stream:
        rows = list(csv.DictReader(stream))
    x = np.array([float(row["x_30"] or "nan") for row in rows])
    # The nose tip, near to where dlib sees it, and not on the same whole pixels.
    assert np.nanmedian(np.abs(x - table.landmarks[:, 30, 0])) < 5 and np.nanmax(np.abs(x - x.round())) > 0.1
