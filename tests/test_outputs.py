"""What a command writes never destroys what it reads, whatever name or link it goes by, and all of it is written in one way."""

import ast
import contextlib
import fcntl
import hashlib
import importlib
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from absl import app, flags

from au_jax import files
from au_jax.errors import CommandError
from au_jax.outputs import check_dataset_place, check_outputs, is_standard_output

ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
@pytest.mark.parametrize("live", [False, True])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, mask, expected, live):
    with umask(mask), files.opened(tmp_path / "a", live=live) as stream:
        stream.write(b"x")
    assert mode(tmp_path / "a") == expected


@pytest.mark.parametrize("own", [0o600, 0o640, 0o666, 0o755])
@pytest.mark.parametrize("live", [False, True])
def test_an_existing_file_keeps_its_mode(tmp_path, own, live):
    path = tmp_path / "a"
    path.write_bytes(b"longer than what comes")
    path.chmod(own)
    with umask(0o022), files.opened(path, live=live) as stream:
        stream.write(b"new")
    assert (mode(path), path.read_bytes()) == (own, b"new")


@pytest.mark.parametrize("live", [False, True])
def test_links_are_followed_and_stay(tmp_path, live):
    (tmp_path / "far").mkdir()
    real, link, chain = tmp_path / "far" / "real", tmp_path / "link", tmp_path / "chain"
    real.write_bytes(b"old")
    link.symlink_to(Path("far") / "real")
    chain.symlink_to(link)
    with files.opened(chain, live=live) as stream:
        stream.write(b"new")
    assert chain.is_symlink() and link.is_symlink() and real.read_bytes() == b"new"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "far" / "made")
    files.write_bytes(dangling, b"x")
    assert dangling.is_symlink() and (tmp_path / "far" / "made").read_bytes() == b"x"
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["made", "real"]


def test_other_names_of_a_replaced_file_keep_its_old_content(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    files.write_bytes(tmp_path / "a", b"new")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"new", b"old")


@pytest.mark.parametrize("live", [False, True])
def test_a_fifo_is_written_through(tmp_path, live):
    path, got = tmp_path / "fifo", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()), daemon=True)
    reader.start()
    with files.opened(path, live=live) as stream:
        stream.write(b"through")
    reader.join(5)
    assert got == [b"through"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_stays_a_device(tmp_path):
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (Path(os.devnull), tmp_path / "null"):
        files.write_bytes(path, b"x")
        assert stat.S_ISCHR(path.stat().st_mode)


def test_standard_output_is_gone_on_with_where_it_stands(tmp_path):
    code = (
        "import sys; from au_jax import files; from au_jax.outputs import is_standard_output as same\n"
        "print('before'); files.write_text('/dev/stdout', 'through\\n'); print('after', same('/dev/stdout'), same('x'))\n"
        "files.write_text(sys.argv[1], 'link\\n'); files.write_text('/dev/fd/2', 'error\\n')"
    )
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", code, tmp_path / "link"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "file", "w") as stream:
        subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, env=environment, check=True)
    piped = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert piped.stdout == (tmp_path / "file").read_bytes() == b"before\nthrough\nafter True False\nlink\n"
    assert piped.stderr.endswith(b"error\n")


