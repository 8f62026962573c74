"""Learning curves: which stages have one, and which epoch has the ring."""

from au_jax import files
from au_jax.report import score_figures, style


def test_stages_are_grouped_over_folds_and_single_figures_are_no_curve(tmp_path):
    lines = [
        '{"stage": "fold_01/anet/cnn", "epoch": 0, "train_loss": 2.0}',
        '{"stage": "fold_00/anet/cnn", "epoch": 1, "train_loss": 0.5}',
        '{"stage": "fold_00/anet/cnn", "epoch": 0, "train_loss": 1.0}',
        '{"stage": "fold_00/hog_svm", "epoch": 0, "pca_components": 9}',
        '{"stage": "fold_00/anet/cnn", "epoch": 2, "trai',
    ]
    files.write_text(tmp_path / "logs" / "metrics.jsonl", "\n".join(lines))
    stages = score_figures.trained_stages(tmp_path)
    assert list(stages) == ["anet/cnn"]
    assert list(stages["anet/cnn"]) == ["fold_00", "fold_01"]
    assert [row["train_loss"] for row in stages["anet/cnn"]["fold_00"]] == [1.0, 0.5]


def test_kept_epoch_has_a_ring_on_validation_curves_only(tmp_path):
    files.write_json(tmp_path / "fold_00" / "anet" / "finished.json", {"best_epoch": 1})
    rows = [{"epoch": n, "train_loss": 1.0, "validation_loss": 2.0 + n, "validation_f1": 0.5} for n in range(3)]
    with style.look():
        drawing = score_figures.draw_curves(tmp_path, "anet/cnn", {"fold_00": rows})
        loss, f1 = drawing.figure.axes
        assert [line.get_xydata().tolist() for line in loss.lines if len(line.get_xdata()) == 1] == [[[1, 3.0]]]
        assert [line.get_xydata().tolist() for line in f1.lines if len(line.get_xdata()) == 1] == [[[1, 50.0]]]


def test_ten_folds_are_told_apart_by_colour_and_marker():
    looks = [(one.colour, one.marker) for one in style.fold_series(10)]
    assert len(set(looks)) == 10
