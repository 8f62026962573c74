"""Makes the pictures of the documentation, in docs/images, from a run of the demo (a minute; needs the extra `video`).

python docs/images.py runs/demo

`method.svg` and `packages.svg` are drawn by hand.
"""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

from au_jax import synthfacs
from au_jax.faces.video_writer import VideoWriter

IMAGES = Path(__file__).parent / "images"
HEIGHT, WIDTH, FRAMES = 360, 480, 60


def main(run: str) -> None:
    """Writes all pictures."""
    for name in ("f1_frame", "precision_recall"):
        (IMAGES / f"demo_{name}.svg").write_bytes(Path(run, f"figures/{name}.svg").read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _command("au_jax.synthfacs.contact_sheet", f"--out={here / 'sheet.png'}")
        Image.open(here / "sheet.png").convert("RGB").save(IMAGES / "synthfacs.jpg", quality=70, optimize=True)
        _film(here / "clip.mp4")
        _command(
            "au_jax.predict", f"--run={run}", f"--video={here / 'clip.mp4'}", f"--out={here / 'clip.csv'}",
            f"--overlay={here / 'aus.mp4'}", f"--plot={here / 'plot.png'}",
        )  # fmt: skip
        plot = Image.open(here / "plot.png").convert("RGB")
        plot.resize((900, 900 * plot.height // plot.width), Image.Resampling.LANCZOS).quantize(64).save(
            IMAGES / "predict_plot.png", optimize=True
        )
        with av.open(str(here / "aus.mp4")) as video:
            frames = [frame.to_image() for frame in video.decode(video=0)]
        frames[3 * FRAMES // 4].save(IMAGES / "predict_overlay.jpg", quality=85)


def _film(path: Path) -> None:
    """A synthetic person in a video of 480 x 360."""
    preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=FRAMES, length_spread=0.0)
    writer = VideoWriter(path, 25.0, WIDTH, HEIGHT)
    for chunk in synthfacs.render_video(preset, 7, "F020", "T1", view="scene", size=HEIGHT):
        for frame in chunk.frames:
            sides = (WIDTH - HEIGHT) // 2
            writer.write(np.pad(frame, ((0, 0), (sides, sides), (0, 0)), constant_values=60))
    writer.close()


def _command(module: str, *options: str) -> None:
    subprocess.run([sys.executable, "-m", module, *options], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
