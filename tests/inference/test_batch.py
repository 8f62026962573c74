"""Many videos: which they are, going on after an interruption, and one that fails among them."""

import csv
import os

import pytest

from au_jax.errors import CommandError, DataError, UserError
from au_jax.inference.batch import ACCOUNT, SUMMARY, Job, check_apart, find_videos, run_all, summary_lines


@pytest.fixture
def clips(tmp_path):
    place = tmp_path / "clips"
    for name in ("anna/T1.mp4", "anna/T10.mov", "anna/T2.mp4", "ben/walk/0001.png", "ben/walk/0002.png", "top.avi"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(name.encode())
    for name in ("notes.txt", "anna/T1.csv", ".hidden/x.mp4", "anna/.T9.mp4"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("no video")
    return place


def names(jobs):
    return [job.name for job in jobs]


def test_a_folder_is_searched_with_all_below_it(clips):
    jobs = find_videos(str(clips))
    assert names(jobs) == ["anna/T1", "anna/T2", "anna/T10", "ben/walk", "top"]
    assert jobs[3].source == clips / "ben/walk"


def test_a_list_names_paths_from_its_own_folder(clips, monkeypatch):
    listed = clips / "mine.txt"
    listed.write_text(
        "\ufeff# those that count\nanna/T2.mp4\n\n  anna/T1.mp4  \nanna/absent.mp4\nanna/T2.mp4\n", "utf-8"
    )
    monkeypatch.chdir("/")
    jobs = find_videos(str(listed))
    assert names(jobs) == ["T2", "T1", "absent"] and jobs[0].source == clips / "anna/T2.mp4"
    assert names(find_videos(f"{clips}/anna/T1.mp4,{clips}/ben/walk")) == ["anna/T1", "ben/walk"]


def test_nothing_to_do_and_lists_that_cannot_be_read_are_refused(clips, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="names no video"):
        find_videos(str(tmp_path / "empty"))
    with pytest.raises(CommandError, match=r"absent\.txt cannot be read"):
        find_videos(str(tmp_path / "absent.txt"))


def test_videos_that_differ_in_their_suffix_get_two_names(clips):
    (clips / "top.mp4").write_bytes(b"another")
    assert names(find_videos(str(clips)))[-2:] == ["top_avi", "top_mp4"]


def test_a_video_may_be_called_as_what_is_written_about_all(tmp_path):
    """Its table would be overwritten by the summary, its page by the list of pages."""
    for name in ("summary.mp4", "Index.mov", "a/summary.mp4", "predicted/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(names(find_videos(str(tmp_path)))) == ["Index_mov", "a/summary", "predicted_frames", "summary_mp4"]


def test_no_output_of_any_video_is_a_video_or_lies_among_frames(clips, tmp_path):
    jobs = find_videos(f"{clips}/anna/T1.mp4,{clips}/ben/walk,{clips}/top.avi")
    assert check_apart(jobs, [[tmp_path / "out" / "T1.mp4"], [clips / "anna" / "T1.csv"]]) is None
    with pytest.raises(CommandError, match=r"T1\.mp4 would overwrite .*anna/T1\.mp4 of --videos"):
        check_apart(jobs, [[tmp_path / "fine.csv", clips / "anna" / "T1.mp4"]])
    link = tmp_path / "link.png"
    link.symlink_to(clips / "top.avi")
    with pytest.raises(CommandError, match=r"link\.png would overwrite .*top\.avi"):
        check_apart(jobs, [[link]])
    for inside in ("walk.csv", "below/walk.csv"):
        with pytest.raises(CommandError, match=r"walk\.csv lies in .*ben/walk, which --videos reads"):
            check_apart(jobs, [[clips / "ben" / "walk" / inside]])


def test_no_two_videos_have_one_output(clips, tmp_path):
    jobs = find_videos(f"{clips}/anna/T1.mp4,{clips}/top.avi")
    one = tmp_path / "T1_video.mp4"
    with pytest.raises(CommandError, match=r"T1_video\.mp4 would be written twice; choose .* folders"):
        check_apart(jobs, [[one], [tmp_path / "T1.html", tmp_path / "." / "T1_video.mp4"]])


class Runs:
    """Stands in for the detector: remembers what it was asked for, fails or is interrupted where it is told to."""

    def __init__(self, folder):
        self.folder, self.seen, self.fails, self.stops = folder, [], {}, set()

    def score(self, job):
        if job.name in self.stops:
            raise KeyboardInterrupt
        if job.name in self.fails:
            raise self.fails[job.name]
        self.seen.append(job.name)
        path = job.output(self.folder, ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("frame")
        return {"frames": 10, "faces": 9, "median_confidence": 0.95, "notes": ""}

    def __call__(self, jobs, **settings):
        self.seen = []
        return run_all(jobs, self.folder, settings, lambda job: [job.output(self.folder, ".csv")], self.score)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "tables")


def test_one_that_fails_does_not_end_the_others_and_is_tried_again(clips, runs):
    runs.fails = {"anna/T2": UserError("T2.mp4 is empty (0 bytes); copy it again"), "top": ZeroDivisionError("a bug")}
    rows = runs(find_videos(str(clips)))
    assert runs.seen == ["anna/T1", "anna/T10", "ben/walk"]
    assert {row["video"]: row.get("problem") for row in rows if row["state"] == "failed"} == {
        "anna/T2": "T2.mp4 is empty (0 bytes); copy it again", "top": "ZeroDivisionError: a bug",
    }  # fmt: skip
    runs.fails = {}
    rows = runs(find_videos(str(clips)))
    assert runs.seen == ["anna/T2", "top"]
    assert [row["state"] for row in rows] == ["done before", "done", "done before", "done before", "done"]


def test_an_interrupted_command_goes_on_where_it_stopped(clips, runs):
    runs.stops = {"anna/T10"}
    with pytest.raises(KeyboardInterrupt):
        runs(find_videos(str(clips)))
    assert runs.seen == ["anna/T1", "anna/T2"]
    with open(runs.folder / SUMMARY) as stream:
        assert [row["video"] for row in csv.DictReader(stream)] == ["anna/T1", "anna/T2"]
    runs.stops = set()
    runs(find_videos(str(clips)))
    assert runs.seen == ["anna/T10", "ben/walk", "top"]


def test_what_else_lists_the_videos_is_told_after_each(clips, runs):
    runs.stops = {"anna/T10"}
    listed = []
    with pytest.raises(KeyboardInterrupt):
        run_all(
            find_videos(str(clips)), runs.folder, {}, lambda job: [], runs.score, lambda rows: listed.append(len(rows))
        )
    assert listed == [1, 2]


def test_changed_videos_settings_and_lost_tables_are_done_again(clips, runs):
    jobs = find_videos(str(clips))
    runs(jobs, fps=25)
    assert runs(jobs, fps=25)[0]["state"] == "done before" and runs.seen == []
    (clips / "anna/T1.mp4").write_bytes(b"another take")
    os.utime(clips / "ben/walk/0002.png", ns=(1, 2**62))
    (runs.folder / "top.csv").unlink()
    runs(jobs, fps=25)
    assert runs.seen == ["anna/T1", "ben/walk", "top"]
    runs(jobs, fps=30)
    assert runs.seen == names(jobs)


def test_a_folder_with_another_account_is_refused(clips, runs):
    runs.folder.mkdir()
    (runs.folder / ACCOUNT).write_text('{"theirs": 1}')
    with pytest.raises(DataError, match=rf"{ACCOUNT} is no account of au-jax predict"):
        runs(find_videos(str(clips)))


def test_the_summary_tells_how_each_went():
    rows = [
        {"video": "anna/T1", "state": "done", "frames": 200, "faces": 150, "median_confidence": 0.912, "notes": "dark"},
        {"video": "b", "state": "failed", "problem": "b.mp4 is empty"},
    ]
    header, one, two = summary_lines(rows)
    assert header.split()[:3] == ["video", "state", "frames"]
    assert one.split() == ["anna/T1", "done", "200", "75.0", "0.91", "dark"]
    assert two.split()[:5] == ["b", "failed", "-", "-", "-"] and two.endswith("b.mp4 is empty")
    assert header.index("to be known") == one.index("dark")


def test_outputs_lie_below_the_output_folder_as_the_videos_do(tmp_path):
    assert Job(tmp_path / "x.mp4", "anna/x").output(tmp_path, ".csv") == tmp_path / "anna" / "x.csv"
