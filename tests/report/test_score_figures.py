"""Precision-recall and co-occurrence: nothing is cut off, the words say the numbers, and these are those of the score files."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from au_jax import files
from au_jax.errors import CommandError
from au_jax.labels import PAPER_AUS
from au_jax.report import score_figures
from au_jax.report.page import save_cooccurrence, save_precision_recall


def test_precision_recall_of_many_systems_with_an_au_that_never_occurs(scored_maker, pixels_of):
    systems = {
        name: [scored_maker(seed, absent=(8,)), scored_maker(seed + 9, absent=(8,))]
        for seed, name in enumerate("abcdef")
    }
    drawing = score_figures.draw_precision_recall(systems, PAPER_AUS)
    pixels_of(drawing)
    rows = list(score_figures.summary_rows(systems, PAPER_AUS))
    assert len(rows) == 6 * 11 and 15 not in {row["au"] for row in rows}
    one = next(row for row in rows if row["system"] == "c" and row["au"] == 12)
    labels, scores = (np.concatenate([fold.joined()[part][:, 6] for fold in systems["c"]]) for part in (0, 1))
    predicted, there = (scores > 0) & (labels != 0), labels > 0
    assert one["recall_at_0"] == pytest.approx((predicted & there).sum() / there.sum())
    assert one["precision_at_0"] == pytest.approx((predicted & there).sum() / predicted.sum())
    mean = np.mean([row["average_precision"] for row in rows if row["system"] == "a"])
    assert f"a {100 * mean:.1f} %" in drawing.alt
    assert len(list(score_figures.precision_recall_rows(systems, PAPER_AUS))) == 6 * 11 * 100


def test_cooccurrence_where_nothing_is_predicted(scored_maker, pixels_of):
    nothing = scored_maker(0)
    for rows in nothing.scores.values():
        rows[:] = -1.0
    drawing = score_figures.draw_cooccurrence("anet", nothing, PAPER_AUS)
    pixels_of(drawing)
    assert "mean difference undefined" in drawing.alt
    table = list(score_figures.cooccurrence_rows({"anet": nothing, "hybrid": scored_maker(1)}, PAPER_AUS))
    assert len(table) == 144 and np.isnan(table[1]["anet"]) and 0 < table[1]["hybrid"] < 1


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 6, 12, 25, 26), tuple(range(1, 26))])
def test_any_aus_have_their_panel_and_their_rows(aus, scored_maker, pixels_of):
    systems = {name: [scored_maker(seed, len(aus))] for seed, name in enumerate(("anet", "hybrid"))}
    drawing = score_figures.draw_precision_recall(systems, aus)
    pixels_of(drawing)
    titles = [axes.get_title() for axes in drawing.figure.axes]
    assert [int(title.split()[1]) for title in titles] == list(aus)
    assert {row["au"] for row in score_figures.summary_rows(systems, aus)} == set(aus)
    both = score_figures.draw_cooccurrence("anet", systems["anet"][0], aus)
    pixels_of(both)
    ticks = [label.get_text() for label in both.figure.axes[0].get_yticklabels()]
    assert ticks == [f"AU {au}" for au in aus]


def test_precision_recall_agrees_with_scikit_learn_on_the_score_files(finished, tmp_path, written):
    save_precision_recall(finished, out=tmp_path)
    assert written.is_whole("precision_recall")
    rows = {(row["system"], int(row["au"])): row for row in written.rows("precision_recall_summary")}
    for system in ("hog_svm", "hybrid"):
        for au in (10, 12):
            areas = []
            for fold in ("fold_00", "fold_01"):
                saved = files.read_npz(finished / fold / "scores" / f"{system}.npz")
                labels, scores = (
                    np.concatenate(
                        [saved[key][:, PAPER_AUS.index(au)] for key in sorted(saved) if key.endswith(column)]
                    )
                    for column in ("/labels", "/scores")
                )
                areas.append(average_precision_score(labels[labels != 0] > 0, scores[labels != 0]))
            assert float(rows[system, au]["average_precision"]) == pytest.approx(np.mean(areas), rel=1e-4)


def test_cooccurrence_counts_the_score_files(finished, tmp_path, written):
    save_cooccurrence(finished, system="anet", out=tmp_path)
    assert written.is_whole("cooccurrence")
    rows = {(int(row["while_au"]), int(row["au"])): row for row in written.rows("cooccurrence")}
    labels, scores = [], []
    for fold in ("fold_00", "fold_01"):
        saved = files.read_npz(finished / fold / "scores" / "anet.npz")
        labels += [saved[key] for key in sorted(saved) if key.endswith("/labels")]
        scores += [saved[key] for key in sorted(saved) if key.endswith("/scores")]
    labels, scores = np.concatenate(labels), np.concatenate(scores)
    six, twelve = PAPER_AUS.index(6), PAPER_AUS.index(12)
    known = (labels[:, six] != 0) & (labels[:, twelve] != 0)
    for name, present in (("labels", labels > 0), ("anet", scores > 0)):
        both = (present[known, six] & present[known, twelve]).sum()
        assert float(rows[6, 12][name]) == pytest.approx(both / present[known, six].sum(), rel=1e-4)
    with pytest.raises(CommandError, match="no system 'cnn'; choose one of hog_svm, anet, hybrid"):
        save_cooccurrence(finished, system="cnn")