def test_a_failed_block_leaves_the_old_content_and_no_rest(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.opened(path) as stream:
        stream.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    path, rest = tmp_path / "fig.png", tmp_path / ".fig.png.0a1b2c3d.partial"
    code = "import os, sys; from au_jax import files\nwith files.opened(sys.argv[1]): os._exit(9)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code, path], env=environment).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    rest.touch()
    with open(rest) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        files.write_bytes(path, b"x")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [rest.name, path.name]
    files.write_bytes(path, b"y")
    assert list(tmp_path.iterdir()) == [path]


def test_names_as_long_as_the_system_allows_are_written(tmp_path):
    for name in ("x" * 255, "\u5f20" * 85):
        files.write_bytes(tmp_path / name, b"x")
    assert len(list(tmp_path.iterdir())) == 2


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a"
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def write(content):
        for _ in range(20):
            files.write_bytes(path, content)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            seen.append(path.read_bytes())
    assert seen and all(content in contents for content in seen) and list(tmp_path.iterdir()) == [path]


def refused(outputs, inputs, match, **more):
    with pytest.raises(CommandError, match=match) as caught:
        check_outputs(outputs, inputs, **more)
    assert "\n" not in str(caught.value)


def test_an_output_that_is_an_input_is_refused_by_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video = tmp_path / "v.mp4"
    video.touch()
    (tmp_path / "soft.mp4").symlink_to(video)
    os.link(video, tmp_path / "hard.mp4")
    (tmp_path / "folder").mkdir()
    (tmp_path / "here").symlink_to(tmp_path)
    for name in (video, "v.mp4", "./v.mp4", "folder/../v.mp4", "soft.mp4", "hard.mp4", "here/v.mp4"):
        refused({"--overlay": name}, {"--video": video}, "--overlay=.* would overwrite --video")
        refused({"--overlay": video}, {"--video": name}, "--overlay=.* would overwrite --video")
    check_outputs({"--overlay": "w.mp4", "--plot": None, "--out": ""}, {"--video": video, "--other": None})


def test_an_output_in_an_input_folder_is_refused_even_where_nothing_is_there_yet(tmp_path):
    frames = tmp_path / "frames"
    (frames / "deep").mkdir(parents=True)
    (frames / "1.png").touch()
    (tmp_path / "link").symlink_to(frames)
    os.link(frames / "1.png", tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(frames / "1.png")
    for name in ("frames/1.png", "frames/new/x.csv", "frames/deep/y.csv", "link/x.csv", "soft.png"):
        refused({"--out": tmp_path / name}, {"--video": frames}, r"--out=.* lies in .*frames, which --video reads")
    refused({"--out": tmp_path / "hard.png"}, {"--video": frames}, r"would overwrite 1\.png of --video")
    check_outputs({"--out": tmp_path / "frames.csv"}, {"--video": frames})
    check_outputs({"--out": tmp_path}, {"--video": frames}, folders=True)


def test_two_outputs_in_one_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").symlink_to(tmp_path)
    (tmp_path / "is").touch()
    os.link(tmp_path / "is", tmp_path / "hard")
    for one, other in (("a", tmp_path / "a"), ("a", "here/a"), ("A.csv", "a.CSV"), ("is", "hard")):
        refused({"--out": one, "--plot": other}, {}, "--plot=.* is the same as --out")
    check_outputs({"--out": os.devnull, "--plot": os.devnull, "--overlay": "a"}, {})


def test_a_file_in_a_folders_place_and_a_folder_in_a_files_are_refused(tmp_path):
    (tmp_path / "file").touch()
    refused({"--out": tmp_path}, {}, "is a folder; name a file")
    refused({"--out": tmp_path / "file"}, {}, "is a file; name a folder", folders=True)
    refused({"--out": tmp_path / "file" / "x" / "y.csv"}, {}, "a file is in the place of its folder")


def test_recordings_are_kept_apart_from_datasets_and_runs(tmp_path):
    raw, data = tmp_path / "raw", tmp_path / "data"
    (raw / "anna").mkdir(parents=True)
    (data / "recordings" / "mine").mkdir(parents=True)
    check_dataset_place(str(data), str(raw), tmp_path / "run")
    check_dataset_place(str(raw / "data"), "", raw / "run")  # rendered faces
    check_dataset_place(str(tmp_path), str(raw))
    for directory, place, workdir, match in (
        (raw, raw, None, "config.data.directory=.* would overwrite config.data.raw"),
        (raw / "data", raw, None, "config.data.directory=.* lies in .*raw"),
        (data, raw, raw / "runs/x", "--workdir=.* lies in .*raw"),
        (
            data,
            data / "recordings/mine",
            None,
            "config.data.raw=.* lies in .*recordings, where prepared faces are kept",
        ),
    ):
        with pytest.raises(CommandError, match=match):
            check_dataset_place(str(directory), str(place), workdir)


def test_a_name_that_no_file_can_have_is_no_standard_output():
    assert not is_standard_output("a\0b") and not is_standard_output(None)


def refusal(command, monkeypatch):
    """The line with which a command ends, run in this process: its flags are taken back."""
    name, *arguments = command
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    app.define_help_flags()
    before = set(flags.FLAGS)
    try:
        with pytest.raises(SystemExit) as caught:
            importlib.import_module(f"au_jax.{name}").main()
    finally:
        flags.FLAGS.unparse_flags()
        for flag in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, flag)
    return str(caught.value)


def content(folder):
    return {
        str(path): (path.is_symlink(), hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }


def test_every_command_refuses_an_output_that_is_an_input_before_any_work(tmp_path, monkeypatch):
    run, frames, raw, data = (tmp_path / name for name in ("run", "frames", "raw", "data"))
    for name in ("config.json", "split.json", "results.json", "logs/run.log", "fold_00/scores/anet.npz"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    for folder in (frames, raw / "anna", data / "recordings/mine"):
        folder.mkdir(parents=True)
    (frames / "1.png").write_text("a frame")
    (tmp_path / "v.mp4").write_text("a video")
    os.link(tmp_path / "v.mp4", tmp_path / "hard.csv")
    (tmp_path / "soft.csv").symlink_to(tmp_path / "v.mp4")
    of_video = ["predict", f"--run={run}", f"--video={tmp_path / 'v.mp4'}"]
    of_frames = ["predict", f"--run={run}", f"--video={frames}"]
    folder_config = ["--config=bp4d", "--config.data.source=folder"]
    cases = {
        "--out=.* would overwrite --video": [
            [*of_video, f"--out={tmp_path / name}"] for name in ("v.mp4", "soft.csv", "hard.csv")
        ],
        "--overlay=.* would overwrite --video": [[*of_video, "--out=a.csv", f"--overlay={tmp_path / 'v.mp4'}"]],
        "--plot=.* lies in .*frames, which --video reads": [[*of_frames, "--out=a.csv", f"--plot={frames / '1.png'}"]],
        "--out=.* lies in .*frames, which --video reads": [[*of_frames, f"--out={frames / 'new.csv'}"]],
        "--plot=.* is the same as --out": [[*of_video, f"--out={tmp_path / 'x'}", f"--plot={tmp_path / 'x'}"]],
        "--out=.* would overwrite --run": [
            [*of_video, f"--out={run / 'config.json'}"],
            ["export", f"--run={run}", f"--out={run / 'results.json'}"],
        ],
        "--out=.* lies in .*fold_00, which --run reads": [
            ["export", f"--run={run}", f"--out={run / 'fold_00/scores/anet.npz'}"],
            *(["figures", name, f"--run={run}", f"--out={run / 'fold_00/figures'}"] for name in ("fig2", "fig5")),
        ],
        "--out=.* lies in .*, which --runs reads": [
            ["compare", f"--runs={run},{run}", f"--out={run / 'fold_00/compared'}"],
            ["tables", f"--runs={run}", f"--out={run / 'logs/tables'}"],
        ],
        "config.data.directory=.* lies in .*raw, which config.data.raw reads": [
            ["prepare", *folder_config, f"--raw={raw}", f"--config.data.directory={raw / 'data'}"]
        ],
        "config.data.raw=.* lies in .*recordings": [
            ["prepare", *folder_config, f"--raw={data / 'recordings/mine'}", f"--config.data.directory={data}"]
        ],
        "--workdir=.* lies in .*raw, which config.data.raw reads": [
            ["main", *folder_config, f"--config.data.raw={raw}", f"--workdir={raw / 'run'}"]
        ],
    }
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    for pattern, commands in cases.items():
        for command in commands:
            line = refusal([str(word) for word in command], monkeypatch)
            assert re.fullmatch(f"error: {pattern}.*", line), line
    assert content(tmp_path) == before


WRITING = {
    "write_text", "write_bytes", "savez", "savez_compressed", "savetxt", "savefig", "imsave", "imwrite", "tofile", "dump",
    "to_csv", "to_json", "to_excel", "copy", "copy2", "copyfile", "copytree", "move", "rename", "replace", "link", "symlink",
    "symlink_to", "hardlink_to", "touch", "mkstemp", "NamedTemporaryFile", "FileHandler", "extractall", "save",
}  # fmt: skip
OWNERS = {
    "replace": {"os"}, "rename": {"os"}, "link": {"os"}, "symlink": {"os"}, "dump": {"json", "pickle"}, "copy": {"shutil"},
    "copy2": {"shutil"}, "move": {"shutil"}, "to_csv": set(),
}  # fmt: skip
"""Names that are other things as well: who writes by them."""
ALLOWED = {
    ("au_jax/console.py", "logging.FileHandler(path, encoding='utf-8')"),  # adds to a run's log, line by line
    ("au_jax/data/recordings.py", "open(partial, 'wb')"),  # a name of this process's, in a folder that it holds
    ("au_jax/data/recordings.py", "os.replace(partial, path)"),
    ("au_jax/training/checkpoints.py", "folder.rename(aside)"),  # sets a damaged one aside
    ("au_jax/data/dataset_seal.py", "open(folder.parent / '.in_use', 'a')"),  # a lock
    ("au_jax/data/dataset_seal.py", "os.open(folder.parent / '.in_use', os.O_RDWR | os.O_CREAT, 438)"),  # a lock
    ("au_jax/data/dataset_seal.py", "os.rename(folder, aside)"),  # a dataset takes another's place
    ("au_jax/data/dataset_seal.py", "os.rename(made, folder)"),
    ("au_jax/faces/video_writer.py", "av.open(self._output.enter_context(files.opened(path)), 'w', format='mp4')"),
    ("au_jax/faces/tone_mapping.py", "tempfile.mkstemp(suffix='.cube')"),  # FFmpeg reads it, and it goes
    ("au_jax/faces/tone_mapping.py", "open(handle, 'w')"),
    ("experiments/walkthrough.py", "figure.savefig(os.environ.get('AU_JAX_PICTURE', 'walkthrough.png'))"),  # a user's
}


def writes(call):
    """Whether a call, by its looks, writes a file by another way than `files.opened`."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    first = ast.unparse(call.args[0]) if call.args else ""
    if name in ("open", "fdopen"):
        position = (
            0 if owner and owner not in ("os", "io", "gzip", "av", "Image", "zipfile", "tarfile", "codecs") else 1
        )
        modes = [argument.value for argument in call.keywords if argument.arg == "mode"] or call.args[position:][:1]
        if owner in ("Image", "archive") or not modes:
            return False
        value = modes[0].value if isinstance(modes[0], ast.Constant) else "?"
        return not isinstance(value, str) or bool(set(value) & set("wax+?"))
    if name == "ZipFile":
        return len(call.args) > 1 and ast.unparse(call.args[1]) != "'r'" and first not in ("buffer", "stream")
    if name not in WRITING or owner in ("files", "jax.numpy", "jnp"):
        return False
    if name in OWNERS and owner not in OWNERS[name]:
        return False
    # Into memory, or by Orbax.
    return not (name == "save" and (first in ("stream", "buffer") or owner in ("checkpoints", "self._manager")))


def test_nothing_is_written_but_through_one_function():
    found = set()
    for path in sorted(
        path for folder in ("au_jax", "experiments", "configs", "docs") for path in (ROOT / folder).rglob("*.py")
    ):
        place = path.relative_to(ROOT).as_posix()
        # The second makes the pictures of the repository's own pages.
        if place in ("au_jax/files.py", "docs/images.py"):
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and writes(node)]
        found |= {(place, ast.unparse(call)) for call in calls}
    assert found - ALLOWED == set()


@pytest.mark.parametrize(
    "text",
    ["open(p, 'w')", "open(p, mode='ab')", "path.open('w')", "np.savez(path, a=a)", "image.save(path)", "av.open(p, 'w')",
     "path.write_text('x')", "json.dump(x, f)", "os.replace(a, b)", "zipfile.ZipFile(path, 'w')", "gzip.open(p, m)",
     "figure.savefig(p)", "shutil.copy(a, b)"],
)  # fmt: skip
def test_other_ways_of_writing_are_seen(text):
    assert writes(ast.parse(text).body[0].value)


@pytest.mark.parametrize(
    "text", ["open(p)", "open(p, 'rb')", "path.open()", "files.write_text(p, t)", "text.replace(a, b)", "Image.open(p)"]
)
def test_reading_is_not_taken_for_writing(text):
    assert not writes(ast.parse(text).body[0].value)
