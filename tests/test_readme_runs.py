"""The shell and Python blocks of README and docs are run as they stand (slow): on made-up recordings, every network small.

Each page is run by itself, in its order, in a folder that has a run of the demo, a video and recordings. What is not the
pages' is a `python` and an `au-jax` before the real ones on the PATH, which add the options that make a command small, and
Slurm's `sbatch` and `srun`, which start here what they would start on nodes. `make` and `pip` are left out.
"""

import dataclasses
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax import synthfacs
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.events import events_from_labels
from au_jax.labels import PAPER_AUS

ROOT = Path(__file__).parents[1]
PEOPLE, FRAMES, SIZE = 12, 40, 240

PAGES = {
    "README.md": ("clip.csv",),
    "docs/install.md": ("runs/smoke/report.html",),
    "docs/questions.md": ("frames.csv", "runs/x/fold_03/scores/hybrid.npz", "runs/warmup/results.json"),
    "docs/tutorials/demo.md": ("runs/mine/results.json", "runs/fold2/results.json"),
    "docs/tutorials/your-videos.md": ("clip.csv", "clip_aus.mp4", "clip.png", "frames.csv"),
    "docs/tutorials/your-recordings.md": ("data/mine_40px.json", "runs/mine/results.json"),
    "docs/tutorials/code-train-correct.md": (
        "runs/first/results.json", "agreement/agreement.png", "runs/second/results.json",
    ),
    "docs/tutorials/paper-datasets.md": (
        "runs/bp4d/results.json", "runs/start/results.json", "runs/paper/tables/table_II_f1_frame.md",
        "runs/smoke/tables/table_I_f1_frame.md", "tables/table_II_f1_frame.md", "runs/demo/figures/fig5.png",
    ),
    "docs/tutorials/python.md": ("runs/tiny/results.json",),
    "docs/how-to/gpus.md": ("runs/x/results.json",),
    "docs/how-to/other-aus.md": ("runs/mine4/results.json",),
    "docs/how-to/export.md": ("detector.zip",),
    "docs/how-to/intensities.md": ("runs/strong/fold_00/anet_intensity/model.npz", "clip.csv"),
    "docs/how-to/tune.md": ("runs/lion/results.json", "runs/warmup/results.json", "runs/cosine/results.json"),
    "docs/how-to/compare-runs.md": ("tables/seeds.md", "comparison/compare.md"),
    "docs/explanation/synthetic.md": ("sheet.jpg",),
    "docs/reference/run-files.md": (),
    "docs/results/speed.md": ("benchmark.md",),
}  # fmt: skip
"""Page -> some of the files that its commands leave."""

