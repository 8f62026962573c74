"""Agreement: the published examples and cases by hand, and scikit-learn, irrCAC and pingouin beside them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from au_jax.evaluation import agreement as ag

# Two coders; 1 present, -1 absent.
GRID = np.repeat(np.int8([[1, 1], [1, -1], [-1, 1], [-1, -1]]), [20, 5, 10, 15], axis=0)


def codes(text):
    return np.array([[{"#": 1, ".": -1, "?": 0}[c] for c in row] for row in text.split()], np.int8).T


def counts(first, second, **options):
    return ag.agreement_counts(codes(first), codes(second), **options)


def test_the_textbook_table_by_hand():
    # p = 35/50; kappa's q = (25 30 + 25 20)/2500 = 0.5; AC1's r = 0.55, q = 0.495.
    table = ag.agreement_counts(GRID[:, :1], GRID[:, 1:])
    assert ag.kappa(table)[0] == pytest.approx(0.4)
    assert ag.ac1(table)[0] == pytest.approx((0.7 - 0.495) / 0.505)
    assert ag.pabak(table)[0] == pytest.approx(0.4)
    assert ag.agreement_f1(table)[0] == pytest.approx(40 / 55)
    assert ag.negative_agreement(table)[0] == pytest.approx(30 / 45)
    assert ag.prevalence(table)[0] == pytest.approx(0.55)
    assert ag.bias(table)[0] == pytest.approx(0.1)


def test_the_paradox_of_kappa_for_a_rare_au():
    # 118 both, 5 and 2 alone, 0 neither (Gwet 2008, table of 125): high agreement, kappa below 0, AC1 near 1.
    table = ag.agreement_counts(
        np.repeat(np.int8([1, 1, -1]), [118, 5, 2])[:, None], np.repeat(np.int8([1, -1, 1]), [118, 5, 2])[:, None]
    )
    assert ag.kappa(table)[0] == pytest.approx(-0.0234, abs=1e-4)
    assert ag.ac1(table)[0] == pytest.approx(0.9408, abs=1e-4)


def test_frames_that_either_left_out_do_not_count():
    table = counts("##..??# ##..##.", "#.#.#?# ?......")
    assert table.both.tolist() == [2, 0] and table.first_only.tolist() == [1, 3]
    assert table.second_only.tolist() == [1, 0] and table.neither.tolist() == [1, 3]


def test_codings_of_one_kind_have_no_kappa():
    for text in ("....", "####", "????"):
        table = counts(text, text)
        assert np.isnan(ag.kappa(table)[0])
    assert ag.ac1(counts("....", "...."))[0] == 1.0
    assert np.isnan(ag.agreement_f1(counts("....", "...."))[0])


def test_a_tolerance_forgives_borders_and_no_misses():
    table = counts("..###.....#..", "...###.......", tolerance=1)
    assert (table.first_only[0], table.second_only[0], table.near[0]) == (2, 1, 2)
    assert ag.kappa(table, tolerant=True)[0] > ag.kappa(table)[0]
    assert ag.agreement_f1(table, tolerant=True)[0] == pytest.approx(2 * 4 / (2 * 4 + 1))
    assert counts("..###.....#..", "...###.......").near[0] == 0


def test_events_are_paired_one_to_one_by_overlap():
    # The long event of the second overlaps two of the first, and is the pair of the one that it overlaps more.
    table = counts(".##.####...#.", "..######.....", tolerance=1)
    assert (table.first_events[0], table.second_events[0], table.paired[0]) == (3, 1, 1)
    assert (table.onset[0], table.offset[0], table.matched[0]) == (-2, 0, 0)
    assert ag.event_agreement(table)[0] == 0


def test_errors_of_onsets_and_offsets():
    table = counts("..###...###..", "...###.####..", tolerance=1)
    assert (table.onset[0], table.onset_away[0], table.offset_away[0]) == (0, 2, 1)
    assert ag.onset_error(table)[0] == 1.0 and ag.offset_error(table)[0] == 0.5 and ag.onset_shift(table)[0] == 0.0
    assert ag.event_agreement(table)[0] == 1.0
    assert np.isnan(ag.onset_error(counts("##..", "...."))[0])


def test_events_side_by_side_are_pairs_within_the_tolerance():
    first, second = "..#......", "...#....."
    assert counts(first, second).paired[0] == 0
    table = counts(first, second, tolerance=1)
    assert (table.paired[0], table.matched[0], table.onset[0]) == (1, 1, 1)


def test_icc_of_the_published_example():
    # Shrout & Fleiss 1979, table 2, judges 1 and 2: two-way mean squares by hand.
    x, y = np.array([9, 6, 8, 7, 10, 6]), np.array([2, 1, 4, 1, 5, 2])
    rows = (x + y) / 2
    between = 2 * ((rows - rows.mean()) ** 2).sum() / 5
    residual = ((np.stack([x, y]) - rows - np.array([[x.mean()], [y.mean()]]) + rows.mean()) ** 2).sum() / 5
    ones = np.ones((6, 1), np.int8)
    table = ag.agreement_counts(
        ones, ones, first_intensities=x[:, None].astype(np.int8), second_intensities=y[:, None].astype(np.int8)
    )
    assert ag.icc(table)[0] == pytest.approx((between - residual) / (between + residual))
    assert ag.mean_difference(table)[0] == pytest.approx((x - y).mean())


def test_intensities_that_were_not_said_do_not_count():
    ones = np.ones((4, 1), np.int8)
    grades = np.int8([[1], [-1], [3], [5]])
    table = ag.agreement_counts(
        ones, np.int8([[1], [1], [1], [0]]), first_intensities=grades, second_intensities=grades
    )
    assert table.graded.tolist() == [2] and ag.icc(table)[0] == pytest.approx(1.0)
    assert ag.agreement_counts(ones, ones).graded.tolist() == [0]
    # Without variance there is nothing to be consistent about.
    same = np.full((4, 1), 3, np.int8)
    assert np.isnan(ag.icc(ag.agreement_counts(ones, ones, first_intensities=same, second_intensities=same))[0])


def test_shapes_and_tolerances_are_checked():
    # A TypeError where annotated shapes are checked.
    with pytest.raises((ValueError, TypeError), match="cannot be compared|[Tt]ype-check"):
        ag.agreement_counts(codes("##"), codes("###"))
    with pytest.raises(ValueError, match="negative"):
        counts("##", "##", tolerance=-1)
    with pytest.raises(ValueError, match="no counts"):
        ag.agreement([], [1])


def test_a_table_with_intervals_and_sentences():
    rng = np.random.default_rng(0)
    recordings = []
    for _ in range(8):
        first = np.repeat(rng.choice(np.int8([-1, 1]), (40, 2)), 15, axis=0)
        second = np.where(rng.random(first.shape) < 0.02, -first, np.roll(first, 2, axis=0)).astype(np.int8)
        recordings.append(ag.agreement_counts(first, second, tolerance=3))
    smile, brow = ag.agreement(recordings, [12, 4], replicates=200, seed=1)
    value, low, high = smile.values["kappa"]
    assert low < value < high and value == pytest.approx(ag.kappa(ag.summed(recordings))[0])
    assert (smile.recordings, smile.frames, brow.au) == (8, 4800, 4)
    assert smile.sentence.startswith(
        f"AU 12: very good agreement (kappa {value:.2f}, interval {low:.2f} to {high:.2f}, on 4,800 frames of 8"
    )
    assert "\n" not in smile.sentence
    # Equal seeds give equal intervals.
    assert ag.agreement(recordings, [12, 4], replicates=200, seed=1)[0].values["f1"] == smile.values["f1"]


def test_sentences_say_where_there_is_little_to_judge():
    rare = np.full((1000, 1), -1, np.int8)
    first, second = rare.copy(), rare.copy()
    first[100:104], second[102:106] = 1, 1
    (row,) = ag.agreement([ag.agreement_counts(first, second)], [9])
    assert row.sentence == (
        "AU 9: moderate agreement (kappa 0.50, on 1,000 frames of 1 recording); 0% of 1 and 1 events begin together, onsets 2.0 "
        "and offsets 2.0 frames apart; 100% of frames agree, but it is present in only 0.4%, where kappa is low for few errors; "
        "fewer than 10 events, too few to judge."
    )
    (never,) = ag.agreement([ag.agreement_counts(rare, rare)], [9])
    assert (
        never.sentence
        == "AU 9: both codings have it never, on 1,000 frames of 1 recording, so agreement beyond chance is undefined."
    )
    (nothing,) = ag.agreement([ag.agreement_counts(rare * 0, rare)], [9])
    assert nothing.sentence == "AU 9: no frame was coded by both."


two_codings = st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1])), min_size=1, max_size=60)


@given(two_codings, st.integers(0, 5))
def test_exchanging_the_coders_changes_signs_only(pairs, tolerance):
    table = np.array(pairs, np.int8)
    there = ag.agreement_counts(table[:, :1], table[:, 1:], tolerance=tolerance)
    back = ag.agreement_counts(table[:, 1:], table[:, :1], tolerance=tolerance)
    for name in ("kappa", "kappa_tolerant", "ac1", "pabak", "f1", "prevalence"):
        np.testing.assert_allclose(ag.STATISTICS[name](there), ag.STATISTICS[name](back), atol=1e-12)
    assert there.first_events.tolist() == back.second_events.tolist()
    assert ag.bias(there)[0] == pytest.approx(-ag.bias(back)[0], nan_ok=True)


@given(two_codings, st.integers(0, 5))
def test_frames_are_counted_once_and_a_coding_agrees_with_itself(pairs, tolerance):
    table = np.array(pairs, np.int8)
    both = ag.agreement_counts(table[:, :1], table[:, 1:], tolerance=tolerance)
    assert both.both + both.first_only + both.second_only + both.neither == (table != 0).all(1).sum()
    assert both.near <= both.first_only + both.second_only and both.matched <= both.paired
    own = ag.agreement_counts(table[:, :1], table[:, :1], tolerance=tolerance)
    assert own.onset_away[0] == own.offset_away[0] == 0 and own.paired[0] == own.matched[0] == own.first_events[0]


@pytest.mark.parametrize("seed", range(5))
def test_kappa_and_f1_agree_with_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    first = np.where(rng.random((300, 1)) < 0.2, 1, -1).astype(np.int8)
    second = np.where(rng.random((300, 1)) < 0.3, -first, first).astype(np.int8)
    table = ag.agreement_counts(first, second)
    assert ag.kappa(table)[0] == pytest.approx(metrics.cohen_kappa_score(first[:, 0], second[:, 0]))
    assert ag.agreement_f1(table)[0] == pytest.approx(metrics.f1_score(first[:, 0], second[:, 0]))


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_ac1_agree_with_irrcac(seed):
    pandas, raw = pytest.importorskip("pandas"), pytest.importorskip("irrCAC.raw")
    rng = np.random.default_rng(seed)
    first = np.where(rng.random((200, 1)) < 0.15, 1, -1).astype(np.int8)
    second = np.where(rng.random((200, 1)) < 0.2, -first, first).astype(np.int8)
    table = ag.agreement_counts(first, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = raw.CAC(pandas.DataFrame({"a": first[:, 0].astype(int), "b": second[:, 0].astype(int)}), digits=10)
        gwet, conger = (method()["est"]["coefficient_value"] for method in (other.gwet, other.conger))
    assert ag.ac1(table)[0] == pytest.approx(gwet, abs=1e-9)
    # Of two raters Conger's kappa is Cohen's.
    assert ag.kappa(table)[0] == pytest.approx(conger, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_icc_agrees_with_pingouin(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pingouin, pandas = pytest.importorskip("pingouin"), pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 6, (50, 1)).astype(np.int8)
    second = np.clip(first + rng.integers(-1, 3, (50, 1)), 0, 5).astype(np.int8)
    ones = np.ones((50, 1), np.int8)
    table = ag.agreement_counts(ones, ones, first_intensities=first, second_intensities=second)
    frame = pandas.DataFrame(
        {
            "frame": [*range(50)] * 2,
            "coder": ["a"] * 50 + ["b"] * 50,
            "grade": [*first[:, 0].astype(float), *second[:, 0].astype(float)],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = pingouin.intraclass_corr(frame, targets="frame", raters="coder", ratings="grade")
    single = rows[rows["Type"].isin(["ICC3", "ICC(C,1)"])]["ICC"].iloc[0]
    assert ag.icc(table)[0] == pytest.approx(float(single), abs=1e-6)
