"""The main job end to end on tiny videos: the same results however often and however rudely it is interrupted."""

import dataclasses
import json
import re
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from au_jax import files
from au_jax.config import replace
from au_jax.data.dataset import FaceSet
from au_jax.data.readers import make_reader
from au_jax.data.splits import Fold
from au_jax.errors import ConfigError, DataError, UserError
from au_jax.evaluation import tables
from au_jax.evaluation.calibration import calibrated_probabilities, fit_calibration
from au_jax.run import check_config, run, run_system, summarise
from au_jax.run_dir import RunDir
from au_jax.systems.base import System

pytestmark = pytest.mark.optax


def test_a_run_leaves_what_the_plan_promises(finished):
    for name in (
        "config.json",
        "split.json",
        "results.json",
        "results.md",
        "report.html",
        "costs.json",
        "logs/metrics.jsonl",
    ):
        assert (finished / name).stat().st_size > 0, name
    results = files.read_json(finished / "results.json")
    assert list(results["systems"]) == ["hog_svm", "anet", "hybrid"]
    for figures in [*results["systems"].values(), results["always_present"]]:
        assert 0 <= figures["f1_frame"]["average"] <= 100
        low, high = figures["intervals"]["f1_frame"]["average"]
        assert low <= high
    assert results["split"] == files.read_json(finished / "split.json")["checksum"]
    assert any((finished / "logs").rglob("events.out.tfevents*"))


def test_scores_cover_the_test_subjects_of_the_fold_and_nobody_else(finished):
    split = files.read_json(finished / "split.json")
    for index, fold in enumerate(split["folds"]):
        arrays = files.read_npz(finished / f"fold_{index:02d}/scores/hybrid.npz")
        subjects = {name.split("/")[0] for name in arrays if name not in ("thresholds", "calibration")}
        assert subjects == set(fold["test"])
        for name, rows in arrays.items():
            if name.endswith("/scores"):
                assert rows.dtype == np.float32 and rows.shape[1] == 12 and np.isfinite(rows).all()


def test_log_file_tells_plan_epochs_and_costs_with_their_time(finished):
    lines = (finished / "logs" / "run.log").read_text().splitlines()
    stamped = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO ", line)]
    for pattern in (
        r"plan of .*whole: 2 folds of 2, 3 systems; 6 people, \d+ frames of 40 px",
        r"fold_01/anet/cnn, epoch 1: train_loss \d",
        r"fold_00/hog_svm/fit: [\d.]+ s, at most \d+ MiB",
        r"fold_01/hybrid: done in ",
        r"1 of 2 folds to go, about ",
    ):
        assert any(re.search(pattern, line) for line in stamped), pattern


def test_starting_again_changes_nothing(copy, config, capsys):
    before = (copy / "results.json").read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in copy.rglob("scores/*.npz")}
    run(config, copy)
    assert (copy / "results.json").read_bytes() == before
    assert stamps == {path: path.stat().st_mtime_ns for path in copy.rglob("scores/*.npz")}
    told = capsys.readouterr().out
    assert "done before: 6 of 6 (fold, system)" in told and "report.html shows the results" in told


@pytest.mark.parametrize(
    "moment",
    [
        "fold_00/anet/mean.npz",
        "fold_00/anet/checkpoints/0",
        "fold_00/hybrid/lstm/checkpoints/0",
    ],
)
@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_results(finished, main_command, prepared, shared, tmp_path, moment):
    # The programs that the finished run compiled.
    compiled = shutil.copytree(shared / "compiled", tmp_path / "compiled")
    command = main_command(tmp_path / "killed", prepared, f"--config.compiled={compiled}")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / moment).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "results.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "killed/results.json").read_bytes() == (finished / "results.json").read_bytes()


def test_another_config_on_the_same_workdir_is_refused(finished, config):
    config.cnn.epochs = 9
    with pytest.raises(UserError, match=r"another config.*cnn\.epochs: 2 there, 9 now"):
        run(config, finished)


@pytest.fixture
def copy(finished, tmp_path):
    """The finished run, to be changed."""
    return shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns(".lock"))


@pytest.fixture
def untrained(monkeypatch):
    """Fails the test if a system is fitted or scores; no report page is drawn."""
    monkeypatch.setattr("au_jax.run.write_report", lambda *_: None)
    monkeypatch.setattr("au_jax.run.run_system", lambda *_: pytest.fail("a system was run"))


