"""What is said while a command works, and what a log file keeps of it."""

import io
import logging
import sys

import pytest

from au_jax import console


@pytest.fixture
def quiet():
    console.set_quiet(True)
    yield
    console.set_quiet(False)


def test_lines_are_printed_and_kept_with_their_time_while_the_file_is_open(tmp_path, capsys):
    path = tmp_path / "logs" / "run.log"
    console.tell("before")
    with console.to_file(path):
        console.tell("a line")
        console.note("for the file only")
        logging.getLogger("absl").warning("a library's")
    console.tell("after")
    assert capsys.readouterr().out == "before\na line\nafter\n"
    lines = path.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO a line", "INFO for the file only", "WARNING a library's"]


def test_a_line_is_in_a_file_as_soon_as_it_is_said(tmp_path, monkeypatch):
    """Python keeps lines back that go into a file: of many videos none was to be seen before the last."""
    with open(tmp_path / "log.txt", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        console.tell("1 of 2: a.mp4")
        assert (tmp_path / "log.txt").read_text() == "1 of 2: a.mp4\n"


def test_the_error_that_ends_a_block_is_kept_and_a_file_is_gone_on_with(tmp_path):
    for message in ("first", "second"):
        with pytest.raises(ValueError, match=message), console.to_file(tmp_path / "run.log"):
            raise ValueError(message)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["ERROR ValueError: first", "ERROR ValueError: second"]


def test_quiet_leaves_the_terminal_empty_and_the_file_full(tmp_path, capsys, quiet):
    with console.to_file(tmp_path / "run.log"), console.live("work"):
        console.tell("a line")
        assert sum(console.bar(range(4), desc="bar")) == 6
    shown = capsys.readouterr()
    assert shown.out == shown.err == "" and "a line" in (tmp_path / "run.log").read_text()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_live_line_is_shown_in_a_terminal_and_gone_afterwards(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console.live("fold_00/hog_svm/fit"):
        pass
    shown = sys.stderr.getvalue()
    assert "fold_00/hog_svm/fit  00:00" in shown
    # The line is written over with nothing.
    assert shown.endswith("\r") and not shown.rstrip("\r").rpartition("\r")[2].strip()


def test_what_is_said_before_there_is_a_file_comes_first_with_its_own_time(tmp_path):
    with console.kept() as said:
        console.note("early")
    said[0].created = 0.0
    console.note("unheard")
    with console.to_file(tmp_path / "run.log", said):
        console.note("late")
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["early", "late"] and lines[0].startswith(
        ("1970-01-01", "1969-12-31")
    )
