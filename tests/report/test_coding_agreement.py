"""Two codings, from files of any kind, side by side: values as computed by hand, files, and mistakes in one line."""

import json

import numpy as np
import pytest

from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.errors import CommandError, DataError
from au_jax.report.coding_agreement import compare_codings

SPAN = ((0.0, 2.0),)


def write_frames(path, codes, header="frame,AU12"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "\n" + "".join(f"{n},{code}\n" for n, code in enumerate(codes, 1)))


def test_a_coders_events_beside_a_models_table_give_the_values_of_the_four_fold_table(tmp_path, capsys):
    # 50 frames: 10 both, 2 only the coder, 4 only the model, 34 neither.
    write_elan(tmp_path / "ann.eaf", EventCodes((Event(12, 0.4, 0.88),), (12,), SPAN))
    write_frames(tmp_path / "model.csv", [int(12 <= n < 26) for n in range(50)])
    document = compare_codings(
        tmp_path / "ann.eaf", tmp_path / "model.csv", tmp_path / "out", tolerance=2, replicates=20
    )
    row = document["aus"]["12"]
    assert row["frames"] == 50 and row["events"] == [1, 1]
    observed, chance = 44 / 50, (12 * 14 + 38 * 36) / 2500
    value = {name: triple[0] for name, triple in row["value_low_high"].items()}
    assert value["kappa"] == pytest.approx((observed - chance) / (1 - chance), abs=1e-6)
    assert value["pabak"] == pytest.approx(2 * observed - 1) and value["f1"] == pytest.approx(20 / 26, abs=1e-6)
    # The coder's event is frames 10 to 21, the model's 12 to 25, counted from 0.
    assert (value["onset_error"], value["offset_error"], value["event_agreement"]) == (2.0, 4.0, 1.0)
    assert value["icc"] is None and row["value_low_high"]["kappa"][1] is None
    assert "AU 12: good agreement (kappa 0.69, on 50 frames of 1 recording)" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "agreement.json", "agreement.md", "agreement.png", "agreement.svg",
    }  # fmt: skip
    assert json.loads((tmp_path / "out/agreement.json").read_text())["aus"]["12"]["sentence"] == row["sentence"]
    assert "| 12 lip corner puller | 0.69 |" in (tmp_path / "out/agreement.md").read_text()


def test_folders_are_paired_by_name_with_intervals_over_recordings(tmp_path, capsys):
    generator = np.random.default_rng(0)
    for name in ("anna/one", "anna/two", "bert/one"):
        codes = (generator.normal(size=80).cumsum() > 0).astype(int)
        write_frames(tmp_path / f"a/{name}.csv", codes)
        write_frames(tmp_path / f"b/{name}.tsv", np.roll(codes, 1), "frame\tAU12".replace("\t", ","))
    write_frames(tmp_path / "a/alone.csv", [0, 1])
    document = compare_codings(tmp_path / "a", tmp_path / "b", tmp_path / "out", replicates=50)
    assert document["recordings"] == ["anna/one", "anna/two", "bert/one"] and document["without_partner"] == ["alone"]
    value, low, high = document["aus"]["12"]["value_low_high"]["kappa"]
    assert low <= value <= high and document["aus"]["12"]["recordings"] == 3
    assert "without a partner: alone" in capsys.readouterr().out


def test_intensities_are_compared_where_both_have_them(tmp_path):
    one = [0, 1, 2, 3, 4, 5, 0, 0]
    write_frames(tmp_path / "a.csv", one)
    write_frames(tmp_path / "b.csv", [0, 2, 2, 3, 5, 5, 0, 0])
    write_frames(tmp_path / "c.csv", [int(code > 0) for code in one])
    both = compare_codings(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "out", replicates=5)["aus"]["12"]
    x, y = np.array([one, [0, 2, 2, 3, 5, 5, 0, 0]], float)
    between = 2 * ((x + y) / 2).var(ddof=1)
    error = ((x - y) / np.sqrt(2)).var(ddof=1)
    assert both["value_low_high"]["icc"][0] == pytest.approx((between - error) / (between + error), abs=1e-6)
    assert both["value_low_high"]["mean_difference"][0] == 0.25
    presence = compare_codings(tmp_path / "a.csv", tmp_path / "c.csv", tmp_path / "out", replicates=5)["aus"]["12"]
    assert presence["value_low_high"]["icc"][0] is None and presence["value_low_high"]["kappa"][0] == 1.0


def test_the_times_of_a_video_count_where_there_is_one(tmp_path):
    from ..data.conftest import write_video

    write_video(tmp_path / "clip.mp4", 20)
    write_elan(tmp_path / "a/clip.eaf", EventCodes((Event(12, 0.2, 0.4),), (12,)))
    write_frames(tmp_path / "b/clip.csv", [int(5 <= n < 10) for n in range(20)])
    for videos in (tmp_path / "clip.mp4", tmp_path):
        document = compare_codings(
            tmp_path / "a", tmp_path / "b", tmp_path / "out", videos=videos, fps=50, replicates=5
        )
        assert document["aus"]["12"]["frames"] == 20 and document["aus"]["12"]["value_low_high"]["kappa"][0] == 1.0


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        (("b/clip.mp4", "c/clip.mp4"), "no video is called a/clip, and 2 are called clip; there must be one"),
        (("a/clip.mp4", "a/clip.avi"), "2 videos are called a/clip; there must be one"),
        (("b/other.mp4",), "0 videos are called a/clip; there must be one"),
    ],
)
def test_videos_of_another_folder_are_not_said_to_have_the_name_of_the_codes(tmp_path, videos, message):
    for side in ("one", "two"):
        write_frames(tmp_path / side / "a/clip.csv", [0, 1, 0])
    for video in videos:
        (tmp_path / "videos" / video).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / video).touch()
    with pytest.raises(CommandError, match=f"videos: {message}$"):
        compare_codings(tmp_path / "one", tmp_path / "two", tmp_path / "out", videos=tmp_path / "videos")


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        ("a.csv", "nowhere.csv", CommandError, "there is no label file or folder .*nowhere.csv; check the path"),
        ("a.csv", "dir", CommandError, "give two files, or two folders"),
        ("dir", "other", CommandError, r"no label file in .*dir \(one\) has the name of one in .*other \(two\)"),
        ("a.csv", "au6.csv", DataError, "have no AU in common; nothing can be compared"),
        ("a.csv", "later.csv", DataError, "coded no frame in common; check clock and offset"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, first, second, error, message):
    write_frames(tmp_path / "a.csv", [0, 1, 0])
    write_frames(tmp_path / "dir/one.csv", [0, 1])
    write_frames(tmp_path / "other/two.csv", [0, 1])
    write_frames(tmp_path / "au6.csv", [0, 1, 0], "frame,AU6")
    (tmp_path / "later.csv").write_text("frame,AU12\n9,1\n10,0\n")
    with pytest.raises(error, match=message) as caught:
        compare_codings(tmp_path / first, tmp_path / second, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_what_was_not_understood_in_the_files_is_told(tmp_path, capsys):
    write_frames(tmp_path / "a.csv", [0, 1, 1, 0])
    (tmp_path / "b.csv").write_text("AU,onset_s,offset_s\n12,0.04,0.12\nsmile,0.04,0.08\n")
    document = compare_codings(tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "out", replicates=5)
    assert f"{tmp_path / 'b.csv'}: 1 rows name no AU and are left out: 'smile'" in capsys.readouterr().out
    assert [problem["kind"] for problem in document["problems"]] == ["unknown AU"]
