"""Metrics of frames and trivial predictors, by hand and by scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from au_jax.evaluation.metrics import (
    F1_NORM_DEFINITIONS,
    Counts,
    always_present,
    auc,
    average,
    cooccurrence,
    counts,
    f1,
    f1_micro,
    f1_norm,
    mean_precision,
    per_fold,
    persistence,
    pooled,
    precision_recall,
)


def _counts(tp, fp, fn, tn):
    return Counts(*(np.array([value]) for value in (tp, fp, fn, tn)))


def _random(seed, frames=200):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], p=[0.6, 0.1, 0.3], size=(frames, 12)).astype(np.int8)
    scores = np.round(rng.normal(size=(frames, 12)) + 0.5 * labels, 1).astype(np.float32)  # rounded: ties, and zeros
    return labels, scores


def test_counts_worked_by_hand_skip_missing_labels_and_score_zero_is_absent():
    labels = np.array([[1], [1], [-1], [-1], [0], [0], [1]])
    scores = np.array([[0.5], [-0.5], [0.5], [-0.5], [9.0], [-9.0], [0.0]])
    count = counts(labels, scores)
    assert (count.tp, count.fp, count.fn, count.tn) == (1, 1, 2, 1)
    assert count.tp.dtype == np.int64


def test_thresholds_may_differ_between_aus():
    labels, scores = np.array([[1, 1]]), np.array([[0.4, 0.4]])
    np.testing.assert_array_equal(counts(labels, scores, np.array([0.3, 0.5])).tp, [1, 0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_f1_and_auc_agree_with_scikit_learn(seed):
    labels, scores = _random(seed)
    ours_f1, ours_auc = f1(counts(labels, scores)), auc(labels, scores)
    for au in range(12):
        known = labels[:, au] != 0
        truth = labels[known, au] > 0
        assert ours_f1[au] == pytest.approx(f1_score(truth, scores[known, au] > 0))
        assert ours_auc[au] == pytest.approx(roc_auc_score(truth, scores[known, au]))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 199))
def test_counts_of_parts_add_up_to_the_whole(seed, cut):
    labels, scores = _random(seed)
    whole = counts(labels, scores)
    parts = pooled([counts(labels[:cut], scores[:cut]), counts(labels[cut:], scores[cut:])])
    for name in ("tp", "fp", "fn", "tn"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_f1_where_it_is_zero_and_where_it_is_undefined():
    assert f1(_counts(0, 0, 5, 5))[0] == 0.0  # positives, none found
    assert np.isnan(f1(_counts(0, 3, 0, 5))[0])  # nothing to find
    assert np.isnan(f1(_counts(0, 0, 0, 0))[0])  # no label at all
    assert np.isnan(f1(_counts(4, 0, 0, 0))[0]) and np.isnan(f1(_counts(0, 0, 4, 0))[0])  # nothing else to tell it from
    assert f1(_counts(4, 0, 0, 1))[0] == 1.0


def test_f1_micro_worked_by_hand():
    # AU 1: tp 6, fp 4, fn 2, f1 0.667; AU 2: tp 1, fp 0, fn 3, f1 0.4. Together 2 * 7 / (14 + 4 + 5).
    count = Counts(np.array([6, 1]), np.array([4, 0]), np.array([2, 3]), np.array([8, 9]))
    assert f1_micro(count) == pytest.approx(14 / 23)
    # An AU of one class is left out, as of the average; without any there is no value, and without a hit it is 0.
    one_class = Counts(np.array([6, 5]), np.array([4, 0]), np.array([2, 5]), np.array([8, 0]))
    assert f1_micro(one_class) == pytest.approx(12 / 18)
    assert np.isnan(f1_micro(Counts(*(np.array([n]) for n in (3, 0, 1, 0)))))
    assert f1_micro(Counts(*(np.array([n]) for n in (0, 3, 5, 5)))) == 0.0


def test_f1_micro_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 1], (50, 4), p=[0.7, 0.3])
    scores = rng.normal(size=(50, 4)) + 0.5 * labels
    assert f1_micro(counts(labels, scores)) == pytest.approx(f1_score(labels > 0, scores > 0, average="micro"))


def test_f1_norm_worked_by_hand():
    # 10 positives, 40 negatives; TP 6, FN 4, FP 8, TN 32.
    count = _counts(6, 8, 4, 32)
    # Jeni: negatives weigh 1/4, FP' = 2: P' = 6/8, R = 6/10.
    assert f1_norm(count, "jeni")[0] == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    # The text: FN' = 4 x 10/40 = 1: P = 6/14, R' = 6/7.
    assert f1_norm(count, "paper_literal")[0] == pytest.approx(12 / (12 + 8 + 1))
    # The code: FN' = 4 x (6 + 8)/(4 + 32).
    assert f1_norm(count, "author_code")[0] == pytest.approx(12 / (12 + 8 + 4 * 14 / 36))


@pytest.mark.parametrize("definition", F1_NORM_DEFINITIONS)
def test_f1_norm_at_its_edges(definition):
    assert f1_norm(_counts(0, 3, 5, 5), definition)[0] == 0.0
    assert np.isnan(f1_norm(_counts(0, 3, 0, 5), definition)[0])
    assert np.isnan(f1_norm(_counts(3, 0, 1, 0), definition)[0])
    assert f1_norm(_counts(3, 0, 0, 1), definition)[0] == 1.0


def test_jenis_f1_norm_does_not_depend_on_the_skew():
    few, many = _counts(6, 2, 4, 8), _counts(6, 200, 4, 800)
    assert f1_norm(few, "jeni")[0] == pytest.approx(f1_norm(many, "jeni")[0])
    assert f1(few)[0] > 2 * f1(many)[0]


def test_an_unknown_definition_is_named():
    with pytest.raises(
        ValueError, match="unknown F1-norm definition 'x'; choose from jeni, paper_literal, author_code"
    ):
        f1_norm(_counts(1, 1, 1, 1), "x")


def test_auc_needs_both_classes_and_halves_ties():
    labels = np.array([[1, 1, 1], [-1, 1, -1], [0, 1, 0]])
    scores = np.array([[0.3, 0.1, 0.9], [0.3, 0.2, 0.1], [9.0, 0.3, 9.0]])
    np.testing.assert_array_equal(auc(labels, scores), [0.5, np.nan, 1.0])


def test_average_leaves_undefined_aus_out_and_says_how_many_remain():
    mean, number = average(np.array([[0.2, np.nan, 0.4], [np.nan, np.nan, np.nan]]))
    np.testing.assert_allclose(mean, [0.3, np.nan])
    np.testing.assert_array_equal(number, [2, 0])


def test_pooled_and_per_fold_averages_differ_as_worked_by_hand():
    folds = [_counts(1, 0, 0, 9), _counts(1, 8, 0, 1), _counts(0, 1, 0, 9)]  # F1 1, 0.2, undefined
    assert f1(pooled(folds))[0] == pytest.approx(4 / (4 + 9))
    assert per_fold(folds, f1)[0] == pytest.approx(0.6)
    with pytest.raises(ValueError, match="no counts to sum"):
        pooled([])


def test_always_present_scores_two_p_over_one_plus_p():
    labels = np.where(np.arange(100)[:, None] < np.arange(5, 65, 5), 1, -1)
    rate = (labels > 0).mean(axis=0)
    np.testing.assert_allclose(f1(counts(labels, always_present(labels))), 2 * rate / (1 + rate))


def test_persistence_repeats_the_last_known_truth_within_a_video():
    labels = np.array([[1], [0], [-1], [1], [1], [0], [-1]])
    video = np.array([0, 0, 0, 0, 1, 1, 1])
    #  first frame, last was present, still present (one missing), was absent | new video, present, present
    np.testing.assert_array_equal(persistence(labels, video)[:, 0], [-1, 1, 1, -1, -1, 1, 1])
    assert persistence(labels, video).dtype == np.float32


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_persistence_agrees_with_a_plain_loop(seed):
    labels, _ = _random(seed, frames=60)
    video = np.sort(np.random.default_rng(seed).integers(0, 4, size=60))
    expected = np.full((60, 12), -1.0)
    for au in range(12):
        last, current = -1, None
        for t in range(60):
            if video[t] != current:
                last, current = -1, video[t]
            expected[t, au] = 1.0 if last > 0 else -1.0
            if labels[t, au] != 0:
                last = labels[t, au]
    np.testing.assert_array_equal(persistence(labels, video), expected)


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match=r"labels \(3, 12\) and scores \(2, 12\)"):
        counts(np.zeros((3, 12)), np.zeros((2, 12)))
    with pytest.raises(ValueError, match=r"labels must be -1, 0 or 1, found \[0, 9\]"):
        counts(np.array([[0], [9]]), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="NaN score"):
        counts(np.array([[1]]), np.array([[np.nan]]))
    counts(np.array([[0]]), np.array([[np.nan]]))  # no label, no harm


@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_curve_and_average_precision_are_those_of_scikit_learn(decimals):
    rng = np.random.default_rng(decimals)
    labels = rng.choice([-1, 0, 1], size=300, p=[0.6, 0.1, 0.3])
    scores = np.round(rng.normal(size=300) + 0.7 * labels, decimals)
    curve = precision_recall(labels, scores)
    known = labels != 0
    precision, recall, _ = precision_recall_curve(labels[known] > 0, scores[known])
    # Theirs runs from the lowest threshold to the highest and ends with the point (0, 1).
    np.testing.assert_allclose(curve.precision, precision[-2::-1])
    np.testing.assert_allclose(curve.recall, recall[-2::-1])
    assert curve.average_precision == pytest.approx(average_precision_score(labels[known] > 0, scores[known]))
    assert curve.base_rate == (labels > 0).sum() / known.sum()


def test_precision_at_a_recall_is_that_of_the_highest_threshold_that_reaches_it():
    # In order of score: hit, miss, hit, miss, miss, hit.
    curve = precision_recall(np.array([1, -1, 1, -1, -1, 1]), np.array([6.0, 5, 4, 3, 2, 1]))
    np.testing.assert_allclose(curve.at(np.array([0.1, 1 / 3, 0.5, 2 / 3, 0.9, 1.0])), [1, 1, 2 / 3, 2 / 3, 0.5, 0.5])


def test_folds_are_averaged_and_not_pooled():
    perfect = precision_recall(np.array([1, -1]), np.array([100.0, 99.0]))
    useless = precision_recall(np.array([1, -1]), np.array([0.0, 0.0]))
    np.testing.assert_allclose(mean_precision([perfect, useless], np.array([0.5, 1.0])), 0.75)


def test_without_positives_there_is_no_curve():
    assert precision_recall(np.array([-1, 0, -1]), np.zeros(3)) is None


def test_shares_by_hand():
    present = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    shares = cooccurrence(present, np.ones((4, 3), bool))
    np.testing.assert_allclose(shares[:2], [[3 / 4, 2 / 3, 0], [1, 1 / 2, 0]])
    assert np.isnan(shares[2, :2]).all() and shares[2, 2] == 0


def test_missing_labels_are_left_out_for_each_pair_by_itself():
    present = np.array([[1, 1], [1, 1], [1, 0], [0, 1]], bool)
    known = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    # AU 0 is known in three frames and there in all; two of them know AU 1, one has it.
    np.testing.assert_allclose(cooccurrence(present, known), [[1, 1 / 2], [1, 2 / 3]])
