"""Compiled programs of `predict`: where they are kept, and which are not read."""

import json
import os
import subprocess
import sys
import zlib

import pytest

from au_jax.inference.program_cache import MOST_PROGRAMS, cache_folder, keep_programs, sweep

PROGRAM = (
    "import json, sys, jax\n"
    "from au_jax.inference.program_cache import keep_programs\n"
    "events = []\n"
    "jax.monitoring.register_event_listener(lambda name, **rest: events.append(name))\n"
    "folder = keep_programs()\n"
    "result = jax.jit(lambda x: jax.numpy.sin(x) @ x)(jax.numpy.ones(3))\n"
    "print(json.dumps([folder and str(folder), float(result), events.count('/jax/compilation_cache/cache_hits')]))"
)


@pytest.fixture
def start(tmp_path):
    """Starts a process with a cache folder of its own: (settings of the environment) -> folder, result, programs found."""

    def run(**settings):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION")}
        environment |= {"XDG_CACHE_HOME": str(tmp_path), **settings}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return json.loads(done.stdout)

    return run


def test_a_second_start_compiles_nothing_and_a_damaged_program_is_compiled_again(start):
    folder, result, hits = start()
    assert hits == 0
    kept = sorted(name for name in os.listdir(folder) if name.endswith("-cache"))
    assert start() == [folder, result, len(kept)] and kept
    for name in kept:
        path = os.path.join(folder, name)
        content = bytearray(open(path, "rb").read())
        content[len(content) // 2] ^= 1
        open(path, "wb").write(content)
    assert start() == [folder, result, 0]
    assert sorted(name for name in os.listdir(folder) if name.endswith("-cache")) == kept


def test_settings_of_jax_stand(start, tmp_path):
    assert start(JAX_ENABLE_COMPILATION_CACHE="0")[0] is None
    own = tmp_path / "own"
    assert start(JAX_COMPILATION_CACHE_DIR=str(own))[0] is None
    assert not (tmp_path / "au_jax").exists()


def test_a_cache_folder_that_cannot_be_made_is_done_without(start, tmp_path):
    (tmp_path / "file").write_text("")
    assert start(XDG_CACHE_HOME=str(tmp_path / "file"))[0] is None


def test_processors_with_other_instructions_share_no_folder(monkeypatch, tmp_path):
    assert keep_programs() is None  # the tests' own folder stands
    folders = {
        cache_folder({}, machine, features) for machine in ("x86_64", "arm64") for features in ("avx2", "sse4_2")
    }
    assert len(folders) == 4 and all(folder.is_relative_to(os.path.expanduser("~/.cache")) for folder in folders)


def test_the_oldest_programs_and_damaged_ones_are_removed(tmp_path):
    for number in range(MOST_PROGRAMS + 2):
        path = tmp_path / f"{number:03d}-cache"
        path.write_bytes(zlib.compress(b"program"))
        os.utime(path, (number, number))
    (tmp_path / "050-cache").write_bytes(b"no program")
    (tmp_path / "notes.txt").write_text("others' files stay")
    sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == MOST_PROGRAMS + 1 and not {"000-cache", "050-cache"} & left and "notes.txt" in left
