"""A run's folder: names of files, who may write to it, and what is opened or refused."""

import json

import jax
import pytest

from au_jax import files
from au_jax.data.splits import Fold, split_document
from au_jax.errors import ConfigError, DataError, UserError
from au_jax.run_dir import FoldDir, RunDir, TrainedFold, load_run
from au_jax.training.best_params import best_params


def test_files_of_a_finished_run_have_their_names(finished):
    run = RunDir(finished)
    named = {
        run.config_path, run.split_path, run.results_path, run.results_sum_path, run.table_path,
        run.costs_path, run.report_path, run.figures,
        run.logs, run.log_path, run.metrics_path,
    }  # fmt: skip
    assert {path for path in named if not path.exists()} == set()
    known = {*(path.relative_to(finished).parts[0] for path in named), "fold_00", "fold_01"}
    assert {path.name for path in finished.iterdir() if path.name != ".lock"} == known
    fold = FoldDir(run.fold(1))
    train = run.split()["folds"][1]["train"][0]
    for path in (
        fold.mean,
        fold.pca,
        fold.features(train),
        fold.model("hog_svm"),
        *map(fold.scores, ("anet", "hybrid")),
    ):
        assert files.read_npz(path), path
    for stage in (fold.cnn, fold.lstm, fold.fusion):
        assert best_params(stage), stage


def test_a_run_holds_its_folds_and_lets_other_runs_do_others(config, tmp_path):
    config.folds = (1,)
    with RunDir(tmp_path).claimed(config, others=("transfer",)):
        with pytest.raises(UserError, match="fold_01 is in use"), RunDir(tmp_path).claimed(config):
            pass
        config.folds = (0,)
        with pytest.raises(UserError, match="transfer is in use"), RunDir(tmp_path).claimed(config, ("transfer",)):
            pass
        with RunDir(tmp_path).claimed(config):
            pass
    config.cnn.epochs = 9
    with (
        pytest.raises(ConfigError, match=r"another config.*cnn\.epochs: 2 there, 9 now"),
        RunDir(tmp_path).claimed(config),
    ):
        pass


def test_folds_of_another_draw_are_refused(tmp_path):
    folds = [Fold(("S1",), ("S2",), ("S3",))]
    RunDir(tmp_path).keep_split(split_document(folds, 0))
    RunDir(tmp_path).keep_split(split_document(folds, 0))
    with pytest.raises(ConfigError, match="is not the split of this config"):
        RunDir(tmp_path).keep_split(split_document(folds, 1))


def test_what_is_no_run_or_not_finished_is_refused(finished, tmp_path):
    run = RunDir(tmp_path)
    for read in (run.resolved_config, run.config, lambda: load_run(tmp_path)):
        with pytest.raises(DataError, match=r"is not a run \(it has no config.json\); give what was the --workdir"):
            read()
    run.config_path.write_bytes(RunDir(finished).config_path.read_bytes())
    with pytest.raises(DataError, match="is not finished, it has no results.json; finish it with au_jax.main"):
        load_run(tmp_path)
    results = RunDir(finished).results(all_folds=True)
    run.results_path.write_text(json.dumps({**results, "folds": {"finished": [0], "all": 2}}))
    assert load_run(tmp_path).folds == (0,)
    with pytest.raises(DataError, match="it has 1 of 2 folds"):
        run.results(all_folds=True)


def test_a_finished_run_tells_systems_aus_and_scores(finished):
    run = load_run(str(finished))
    assert run.systems == ("hog_svm", "anet", "hybrid") and run.folds == (0, 1)
    assert run.aus == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    assert list(run.columns) == ["always_present", *run.systems]
    averages = {name: run.results["systems"][name]["f1_frame"]["average"] for name in run.systems}
    assert averages[run.best_system] == max(averages.values())
    by_fold = run.folded_scores()["anet"]
    assert sum(len(part.scores) for part in by_fold) == len(run.scores("anet").scores)


def test_a_trained_fold_has_its_network_and_subjects(finished):
    fold = TrainedFold(finished, 1)
    assert fold.title == "whole (synthfacs tiny)"
    assert fold.test_subjects == tuple(RunDir(finished).split()["folds"][1]["test"])
    assert fold.cnn["mean"].shape == (40, 40, 3) and fold.window == slice(2, 38)
    assert fold.thresholds.shape == (12,) and set(fold.test_subjects) <= set(fold.dataset.subjects)
    outputs = fold.model.apply({"params": fold.cnn["params"]}, jax.numpy.zeros((1, 36, 36, 3)), train=False)
    assert outputs[0].shape == (1, 12)
    with pytest.raises(UserError, match="has folds 0 to 1, not 7; choose among these"):
        TrainedFold(finished, 7).cnn  # noqa: B018


@pytest.mark.parametrize("other", [{"place": "fold_01/anet/checkpoints/1"}, {"folds": {"finished": [0]}}, [1]])
def test_another_file_in_the_place_of_the_split_is_refused(tmp_path, other):
    files.write_json(tmp_path / "split.json", other)
    with pytest.raises(DataError, match=r"split\.json names no folds; delete it"):
        RunDir(tmp_path).split()
