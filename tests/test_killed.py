"""A run that is killed at random moments, again and again, ends in the bytes of the run that was left alone."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest

KILLS = 20


def seconds_of(command, longest=None):
    """How long a command takes to its end; None where it is killed after `longest` seconds, with all that it started."""
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, told = process.communicate(timeout=longest)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    assert process.returncode == 0, told.decode()[-2000:]
    return time.monotonic() - start


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_byte_of_the_results(finished, main_command, tmp_path):
    generator = np.random.default_rng(0)
    # Faces, networks and all: rendering and packing the dataset are killed as well.
    whole = seconds_of(main_command(tmp_path / "whole", tmp_path / "whole_data"))
    expected = (finished / "results.json").read_bytes()
    assert (tmp_path / "whole/results.json").read_bytes() == expected
    kills, ends, last = 0, 0, []
    while kills < KILLS or not ends:
        workdir = tmp_path / f"killed_{ends}"
        command = main_command(workdir, tmp_path / f"data_{ends}")
        longest = generator.uniform(0, 0.5 * whole) if kills < KILLS else None
        if seconds_of(command, longest) is None:
            kills += 1
            newest = max(workdir.rglob("*"), key=lambda path: path.lstat().st_mtime, default=workdir)
            last.append(str(newest.relative_to(tmp_path)))
        else:
            ends += 1
            assert (workdir / "results.json").read_bytes() == expected, last
    print(f"{kills} kills, {ends} ends of {whole:.0f} s; newest files when killed: {', '.join(last)}")
