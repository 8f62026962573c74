"""The figures' commands on a small trained run: files, numbers worked out a second time, and mistakes in one line."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from experiments.samples import draw_sample
from experiments.trained import TrainedRun
from sklearn.metrics import average_precision_score

from au_jax import files
from au_jax.descriptors.shape import shape
from au_jax.descriptors.vgg_face import LAYERS, Weights
from au_jax.errors import UserError
from au_jax.explain.divergence import distributions, js_divergence
from au_jax.labels import AUS
from au_jax.training.trainer import best_params
from experiments import fig3 as fig3_module
from experiments.cooccurrence import cooccurrence
from experiments.fig2 import fig2
from experiments.fig3 import fig3
from experiments.fig4 import fig4
from experiments.fig5 import ascent_settings, fig5, moved_regions
from experiments.precision_recall import precision_recall

# TFDS's and scikit-learn's own arithmetic mixes dtypes.
pytestmark = pytest.mark.optax


def read(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def is_whole(folder, name):
    return all((folder / f"{name}.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))


def test_fig2_has_the_filters_of_the_checkpoint(finished, tmp_path):
    fig2(finished, finished, fold=1, out=tmp_path)
    assert is_whole(tmp_path, "fig2")
    rows = read(tmp_path / "fig2.csv")
    kernel = best_params(finished / "fold_01" / "anet")["conv1"]["kernel"]
    assert len(rows) == 2 * (kernel.shape[3] + 1)
    energy = np.square(kernel[..., 4]).sum()
    chromatic = np.square(kernel[..., 4] - kernel[..., 4].mean(2, keepdims=True)).sum()
    assert float(rows[5]["energy"]) == pytest.approx(energy, rel=1e-4)
    assert float(rows[5]["chromatic_share"]) == pytest.approx(chromatic / energy, rel=1e-4)
    # The other run's fold 0 is another network.
    assert rows[0]["chromatic_share"] != rows[kernel.shape[3] + 1]["chromatic_share"]


def test_sample_is_spread_over_people_and_time(finished):
    run = TrainedRun(finished)
    sample = draw_sample(run.dataset, run.dataset.subjects, people=3, per_person=10)
    everyone = run.dataset.subjects
    assert sample.subjects == (everyone[0], everyone[2], everyone[-1])
    assert len(sample.images) == 30 and sample.images.shape[1:] == (40, 40, 3)
    for index, subject in enumerate(sample.subjects):
        own = sample.subject == index
        assert sample.half[own].tolist() == [0] * 5 + [1] * 5
        records = run.dataset.records(subject)
        for image, landmarks, video, number in zip(
            sample.images[own], sample.landmarks[own], sample.videos[own], sample.frames[own], strict=True
        ):
            place = next(v for v in records.videos if v.name == video)
            row = place.start + records.frames[place.start : place.stop].tolist().index(number)
            np.testing.assert_array_equal(landmarks, records.landmarks[row])
            assert records.found[row] and image.std() > 5
    with pytest.raises(UserError, match="--people=-1"):
        draw_sample(run.dataset, everyone, people=-1, per_person=10)


def test_fig3_leaves_vgg_face_out_and_says_where_to_get_it(finished, tmp_path, capsys):
    fig3(finished, people=3, frames=30, out=tmp_path)
    assert "VGG-Face is left out: get vgg_face.mat" in capsys.readouterr().out
    assert is_whole(tmp_path, "fig3")
    rows = read(tmp_path / "fig3.csv")
    assert {row["descriptor"] for row in rows} == {"HOG", "fc7"}
    subject = [row for row in rows if row["target"] == "subject"]
    assert {round(float(row["chance"]), 3) for row in subject} == {0.333}
    points = read(tmp_path / "fig3_points.csv")
    assert len(points) == 2 * 90 and len({row["subject"] for row in points}) == 3
    # Frames of a person are alike.
    hog = next(row for row in subject if row["descriptor"] == "HOG" and row["neighbours_in"] == "descriptor")
    assert float(hog["accuracy"]) > 0.5


def test_fig3_with_vgg_face_and_another_runs_network(finished, tmp_path, monkeypatch):
    rng, channels, params = np.random.default_rng(0), 3, {}
    for name in LAYERS:
        side = 1 if name.startswith("fc") else 3
        params[name] = {
            "kernel": rng.normal(size=(side, side, channels, 6)).astype(np.float32) * np.float32(0.2),
            "bias": np.full(6, 0.1, np.float32),
        }
        channels = 6
    monkeypatch.setattr(fig3_module, "read_vgg_face", lambda path: Weights(params, np.full(3, 100, np.float32)))
    fig3(finished, other=finished, vgg_face=tmp_path / "vgg_face.mat", people=4, frames=8, out=tmp_path)
    rows = read(tmp_path / "fig3.csv")
    assert {row["descriptor"] for row in rows} == {"HOG", "VGG-Face", "fc7"}
    assert len({row["subject"] for row in read(tmp_path / "fig3_points.csv")}) == 4


def test_fig4_sums_are_those_of_the_formula(finished, tmp_path):
    fig4(finished, people=3, frames=8, out=tmp_path)
    assert is_whole(tmp_path, "fig4")
    run = TrainedRun(finished)
    sample = draw_sample(run.dataset, run.test_subjects, 3, 8)
    rows = distributions(sample.subject_means(shape(sample.landmarks, 40)))
    sums = [sum(js_divergence(p, q) for q in rows) for p in rows]
    found = read(tmp_path / "fig4_subjects.csv")
    assert [row["subject"] for row in found] == list(sample.subjects)
    np.testing.assert_allclose([float(row["Shape"]) for row in found], sums, rtol=1e-4)
    table = {row["feature"]: row for row in read(tmp_path / "fig4.csv")}
    assert list(table) == ["fc7", "HOG", "Gabor", "Shape"]
    assert float(table["Shape"]["sum_mean"]) == pytest.approx(np.mean(sums), rel=1e-4)
    assert [int(table[name]["dimensions"]) for name in ("HOG", "Gabor", "Shape")] == [6272, 1960, 98]
    assert len(read(tmp_path / "fig4_order.csv")) == 4


def test_fig4_of_two_runs_shows_each_with_the_others_network(finished, tmp_path):
    fig4(finished, other=finished, people=4, frames=4, median_of="abs", out=tmp_path)
    assert len(read(tmp_path / "fig4.csv")) == 8
    with pytest.raises(UserError, match="--median_of=mean: choose one of values, abs"):
        fig4(finished, median_of="mean")
    with pytest.raises(UserError, match="2 people are too few"):
        fig4(finished, people=2, frames=4)


def test_faces_of_another_size_are_refused(finished):
    with pytest.raises(UserError, match="trained on faces of 40 px and is shown faces of 72 px"):
        TrainedRun(finished).fc7(np.zeros((1, 72, 72, 3), np.uint8))


def test_fc7_is_that_of_the_system(finished):
    run = TrainedRun(finished)
    kept = files.read_npz(finished / "fold_00" / "hybrid" / "features" / "pca.npz")
    subject = files.read_json(finished / "split.json")["folds"][0]["validation"][0]
    sample = draw_sample(run.dataset, (subject,), 1, 10_000)
    rows = (run.fc7(sample.images) - kept["mean"]) @ kept["components"].T
    stored = files.read_npz(finished / "fold_00" / "hybrid" / "features" / f"{subject}.npz")["features"]
    found = run.dataset.records(subject).found
    np.testing.assert_allclose(rows, stored[found], atol=2e-4)


def test_fig5_shows_all_aus_and_its_scores_are_the_networks(finished, tmp_path):
    fig5(finished, preset="yosinski1", iterations=30, out=tmp_path)
    assert is_whole(tmp_path, "fig5")
    rows = read(tmp_path / "fig5.csv")
    assert [int(row["made_for_au"]) for row in rows] == list(AUS)
    for row in rows:
        scores = {au: float(row[f"au{au}"]) for au in AUS}
        assert (row["own_is_highest"] == "True") == (max(scores, key=scores.get) == int(row["made_for_au"]))
    energy = read(tmp_path / "fig5_energy.csv")
    assert all(0 < float(row["energy_in_region"]) < 1 for row in energy)


def test_regions_are_where_the_aus_are():
    regions = moved_regions(200, slice(12, 188))
    assert regions.shape == (12, 176, 176)
    rows = {au: np.flatnonzero(regions[index].any(1)) + 12 for index, au in enumerate(AUS)}
    for au in (1, 2, 4):  # brows, above the eyes at 65
        assert rows[au].max() < 75
    for au in (12, 15, 17, 23, 24):  # mouth and chin, below the nose's tip at 100
        assert rows[au].min() > 85
    # The template's middle is at x = 100, between columns 87 and 89 of the crop.
    # A last pixel of a region may fall to either side.
    assert (regions[:, :, :0:-1] != regions[:, :, 1:]).sum() <= 2 * 12
    # The same at another size, of which the CNN sees another crop.
    small = moved_regions(100, slice(6, 94))
    np.testing.assert_allclose(small.mean((1, 2)), regions.mean((1, 2)), atol=0.01)


def test_settings_are_the_presets_unless_told_otherwise():
    assert ascent_settings("paper", 0).iterations == 10_000
    assert ascent_settings("yosinski2", 7).iterations == 7
    with pytest.raises(UserError, match="--preset=best: choose one of paper, yosinski1"):
        ascent_settings("best", 0)
    with pytest.raises(UserError, match="--iterations=-1"):
        ascent_settings("paper", -1)


def test_precision_recall_agrees_with_scikit_learn_on_the_score_files(finished, tmp_path):
    precision_recall(finished, out=tmp_path)
    assert is_whole(tmp_path, "precision_recall")
    rows = {(row["system"], int(row["au"])): row for row in read(tmp_path / "precision_recall_summary.csv")}
    for system in ("hog_svm", "hybrid"):
        for au in (10, 12):
            areas = []
            for fold in ("fold_00", "fold_01"):
                saved = files.read_npz(finished / fold / "scores" / f"{system}.npz")
                labels, scores = (
                    np.concatenate([saved[key][:, AUS.index(au)] for key in sorted(saved) if key.endswith(column)])
                    for column in ("/labels", "/scores")
                )
                areas.append(average_precision_score(labels[labels != 0] > 0, scores[labels != 0]))
            assert float(rows[system, au]["average_precision"]) == pytest.approx(np.mean(areas), rel=1e-4)


def test_cooccurrence_counts_the_score_files(finished, tmp_path):
    cooccurrence(finished, system="anet", out=tmp_path)
    assert is_whole(tmp_path, "cooccurrence")
    rows = {(int(row["while_au"]), int(row["au"])): row for row in read(tmp_path / "cooccurrence.csv")}
    labels, scores = [], []
    for fold in ("fold_00", "fold_01"):
        saved = files.read_npz(finished / fold / "scores" / "anet.npz")
        labels += [saved[key] for key in sorted(saved) if key.endswith("/labels")]
        scores += [saved[key] for key in sorted(saved) if key.endswith("/scores")]
    labels, scores = np.concatenate(labels), np.concatenate(scores)
    six, twelve = AUS.index(6), AUS.index(12)
    known = (labels[:, six] != 0) & (labels[:, twelve] != 0)
    for name, present in (("labels", labels > 0), ("anet", scores > 0)):
        both = (present[known, six] & present[known, twelve]).sum()
        assert float(rows[6, 12][name]) == pytest.approx(both / present[known, six].sum(), rel=1e-4)
    with pytest.raises(UserError, match="no system 'cnn'; choose one of hog_svm, anet, hybrid"):
        cooccurrence(finished, system="cnn")


def test_a_command_tells_a_mistake_in_one_line(tmp_path, main_command):
    command = [sys.executable, "-m", "experiments.fig2", f"--run={tmp_path}"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    told = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(told) == 1 and "is not a run (it has no config.json)" in told[0]