PYTHON = '''\
#!{executable}
"""Python, with what makes a command small; called as au-jax, its command's module."""
import pathlib, subprocess, sys
words = sys.argv[1:]
if pathlib.Path(sys.argv[0]).name == "au-jax":
    words = ["-m", "au_jax." + {{"train": "main"}}.get(words[0], words[0]), *words[1:]]
module = words[1] if words[:1] == ["-m"] else ""
more = {{
    "experiments.reproduce": ["--protocols=3fold,cross", "--scale=smoke"],
    # The run that stands for the demo has two test people a fold, and divergence needs three.
    "au_jax.figures": {{"fig4": ["--run=runs/start"], "fig5": ["--iterations=20"]}}.get(words[2] if words[2:] else "", []),
}}.get(module, [])
if module in ("au_jax.main", "au_jax.prepare"):
    from experiments import scales
    from au_jax.config import load
    config = next(option.partition("=")[2] for option in words if option.startswith("--config="))
    name, _, variant = config.partition(":")
    name = name.removeprefix("configs/").removesuffix(".py")
    whole = load(f"{{name}}:{{variant}}" if variant else name)
    small = load("demo:smoke") if name == "demo" else scales.get_config(f"{{name}}-{{variant or '3fold'}}-smoke")
    given = {{option.partition("=")[0] for option in words}}

    def fields(config, prefix=""):
        for key, value in config.items():
            if hasattr(value, "items"):
                yield from fields(value, f"{{prefix}}{{key}}.")
            else:
                yield f"{{prefix}}{{key}}", value

    before = dict(fields(whole))
    changed = {{key: value for key, value in fields(small) if before.get(key) != value}}
    # The optimizer that a page names keeps its arguments.
    more = [f"--config.{{key}}={{value}}" for key, value in changed.items() if f"--config.{{key}}" not in given]
    if any(option.startswith("--config.cnn.optimizer") for option in given):
        more = [option for option in more if "cnn.optimizer" not in option]
sys.exit(subprocess.run([{executable!r}, *words, *more]).returncode)
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


def blocks(page):
    """Language and text of a page's blocks that can be run, in order."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.M | re.S)


def filmed(number, video):
    """A person's recording: images [T, SIZE, SIZE, 3] uint8, and codes [T, 12] in {0, 1, 9}."""
    preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=FRAMES, length_spread=0.0)
    chunks = list(synthfacs.render_video(preset, 5, f"F{number:03}", video, view="scene", size=SIZE))
    labels = np.concatenate([chunk.labels for chunk in chunks])
    return np.concatenate([chunk.frames for chunk in chunks]), np.where(labels == 0, 9, labels > 0)


def write_bp4d(root, number, images, codes):
    """A subject of BP4D: a folder of frames, and a table whose column k is AU k."""
    subject = f"F{number:03}"
    write_frames(root / subject / "T1", images)
    (root / "AUCoding/AU_OCC").mkdir(parents=True, exist_ok=True)
    rows = [",".join(str(column) for column in range(100))]
    for place, row in enumerate(codes):
        by_au = dict(zip(PAPER_AUS, row, strict=True))
        rows.append(",".join([str(place + 1), *(str(by_au.get(column, 9)) for column in range(1, 100))]))
    (root / f"AUCoding/AU_OCC/{subject}_T1.csv").write_text("\n".join(rows) + "\n")


def write_video(path, images, codes):
    """A video, and beside it a table of codes; AU 25 has those of AU 10."""
    from au_jax.faces.video_writer import VideoWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, 30.0, SIZE, SIZE)
    for image in images:
        writer.write(image)
    writer.close()
    rows = [",".join(["frame", *(f"AU{au:02}" for au in PAPER_AUS), "AU25"])]
    rows += [f"{place + 1}," + ",".join(map(str, [*row, row[5]])) for place, row in enumerate(codes)]
    path.with_suffix(".csv").write_text("\n".join(rows) + "\n")


def write_events(path, images, codes):
    """A video, and beside it an ELAN file of its events."""
    write_video(path, images, codes)
    path.with_suffix(".csv").unlink()
    labels = np.select([codes == 9, codes == 1], [0, 1], -1).astype(np.int8)
    write_elan(
        path.with_suffix(".eaf"), events_from_labels(labels, np.arange(len(labels)) / 30, PAPER_AUS), media=path.name
    )


def write_frames(folder, images):
    """A folder of frames, numbered from 1."""
    folder.mkdir(parents=True)
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place + 1}.jpg", quality=92)


@pytest.fixture(scope="module")
def place(tmp_path_factory, scene):
    """A folder as a user's clone, with a run of the demo, recordings and a clip, and the environment to run commands in it."""
    pytest.importorskip("av", reason="PyAV is not installed: make video")
    pytest.importorskip("dlib", reason="dlib is not installed: make video")
    folder = tmp_path_factory.mktemp("clone")
    for name in ("au_jax", "configs", "experiments"):
        (folder / name).symlink_to(ROOT / name)
    for number in range(1, PEOPLE + 1):
        images, codes = filmed(number, "T1")
        write_bp4d(folder / "raw/BP4D", number, images, codes)
        if number <= 4:
            write_video(folder / f"recordings/person{number}/interview.mp4", images, codes)
            write_events(folder / f"coded/person{number}/interview.mp4", images, codes)
        write_video(folder / f"raw/GFT/P{number:02}.mp4", *filmed(number, "T2"))
    write_video(folder / "clip.mp4", *scene)
    write_frames(folder / "frames", scene[0])
    for name, text in (
        ("python", PYTHON.format(executable=sys.executable)), ("au-jax", PYTHON.format(executable=sys.executable)),
        ("sbatch", SBATCH), ("srun", SRUN),
    ):  # fmt: skip
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # Compiled as a user's: the flags that make tests compile quickly once gave a program that never ended.
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder), "XLA_FLAGS": flags}
    run(["bash", "-c", "au-jax train --config=demo --workdir=runs/demo"], (folder, environment))  # make demo
    return folder, environment


def script(block, folder):
    """A block of a page for this machine: the user's own folders are ours, and nothing is installed."""
    block = re.sub(r"^(make|pip|\.) .*$", "", block, flags=re.M)
    # Folds side by side want a device each; here, two of them in turn.
    block = block.replace("for i in 0 1 2 3 4 5 6 7;", "for i in 0 1;").replace("& done; wait", "; done")
    block = re.sub(r"^for i in 8 9;.*$", "", block, flags=re.M)
    # Any run may be left out of a table.
    block = re.sub(r",runs/(\w+_10fold)", "", block)
    return block.replace("/data/", f"{folder}/raw/")


def run(words, place):
    """Runs a command and gives the end of what it said if it fails."""
    folder, environment = place
    done = subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{words[-1]}\n{done.stdout[-3000:]}"


def test_every_page_with_commands_is_run():
    # A system or reader to write, and contributing, are no commands. Hours of training are run small by the tests of
    # experiments.ablations and experiments.seen_seconds.
    others = {
        "docs/how-to/add-a-system.md", "docs/how-to/add-a-reader.md", "docs/results/ablations.md",
        "docs/results/long-recordings.md", "docs/how-to/landmarks.md",
    }  # fmt: skip
    pages = ["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
    assert {page for page in pages if blocks(page)} - others == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs_in_its_order(page, place):
    folder, _ = place
    for path in PAGES[page]:
        # Of a page before.
        if path.startswith("runs/") and not path.startswith("runs/demo/"):
            shutil.rmtree(folder.joinpath(*Path(path).parts[:2]), ignore_errors=True)
        else:
            (folder / path).unlink(missing_ok=True)
    for language, block in blocks(page):
        if language == "python":
            run([sys.executable, "-c", block], place)
            continue
        # Tables are of runs of the user's own: of those that the page has made so far.
        for dataset, protocol in itertools.product(("bp4d", "gft"), ("3fold", "cross")):
            made, own = folder / f"runs/smoke/{dataset}_{protocol}", folder / f"runs/{dataset}_{protocol}"
            if made.exists() and not own.exists():
                shutil.copytree(made, own)
        run(["bash", "-euo", "pipefail", "-c", script(block, folder)], place)
    for path in PAGES[page]:
        assert (folder / path).stat().st_size > 0, path