@pytest.mark.parametrize(
    ("field", "value"), [("f1_norm", "author_code"), ("level", 0.5), ("bootstrap", 7)], ids=lambda value: str(value)
)
def test_fields_of_the_evaluation_change_on_a_finished_run_and_only_the_tables_are_made_anew(
    copy, config, untrained, capsys, field, value
):
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("scores/*.npz")}
    old = files.read_json(copy / "config.json")
    results = files.read_json(copy / "results.json")
    config.evaluation[field] = value
    run(config, copy)
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in copy.rglob("scores/*.npz")}
    now = files.read_json(copy / "config.json")
    assert now == {**old, "evaluation": {**old["evaluation"], field: value}}
    assert files.read_json(copy / "config_history.json") == [{"evaluation": old["evaluation"]}]
    assert f"evaluation.{field}: " in capsys.readouterr().out
    # A table of these scores by the functions themselves.
    scored = {
        name: {index: tables.read_scores(copy / f"fold_{index:02d}/scores/{name}.npz") for index in (0, 1)}
        for name in config.systems
    }
    expected = tables.results(
        scored,
        aus=config.data.aus,
        replicates=config.evaluation.bootstrap,
        level=config.evaluation.level,
        f1_norm=config.evaluation.f1_norm,
        seed=config.seed,
    )
    made = files.read_json(copy / "results.json")
    assert made["systems"] == json.loads(json.dumps(files._finite(expected["systems"])))
    assert made["systems"] != results["systems"]
    # And back: the first table again, to the byte.
    config.evaluation[field] = old["evaluation"][field]
    run(config, copy)
    assert files.read_json(copy / "results.json") == results and files.read_json(copy / "config.json") == old
    assert len(files.read_json(copy / "config_history.json")) == 2


def test_an_older_runs_results_get_the_metrics_that_they_lack_from_its_saved_scores(copy, untrained, capsys):
    from au_jax.tables import renew

    whole = (copy / "results.json").read_bytes()
    older = files.read_json(copy / "results.json")
    for column in (older["always_present"], older["persistence"], *older["systems"].values()):
        del column["f1_micro"], column["intervals"]["f1_micro"]
    files.write_json(copy / "results.json", older)
    (copy / "results.sha256").unlink()
    renew([copy])
    assert (copy / "results.json").read_bytes() == whole
    assert "they lacked F1-micro" in capsys.readouterr().out
    # Without its scores it stays readable, as it is.
    files.write_json(copy / "results.json", older)
    (copy / "results.sha256").unlink()
    (copy / "fold_01/scores/anet.npz").unlink()
    renew([copy])
    assert files.read_json(copy / "results.json") == older
    assert "scores/anet.npz is gone" in capsys.readouterr().out


def test_a_field_that_changes_training_is_refused_beside_one_that_does_not(copy, config):
    config.evaluation.level, config.cnn.epochs = 0.5, 9
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    with pytest.raises(ConfigError, match=r"another config.*\(cnn\.epochs: 2 there, 9 now\)"):
        run(config, copy)
    assert before == {path: path.stat().st_mtime_ns for path in copy.rglob("*")}


def test_a_run_that_is_half_finished_goes_on_with_another_evaluation(copy, config, monkeypatch):
    monkeypatch.setattr("au_jax.run.write_report", lambda *_: None)
    shutil.rmtree(copy / "fold_01")
    (copy / "results.json").unlink()
    config.systems, config.evaluation.f1_norm = ("hog_svm",), "author_code"
    results = run(config, copy)
    # Fold 1 has the scores of one system only, and the table is of the folds that all have finished.
    assert results["folds"] == {"finished": [0], "all": 2} and (copy / "fold_01/scores/hog_svm.npz").exists()
    assert files.read_json(copy / "config.json")["evaluation"]["f1_norm"] == "author_code"


@pytest.mark.parametrize("moment", ["config_history.json", "config.json", "results.json"])
def test_a_kill_while_the_tables_are_made_anew_is_mended_by_the_next_start(
    copy, config, untrained, monkeypatch, moment
):
    config.evaluation.level = 0.5
    write = files.write_json

    def killed(path, value, seal=False):
        if path.name == moment:
            raise KeyboardInterrupt
        write(path, value, seal)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            run(config, copy)
    run(config, copy)
    whole = (copy / "results.json").read_bytes()
    assert files.read_json(copy / "config.json")["evaluation"]["level"] == 0.5
    (copy / "results.json").unlink()
    run(config, copy)
    assert (copy / "results.json").read_bytes() == whole


