"""From a finished run to figures of one's own, cell by cell: open it in an editor that knows `# %%` cells, or run it whole.

    AU_JAX_RUN=runs/demo AU_JAX_PICTURE=walkthrough.png python -m experiments.walkthrough

takes no arguments; both variables are shown with their defaults.
"""

# %% A finished run: its config, its results, its scores
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import au_jax
from au_jax.labels import AU_NAMES

# An editor's kernel has arguments of its own.
if __name__ == "__main__" and sys.argv[1:] and not hasattr(sys, "ps1"):
    print(__doc__.strip())
    sys.exit(0 if sys.argv[1] in ("-h", "--help") else f"error: unknown argument {sys.argv[1]!r}; it takes none")

run = au_jax.load_run(os.environ.get("AU_JAX_RUN", "runs/demo"))
print(f"{run.workdir}: {', '.join(run.systems)} on {run.config.data.source}, folds {run.folds}")
for name in run.systems:
    metrics = run.results["systems"][name]
    low, high = metrics["intervals"]["f1_frame"]["average"]
    print(f"{name:>8}: F1-frame {metrics['f1_frame']['average']:.1f} ({low:.1f} to {high:.1f})")

# %% The metrics, from arrays: the average of the table above once more, from the saved scores of the test frames
best = run.best_system
scored = run.scores(best)
labels = np.concatenate([scored.labels[key] for key in scored.labels])  # [N, 12]: +1 present, -1 absent, 0 missing
scores = np.concatenate([scored.scores[key] for key in scored.labels])  # [N, 12]: above 0 present
f1 = 100 * au_jax.metrics.f1(au_jax.metrics.counts(labels, scores))
average, defined = au_jax.metrics.average(f1)
print(f"{best}: {average:.1f} over {defined} AUs and {len(labels)} frames")

# %% Another question: how much would a threshold of one's own change?
for threshold in (-0.5, 0.0, 0.5):
    moved = au_jax.metrics.f1(au_jax.metrics.counts(labels, scores, threshold))
    print(f"threshold {threshold:+.1f}: {100 * au_jax.metrics.average(moved)[0]:.1f}")

# %% The dataset: registered faces with landmarks and labels, a split per person
dataset = au_jax.load_dataset(run.config.data)
by_activity = sorted(scored.labels, key=lambda key: (scored.labels[key] > 0).mean())
video = by_activity[len(by_activity) // 2]
truth = scored.labels[video]
subject = video.rpartition("/")[0]
records = dataset.records(subject)
place = next(one for one in records.videos if one.key == video)
print(f"{len(dataset.subjects)} people; {video} has {len(place)} frames of {dataset.image_size} pixels")

# %% Its pictures, read from where they lie
from au_jax.data.dataset import FaceSet  # noqa: E402
from au_jax.data.input_pipeline import read_frames  # noqa: E402

faces = np.stack(list(read_frames(FaceSet(dataset, (subject,)), range(place.start, place.stop))))
print(f"faces {faces.shape} {faces.dtype}")

# %% The trained networks on these faces (`detect` does it for a video file, whose faces it finds first)
systems = tuple(name for name in ("anet", "hybrid") if name in run.systems)
detector = au_jax.Detector.from_run(run.workdir, folds=run.folds, systems=systems)
found = detector.score(faces)[systems[-1]]
rates = (found > 0).mean(0)
true_rates = np.ma.masked_equal(truth, 0).clip(0).mean(0).filled(np.nan)
print(f"{'':28}present in % of the frames: by {systems[-1]}, truly")
for au, rate, true_rate in zip(run.aus, rates, true_rates, strict=True):
    print(f"AU {au:>2} {AU_NAMES[au]:<22} {100 * rate:3.0f} {100 * true_rate:3.0f}")

# %% The same detector as one file, which needs neither Flax nor TensorFlow
from au_jax.inference.exported import export  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "detector.zip"
    export(run.workdir, path, run.folds, systems)
    single = au_jax.exported.load(path)
again = single.score(faces)[systems[-1]]
difference = float(np.abs(again - found).max())
print(f"largest difference to the run's own detector: {difference:.1e}")

# %% A picture: scores of the AU that comes and goes most, over time, beside the truth
from matplotlib.figure import Figure  # noqa: E402

row = int(np.abs(np.diff(truth, axis=0)).sum(0).argmax())
figure = Figure(figsize=(8, 2.5), layout="constrained")
axes = figure.subplots()
axes.fill_between(np.arange(len(truth)), truth[:, row] > 0, step="mid", color="#d0d0d0", label="truth")
axes.plot(au_jax.exported.sigmoid(found[:, row]), label=systems[-1])
axes.set(title=f"{video}: AU {run.aus[row]}, {AU_NAMES[run.aus[row]]}", xlabel="frame", ylim=(0, 1))
axes.legend()
figure.savefig(os.environ.get("AU_JAX_PICTURE", "walkthrough.png"))
