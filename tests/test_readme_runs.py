"""The README's shell blocks are run as they stand, in its order (slow): on made-up recordings, and every network small.

What is not the README's is a `python` before the real one on the PATH, which adds the options that make a command small, and
Slurm's `sbatch` and `srun`, which start here what they would start on nodes. `make demo` and `make test` are what runs this.
"""

import dataclasses
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax import synthfacs
from au_jax.config import load
from au_jax.labels import AUS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = ["\n".join(line[4:] for line in block.splitlines()) for block in re.findall(r"(?:^    .*\n)+", README, re.M)]
PEOPLE, FRAMES, SIZE = 12, 40, 240

PYTHON = '''\
#!{executable}
"""Python, with what makes a command of the README small."""
import subprocess, sys
module = sys.argv[2] if sys.argv[1:2] == ["-m"] else ""
more = {{
    "experiments.reproduce": ["--protocols=3fold,cross", "--scale=smoke"],
    "experiments.fig5": ["--iterations=20"],
}}.get(module, [])
if module in ("au_jax.main", "au_jax.prepare"):
    from experiments import scales
    from au_jax.config import load
    config = next(option.partition("=")[2] for option in sys.argv if option.startswith("--config="))
    name, _, variant = config.partition(":")
    name = name.removeprefix("configs/").removesuffix(".py")
    whole = load(f"{{name}}:{{variant}}" if variant else name)
    small = load("demo:smoke") if name == "demo" else scales.get_config(f"{{name}}-{{variant or '3fold'}}-smoke")
    given = {{option.partition("=")[0] for option in sys.argv}}

    def fields(config, prefix=""):
        for key, value in config.items():
            if hasattr(value, "items"):
                yield from fields(value, f"{{prefix}}{{key}}.")
            else:
                yield f"{{prefix}}{{key}}", value

    before = dict(fields(whole))
    changed = {{key: value for key, value in fields(small) if before.get(key) != value}}
    # The optimizer that the README names keeps its arguments.
    more = [f"--config.{{key}}={{value}}" for key, value in changed.items() if f"--config.{{key}}" not in given]
    if any(option.startswith("--config.cnn.optimizer.name") for option in given):
        more = [option for option in more if "cnn.optimizer" not in option]
sys.exit(subprocess.run([{executable!r}, *sys.argv[1:], *more]).returncode)
'''

SBATCH = """\
#!/usr/bin/env bash
# sbatch --array=0-9 --gpus=1 --wrap='...': the first two of the jobs, one after the other.
for option in "$@"; do case $option in --wrap=*) job=${option#--wrap=} ;; --array=0-9) array=1 ;; esac; done
for number in ${array:+0 1}; do SLURM_ARRAY_TASK_ID=$number sh -c "$job" || exit 1; done
"""

SRUN = """\
#!/usr/bin/env bash
# srun --nodes=2 ...: two tasks that know of each other as Slurm's do.
while [[ $1 == --* ]]; do shift; done
export SLURM_JOB_ID=1 SLURM_STEP_NODELIST=localhost SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2
SLURM_PROCID=1 SLURM_LOCALID=0 "$@" & other=$!
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" && wait $other
"""


def filmed(number, video):
    """A person's recording: pictures [T, SIZE, SIZE, 3] uint8, and labels [T, 12] in {0, 1, 9}."""
    preset = dataclasses.replace(synthfacs.get_preset("bp4d_like"), frames_per_video=FRAMES, length_spread=0.0)
    chunks = list(synthfacs.render_video(preset, 5, f"F{number:03}", video, view="scene", size=SIZE))
    labels = np.concatenate([chunk.labels for chunk in chunks])
    return np.concatenate([chunk.frames for chunk in chunks]), np.where(labels == 0, 9, labels > 0)