def test_only_the_folds_asked_for_are_run_and_the_table_says_so(finished, config, tmp_path):
    shutil.copytree(finished, tmp_path / "part", ignore=shutil.ignore_patterns(".lock"))
    shutil.rmtree(tmp_path / "part" / "fold_01")
    config.folds = (0,)
    results = run(config, tmp_path / "part")
    assert results["folds"] == {"finished": [0], "all": 2}
    assert not (tmp_path / "part" / "fold_01" / "scores").exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "systems",
            ("resnet",),
            "choose among hog_svm, cpm, jpml, anet_transfer, anet, anet_filter, anet_intensity, hybrid",
        ),
        ("systems", (), "choose among"),
        ("cnn.optimizer.name", "adamax_w", "config.cnn.optimizer: unknown optimizer 'adamax_w'; choose from caffe_sgd"),
        ("lstm.optimizer.schedule.name", "cosinus", "config.lstm.optimizer: unknown schedule"),
        ("fusion.optimizer.arguments", "beta=0.9", "no argument 'beta'"),
        ("protocol.threshold", "test", "choose one of zero, validation"),
        ("cnn.monitor", "auc", "choose one of loss, f1"),
        ("protocol.split", "bp4d", "bp4d_3fold"),
        ("cnn.sampling", "balanced", "shuffle, momu"),
        ("fusion.train_on", "test", "validation, out_of_fold, train"),
        ("cnn.momu_draw", 0, "at least 1"),
        ("fusion.inner_folds", 1, "at least 2"),
        ("folds", (7,), "folds 0 to 1"),
        ("data.crop_size", 90, "does not fit"),
    ],
)
def test_mistakes_in_a_config_are_told_before_any_work(config, field, value, message):
    with config.unlocked():
        config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=message):
        check_config(config)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--config.cnn.epoch=3", "epoch"),
        ("--config.cnn.epochs=many", "epochs"),
        ("--config.data.preset=dmeo", "config.data.preset"),
        ("--flag=1", "flag"),
    ],
)
def test_a_mistaken_command_ends_with_one_line_and_a_status(command, main_command, tmp_path, option, message):
    done = command(*main_command(tmp_path / "run", tmp_path, option)[2:])
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("error: ") and message in last
    assert "Traceback" not in done.stderr


def test_a_second_start_on_a_fold_that_runs_is_refused(config, tmp_path):
    with files.locked(tmp_path / "fold_01"), pytest.raises(UserError, match="fold_01 is in use"):
        run(config, tmp_path)


@pytest.mark.slow
def test_folds_of_several_jobs_are_merged_by_running_once_more(finished, config, tmp_path):
    whole, workdir = finished, tmp_path / "jobs"
    keep = shutil.ignore_patterns(".lock", "fold_01", "results.*", "report.html", "costs.json", "figures")
    shutil.copytree(whole, workdir, ignore=keep)
    # Another job is still at work on fold 0; this one does fold 1, most of which it finds done.
    shutil.copytree(whole / "fold_01", workdir / "fold_01", ignore=shutil.ignore_patterns(".lock", "hybrid.npz"))
    shutil.move(workdir / "fold_00/scores", tmp_path / "scores")
    config.folds = (1,)
    with files.locked(workdir / "fold_00"):
        part = run(config, workdir)
    assert part["folds"] == {"finished": [1], "all": 2}
    shutil.move(tmp_path / "scores", workdir / "fold_00/scores")
    config.folds = ()
    run(config, workdir)
    assert (workdir / "results.json").read_bytes() == (whole / "results.json").read_bytes()


def test_systems_that_share_no_finished_fold_are_named_instead_of_a_table(copy):
    for index, name in ((0, "hog_svm"), (1, "anet"), (1, "hybrid")):
        RunDir(copy).score_path(index, name).unlink()
    folds = [Fold(**{group: tuple(who) for group, who in part.items()}) for part in RunDir(copy).split()["folds"]]
    with pytest.raises(
        DataError, match="all systems .hog_svm: folds 1; anet: folds 0; hybrid: folds 0.*--config.folds"
    ):
        summarise(RunDir(copy), RunDir(copy).config(), folds)


