"""Learning curves: which stages have one, and which epoch has the ring. JPML's patches: weights of the folds on one scale."""

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.faces.registration import TEMPLATE
from au_jax.labels import PAPER_AUS
from au_jax.report import style, training_figures
from au_jax.report.page import write_report


def test_stages_are_grouped_over_folds_and_single_numbers_are_no_curve(tmp_path):
    lines = [
        '{"stage": "fold_01/anet/cnn", "epoch": 0, "train_loss": 2.0}',
        '{"stage": "fold_00/anet/cnn", "epoch": 1, "train_loss": 0.5}',
        '{"stage": "fold_00/anet/cnn", "epoch": 0, "train_loss": 1.0}',
        '{"stage": "fold_00/hog_svm", "epoch": 0, "pca_components": 9}',
        '{"stage": "fold_00/anet/cnn", "epoch": 2, "trai',
    ]
    files.write_text(tmp_path / "logs" / "metrics.jsonl", "\n".join(lines))
    stages = training_figures.trained_stages(tmp_path)
    assert list(stages) == ["anet/cnn"]
    assert list(stages["anet/cnn"]) == ["fold_00", "fold_01"]
    assert [row["train_loss"] for row in stages["anet/cnn"]["fold_00"]] == [1.0, 0.5]


def test_kept_epoch_has_a_ring_on_validation_curves_only(tmp_path):
    files.write_json(tmp_path / "fold_00" / "anet" / "finished.json", {"best_epoch": 1})
    rows = [{"epoch": n, "train_loss": 1.0, "validation_loss": 2.0 + n, "validation_f1": 0.5} for n in range(3)]
    with style.context():
        drawing = training_figures.draw_curves(tmp_path, "anet/cnn", {"fold_00": rows})
        loss, f1 = drawing.figure.axes
        assert [line.get_xydata().tolist() for line in loss.lines if len(line.get_xdata()) == 1] == [[[1, 3.0]]]
        assert [line.get_xydata().tolist() for line in f1.lines if len(line.get_xdata()) == 1] == [[[1, 50.0]]]


@pytest.fixture
def workdir(tmp_path):
    """Two folds in which AU 1 has patches 3 and 30, AU 14 none, and the others all."""
    for fold in (0, 2):
        norms = np.random.default_rng(fold).random((49, 12)).astype(np.float32)
        norms[:, 0] = 0.0
        norms[3, 0], norms[30, 0] = 4.0, 1.0 if fold else 3.0
        norms[:, 7] = 0.0
        files.write_npz(tmp_path / f"fold_{fold:02d}" / "jpml" / "model.npz", {"patch_norms": norms})
    return tmp_path


def dots(drawing, number):
    """Places, weights and areas of an AU's dots."""
    (collection,) = drawing.figure.axes[number].collections
    return collection.get_offsets(), collection.get_array(), collection.get_sizes()


def test_weights_of_each_fold_are_divided_by_the_heaviest_and_averaged():
    norms = np.zeros((2, 49, 12))
    norms[0, :3, 4], norms[1, :3, 4] = [2.0, 1.0, 0.0], [0.1, 0.2, 0.0]
    weights = training_figures.patch_weights(norms)
    np.testing.assert_allclose(weights[:3, 4], [0.75, 0.75, 0.0])
    assert not weights[:, [0, 11]].any()


def test_dots_stand_on_the_landmarks_in_use_as_large_as_they_weigh(workdir):
    with style.context():
        drawing = training_figures.draw_patches(workdir, (0, 2), PAPER_AUS)
    places, weights, areas = dots(drawing, 0)
    np.testing.assert_allclose(places, TEMPLATE[[30, 3]])
    np.testing.assert_allclose(weights, [0.5, 1.0])
    assert areas[1] == pytest.approx(2 * areas[0])
    assert len(dots(drawing, 7)[1]) == 0 and len(dots(drawing, 11)[1]) == 49
    assert "AU 1 uses 2 of 49" in drawing.alt and "AU 14 uses 0 of 49" in drawing.alt
    titles = [axes.get_title() for axes in drawing.figure.axes[:12]]
    assert titles[0] == "AU 1  inner brow raiser" and titles[11] == "AU 24  lip pressor"


def test_the_drawn_lines_pass_all_landmarks():
    assert {point for line in training_figures._LINES for point in line} == set(range(49))


def test_the_report_shows_them_for_jpml_alone(workdir, drawn_faces, run_maker, draw_only):
    draw_only("patches")
    for systems, expected in ((("hog_svm", "jpml"), True), (("hog_svm",), False)):
        write_report(workdir, **run_maker(workdir, drawn_faces, systems, (0, 2)))
        page = (workdir / "report.html").read_text()
        assert ("AU 1 uses 2 of 49" in page) == ('href="#facial-patches"' in page) == expected
    assert (workdir / "figures" / "patches.png").exists()


def test_a_model_that_is_gone_is_named_and_the_page_is_written(workdir, drawn_faces, run_maker, draw_only):
    draw_only("patches")
    (workdir / "fold_02" / "jpml" / "model.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"patches could not be drawn .*fold_02/jpml/model.npz is damaged"):
        write_report(workdir, **run_maker(workdir, drawn_faces, ("jpml",), (0, 2)))
    assert "This picture could not be drawn" in (workdir / "report.html").read_text()


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 6, 12, 25, 26), tuple(range(1, 26))])
def test_patches_of_any_aus(tmp_path, aus, pixels_of):
    norms = np.random.default_rng(0).random((49, len(aus))).astype(np.float32)
    files.write_npz(tmp_path / "fold_00" / "jpml" / "model.npz", {"patch_norms": norms})
    drawing = training_figures.draw_patches(tmp_path, (0,), aus)
    pixels_of(drawing)
    # A panel per AU, and the scale of the weights.
    assert len(drawing.figure.axes) == len(aus) + 1 and f"AU {aus[-1]} uses 49 of 49" in drawing.alt