def write_bp4d(root, number, pictures, labels):
    """A subject of BP4D: a folder of frames, and a table whose column k is AU k."""
    subject = f"F{number:03}"
    frames = root / subject / "T1"
    frames.mkdir(parents=True)
    (root / "AUCoding/AU_OCC").mkdir(parents=True, exist_ok=True)
    rows = [",".join(str(column) for column in range(100))]
    for place, (picture, row) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture).save(frames / f"{place + 1}.jpg", quality=92)
        codes = dict(zip(AUS, row, strict=True))
        rows.append(",".join([str(place + 1), *(str(codes.get(column, 9)) for column in range(1, 100))]))
    (root / f"AUCoding/AU_OCC/{subject}_T1.csv").write_text("\n".join(rows) + "\n")


def write_gft(root, number, pictures, labels):
    """A participant of GFT: a video, and a table of frame annotations."""
    from au_jax.faces.video_writer import VideoWriter

    root.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(root / f"P{number:02}.mp4", 30.0, SIZE, SIZE)
    for picture in pictures:
        writer.write(picture)
    writer.close()
    rows = [",".join(["frame", *(f"AU{au:02}" for au in AUS)])]
    rows += [f"{place + 1}," + ",".join(map(str, row)) for place, row in enumerate(labels)]
    (root / f"P{number:02}.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory, scene):
    """A folder as a user's clone, with recordings and a clip, and the environment to run commands in it."""
    pytest.importorskip("av")
    pytest.importorskip("dlib")
    folder = tmp_path_factory.mktemp("clone")
    for name in ("au_jax", "configs", "experiments"):
        (folder / name).symlink_to(ROOT / name)
    for number in range(1, PEOPLE + 1):
        write_bp4d(folder / "raw/BP4D", number, *filmed(number, "T1"))
        write_gft(folder / "raw/GFT", number, *filmed(number, "T2"))
    write_gft(folder / "clip", 0, scene[0], scene[1])
    (folder / "clip/P00.mp4").rename(folder / "clip.mp4")
    for name, text in (("python", PYTHON.format(executable=sys.executable)), ("sbatch", SBATCH), ("srun", SRUN)):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return folder, {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}


def script(block, folder):
    """A block of the README for this machine: the user's own folders are ours, and nothing is installed."""
    block = re.sub(r"^(make|pip|\.) .*$", "", block, flags=re.M)
    # Folds side by side want a device each; here, two of them in turn.
    block = block.replace("for i in 0 1 2 3 4 5 6 7;", "for i in 0 1;").replace("& done; wait", "; done")
    # Any run may be left out of a table.
    block = re.sub(r",runs/(\w+_10fold)", "", block)
    return block.replace("/data/", f"{folder}/raw/")


def run(text, place):
    """Runs a script and gives the end of what it said if it fails."""
    folder, environment = place
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=folder, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}"


@pytest.mark.slow
def test_every_command_of_the_readme_runs_in_its_order(place):
    folder, _ = place
    run("python -m au_jax.main --config=configs/demo.py --workdir=runs/demo", place)  # make demo
    for block in BLOCKS:
        if block.startswith("@"):
            continue
        if block.startswith("import "):
            side = load("demo:smoke").data.image_size
            faces = f"import numpy; faces = numpy.zeros((3, {side}, {side}, 3), numpy.uint8)"
            run(f"{shlex.quote(sys.executable)} -c {shlex.quote(faces + chr(10) + block)}", place)
            continue
        # Tables and figures are of runs of the user's own: of those that the README has made so far.
        for dataset, protocol in itertools.product(("bp4d", "gft"), ("3fold", "cross")):
            made, own = folder / f"runs/smoke/{dataset}_{protocol}", folder / f"runs/{dataset}_{protocol}"
            if made.exists() and not own.exists():
                shutil.copytree(made, own)
        run(script(block, folder), place)
    for path in (
        "runs/mine/results.json", "runs/x/results.json", "runs/bp4d/results.json", "runs/gft_cross/results.json",
        "runs/paper/tables/table_II_f1_frame.md", "runs/smoke/tables/table_I_f1_frame.md", "clip.csv", "clip_aus.mp4",
        "clip.png", "detector.zip", "sheet.jpg", "benchmark.md", "runs/demo/figures/fig5.png", "tables/seeds.md",
    ):  # fmt: skip
        assert (folder / path).stat().st_size > 0, path