def test_a_workdir_that_cannot_be_written_is_one_line(command, main_command, tmp_path):
    # Not even the superuser makes folders there.
    done = command(*main_command("/proc/sys/au_jax", tmp_path)[2:])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"^error: .+: /proc/sys/au_jax; finished work is kept", done.stderr, re.MULTILINE)


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on_after(finished, main_command, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))

    command = main_command(tmp_path / "full", tmp_path / "data")
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"error: .*checkpoints/0; finished work is kept", done.stderr.splitlines()[-1])
    assert (tmp_path / "full/fold_00/scores/hog_svm.npz").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "full/results.json").read_bytes() == (finished / "results.json").read_bytes()


@pytest.mark.slow
def test_finished_folds_stay_when_the_disk_is_full(finished, config, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "full", ignore=shutil.ignore_patterns(".lock"))
    (tmp_path / "full/fold_01/scores/hybrid.npz").unlink()
    kept = sorted(path.name for path in (tmp_path / "full/fold_00/scores").iterdir())
    write = files.write_bytes

    def full(path, content):
        if path.parent.name == "scores":
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", full)
        with pytest.raises(OSError, match=r"No space left.*hybrid\.npz"):
            run(config, tmp_path / "full")
    assert sorted(path.name for path in (tmp_path / "full/fold_00/scores").iterdir()) == kept
    run(config, tmp_path / "full")
    assert (tmp_path / "full/results.json").read_bytes() == (finished / "results.json").read_bytes()
    assert json.loads((tmp_path / "full/results.json").read_text())["folds"]["finished"] == [0, 1]


