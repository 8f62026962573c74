"""The paper's statements: which terms they are made of, and when one holds, does not, or cannot be told."""

import numpy as np
import pytest

from au_jax.errors import CommandError
from au_jax.evaluation.tables import Scored
from experiments import scales, statements
from experiments.statements import DOES_NOT, HOLDS, NOT_RUN, UNKNOWN, Statement, Term, judge, verdict_of


def scored(people, right, seed=0):
    """A fold in which each person has 40 frames of one AU, of which a share `right` is scored rightly."""
    rng = np.random.default_rng(seed)
    labels = {f"S{n:02d}/T1": np.where(rng.random((40, 1)) < 0.5, 1, -1).astype(np.int8) for n in range(people)}
    scores = {
        key: (np.where(rng.random((40, 1)) < right, 1, -1) * row).astype(np.float32) for key, row in labels.items()
    }
    return Scored(scores, labels, {key: np.arange(40) for key in labels})


class Table:
    """Runs whose averages are given: (dataset, protocol, system) -> scores of each seed."""

    def __init__(self, shares, people=24):
        self.seeds = (0, 1)
        self._scored = {
            (key, seed): statements.averages({0: scored(people, share, seed)}, "f1_frame", seed, 300)
            for key, by_seed in shares.items()
            for seed, share in zip(self.seeds, by_seed, strict=True)
        }

    def average(self, term, metric, seed):
        return self._scored.get(((term.dataset, term.protocol, term.system), seed))


BETTER = Statement("", "f1_frame", (Term(1, "gft", "3fold", "anet"), Term(-1, "gft", "3fold", "hog_svm")))


def verdict(anet, hog):
    return verdict_of(BETTER, Table({("gft", "3fold", "anet"): anet, ("gft", "3fold", "hog_svm"): hog}))


def test_a_clear_difference_holds_and_its_reverse_does_not():
    better, worse = verdict((0.9, 0.9), (0.7, 0.7)), verdict((0.7, 0.7), (0.9, 0.9))
    assert (better.verdict, worse.verdict) == (HOLDS, DOES_NOT)
    assert better.difference == pytest.approx(-worse.difference)
    assert better.difference == pytest.approx(np.mean(list(better.by_seed.values())))
    assert better.interval[0] < better.difference < better.interval[1]


def test_equal_systems_cannot_be_told_apart_and_neither_can_seeds_that_disagree():
    assert verdict((0.8, 0.8), (0.8, 0.8)).verdict == UNKNOWN
    # The mean is far above 0, and one seed is below.
    assert judge([30.0, -1.0], [np.full(9, 30.0), np.full(9, -1.0)])[0] == UNKNOWN
    assert judge([3.0, 1.0], [np.full(9, 3.0), np.full(9, 1.0)]) == (HOLDS, 2.0, (2.0, 2.0))


def test_people_are_drawn_alike_for_both_systems():
    """A system less itself is 0 in every resampling: what makes people hard falls out of the difference."""
    found = verdict((0.8, 0.8), (0.8, 0.8))
    assert found.interval == (0.0, 0.0) and found.verdict == UNKNOWN


def test_a_statement_without_its_runs_is_not_run_and_a_seed_without_them_is_left_out():
    table = Table({("gft", "3fold", "anet"): (0.9, 0.9)})
    assert verdict_of(BETTER, table).verdict == NOT_RUN
    table._scored[(("gft", "3fold", "hog_svm"), 1)] = statements.averages({0: scored(24, 0.7, 1)}, "f1_frame", 1, 300)
    found = verdict_of(BETTER, table)
    assert list(found.by_seed) == [1] and found.verdict == HOLDS


def test_every_statement_is_of_runs_that_reproduce_makes_and_is_balanced():
    known = set()
    for each in statements.statements():
        assert sum(term.weight for term in each.terms) == 0 and each.metric in ("f1_frame", "f1_event")
        assert {term.weight for term in each.terms} == {1, -1}
        for term in each.terms:
            assert term.dataset in scales.DATASETS and term.protocol in scales.PROTOCOLS
            known.add((term.protocol, term.system))
    assert ("cross", "anet_transfer") in known and ("10fold", "hybrid") in known
    texts = [(each.text, each.metric) for each in statements.statements()]
    assert len(set(texts)) == len(texts)


def test_the_order_of_fig_4_is_read_from_its_table(tmp_path):
    path = tmp_path / "fig4_order.csv"
    path.write_text(
        "dataset,order,share_of_resamplings\nx,fc7 < HOG,1.0\nx,HOG < Gabor,0.0\nx,Gabor < Shape,1.0\ny,fc7 < HOG,0.5\n"
    )
    found = [(each.text, each.verdict) for each in statements.figure_verdicts(path)]
    assert found == [
        ("fig. 4, x: fc7 < HOG", HOLDS), ("fig. 4, x: HOG < Gabor", DOES_NOT), ("fig. 4, y: fc7 < HOG", UNKNOWN),
    ]  # fmt: skip


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(CommandError, match="has no finished run; it is looked for in bp4d_3fold"):
        statements.judge_all(tmp_path, [0])
    with pytest.raises(CommandError, match="is no folder"):
        statements.judge_all(tmp_path / "nowhere", [0])


def test_a_finished_run_is_judged_and_the_rest_is_told_as_not_run(finished, tmp_path):
    """The smoke run stands in for BP4D's three folds; it has two folds and other systems than the tables."""
    (tmp_path / "bp4d_3fold").symlink_to(finished)
    verdicts = statements.judge_all(tmp_path, [0])
    by_text = {(each.text, each.metric): each for each in verdicts}
    told = by_text["BP4D, 3 folds: ANet over HOG+SVM", "f1_frame"]
    assert told.verdict in (HOLDS, DOES_NOT, UNKNOWN) and list(told.by_seed) == [0]
    assert by_text["GFT, 3 folds: ANet over HOG+SVM", "f1_frame"].verdict == NOT_RUN
    assert "BP4D, 3 folds: ANet over HOG+SVM" in (tmp_path / "statements.md").read_text()