def test_damaged_scores_models_and_checkpoints_are_made_again(finished, config, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "hit", ignore=shutil.ignore_patterns(".lock"))
    best = files.read_json(copy / "fold_01/hybrid/fusion/finished.json")["best_epoch"]
    hit = (
        "fold_01/scores/hog_svm.npz", "fold_01/hog_svm/model.npz", "fold_01/scores/hybrid.npz",
        "fold_01/hybrid/features/pca.npz", f"fold_01/hybrid/fusion/checkpoints/{best}/default/manifest.ocdbt",
    )  # fmt: skip
    for number, name in enumerate(hit):
        content = (copy / name).read_bytes()
        # Cut off, emptied and changed.
        changed = (content[: len(content) // 2], b"", content[:-400] + bytes(10) + content[-390:])[number % 3]
        (copy / name).write_bytes(changed)
    run(config, copy)
    for name in ("results.json", "fold_01/scores/hog_svm.npz", "fold_01/scores/hybrid.npz"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cnn.epochs": 0}, "config.cnn.epochs is 0"),
        ({"systems": ("resnet",)}, "config.systems names 'resnet'"),
        ({"data.aus": (3,)}, "config.data.aus is"),
        ({"data.aus": (45,)}, "config.data.aus has 45, which synthfacs does not draw; choose among"),
        ({"data.source": "bp4d", "data.raw": "/nowhere"}, "there is no folder /nowhere"),
        ({"data.source": "bp4d", "data.raw": ""}, "config.data.raw names no folder"),
        ({"protocol.split": "bp4d_3fold", "protocol.folds": 3}, "does not fit the dataset: S001"),
        ({"protocol.subjects_file": "/nowhere.json"}, "/nowhere.json cannot be read"),
        ({"protocol.folds": 7}, "6 subjects are too few for 7 folds"),
        ({"protocol.validation": 0.9}, "leaves none of 3 subjects"),
        ({"cnn.optimizer.name": "adamax_w"}, "config.cnn.optimizer: unknown optimizer"),
        (
            {"cnn.optimizer.schedule.name": "warmup_constant_schedule", "cnn.optimizer.schedule.arguments": "warmup_steps=999"},
            "config.cnn.optimizer: schedule warmup_constant_schedule: warmup_steps is 999, and the training takes",
        ),
        (
            {
                "fusion.optimizer.schedule.name": "warmup_cosine_decay_schedule",
                "fusion.optimizer.schedule.arguments": "warmup_steps=99",
            },
            "config.fusion.optimizer: schedule .*: warmup_steps is 99, and the training takes",
        ),
        (
            {"lstm.optimizer.schedule.name": "per_epoch", "lstm.optimizer.schedule.arguments": "factor=-2.0"},
            "config.lstm.optimizer: schedule per_epoch: the learning rate at step 2 of",
        ),
        ({"cnn.frame_step": 10**9}, "config.cnn.frame_step is 1000000000, which leaves an epoch of fold_00 without"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_nothing_is_written_before_everything_is_checked(config, dataset, tmp_path, changes, message):
    config = replace(config, **changes)
    with pytest.raises(UserError, match=message):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_refused_leaves_the_folder_to_the_corrected_one(
    config, dataset, tmp_path, untrained, monkeypatch
):
    monkeypatch.setattr("au_jax.run._report", lambda *_: {})
    wrong = replace(config, **{"protocol.validation": 0.9})
    with pytest.raises(UserError, match="give at most config.protocol.validation=0.66"):
        run(wrong, tmp_path / "run")
    monkeypatch.setattr("au_jax.run.run_system", lambda *_: None)
    run(config, tmp_path / "run")
    assert files.read_json(tmp_path / "run/config.json")["protocol"]["validation"] == config.protocol.validation


def test_a_schedule_with_a_warm_up_is_planned(config, dataset, tmp_path, monkeypatch, capsys):
    config.cnn.optimizer.schedule = {"name": "warmup_cosine_decay_schedule", "arguments": "warmup_steps=5"}
    monkeypatch.setattr("au_jax.run.run_system", lambda *_: None)
    monkeypatch.setattr("au_jax.run._report", lambda *_: {})
    run(config, tmp_path)
    assert "plan of" in capsys.readouterr().out


def test_a_published_split_of_other_size_is_refused(config):
    config.protocol.split = "bp4d_3fold"
    config.protocol.folds = 10
    with pytest.raises(UserError, match="has 3 folds"):
        check_config(config)


def test_a_negative_size_is_refused_and_another_size_is_another_dataset(config):
    whole = make_reader(config.data)
    config.data.subjects = 3
    part = make_reader(config.data)
    assert len({recording.subject for recording in part.recordings()}) == 3
    assert part.name != whole.name
    config.data.subjects = -1
    with pytest.raises(UserError, match="config.data.subjects"):
        check_config(config)


@pytest.mark.parametrize("subject", ["S004", "S005"])
def test_scores_that_are_not_finite_are_neither_calibrated_nor_saved(context, dataset, monkeypatch, subject):
    class Broken(System):
        def __init__(self, context):
            pass

        def fit(self, train, validation):
            pass

        def score(self, faces):
            return faces.by_video(np.where(np.isin(faces.subjects, subject).any(), np.nan, np.ones((len(faces), 12))))

    monkeypatch.setattr("au_jax.run.get_system", lambda name: Broken)
    fold = Fold(("S001", "S002", "S003"), ("S004",), ("S005", "S006"))
    with pytest.raises(UserError, match=rf"fold_00/hog_svm: scores of {subject}/T1 are not finite"):
        run_system("hog_svm", context, dataset, fold)
    assert not context.files.scores("hog_svm").exists()


@pytest.mark.parametrize("threshold", ["zero", "calibrated"])
def test_the_calibration_is_that_of_validation_subjects_and_fits_the_scores_that_are_saved(
    config, context, dataset, monkeypatch, threshold
):
    def shown(faces):
        """Numbers in which the labels of all subjects can be guessed."""
        labels = np.concatenate([records.labels for records in dataset.load(faces.subjects)])
        return (0.5 * labels + np.random.default_rng(len(faces)).normal(size=labels.shape) + 2).astype(np.float32)

    class Guessing(System):
        def __init__(self, context):
            pass

        def fit(self, train, validation):
            pass

        def score(self, faces):
            assert not faces.has_labels
            return faces.by_video(shown(faces))

    monkeypatch.setattr("au_jax.run.get_system", lambda name: Guessing)
    context = dataclasses.replace(context, config=replace(context.config, **{"protocol.threshold": threshold}))
    run_system("hog_svm", context, dataset, Fold(("S001", "S002"), ("S003", "S004"), ("S005", "S006")))
    saved = files.read_npz(context.files.scores("hog_svm"))
    validation, test = FaceSet(dataset, ("S003", "S004")), FaceSet(dataset, ("S005", "S006"))
    expected = calibrated_probabilities(shown(test), fit_calibration(validation.labels, shown(validation)))
    scores = np.concatenate([saved[f"{video.key}/scores"] for video in test.videos])
    np.testing.assert_allclose(calibrated_probabilities(scores, saved["calibration"]), expected, atol=1e-5)
    assert (threshold == "zero") == (saved["thresholds"] == 0).all()
