"""AUs of new videos with a finished run from Python: what a detector finds, and what goes wrong."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.data.input_pipeline import ordered_batches
from au_jax.errors import CommandError, ConfigError, DataError, UserError
from au_jax.evaluation.tables import read_scores
from au_jax.faces.decoding import VideoFrame, read_pictures
from au_jax.inference.detector import Detector, parse_folds, read_variables
from au_jax.labels import PAPER_AUS
from au_jax.run_dir import RunDir, TrainedFold

pytestmark = pytest.mark.optax

FRAMES = 37
EMPTY = slice(20, 23)  # frames in which nobody is there


@pytest.fixture(scope="module")
def clip(tmp_path_factory, scene):
    pytest.importorskip("dlib")
    pytest.importorskip("av")
    from au_jax.faces.video_writer import VideoWriter

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    frames = scene[0].copy()
    frames[EMPTY] = 90
    with VideoWriter(path, 25, 240, 240) as writer:
        for row, frame in enumerate(frames):
            # Every other frame stands longer: the times are the file's, not a rate's.
            writer.write(frame, timestamp=row * 0.04 + (row % 2) * 0.01)
    return path


@pytest.fixture(scope="module")
def table(finished, clip):
    return Detector.from_run(finished).detect(clip)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the run, to be damaged."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def edit_config(run, **fields):
    config = files.read_json(run / "config.json")
    for name, value in fields.items():
        *path, last = name.split("__")
        place = config
        for key in path:
            place = place[key]
        place[last] = value
    files.write_json(run / "config.json", config)


def test_every_frame_has_a_row_whether_or_not_there_is_a_face(table):
    np.testing.assert_array_equal(table.frames, np.arange(1, FRAMES + 1))
    rows = np.arange(FRAMES)
    np.testing.assert_allclose(table.timestamps, rows * 0.04 + (rows % 2) * 0.01, atol=1e-4)
    expected = np.ones(FRAMES, bool)
    expected[EMPTY] = False
    np.testing.assert_array_equal(table.success, expected)
    assert set(table.scores) == {"anet", "hybrid"} and table.aus == PAPER_AUS
    for scores in table.scores.values():
        np.testing.assert_array_equal(np.isfinite(scores).all(1), expected)
    assert not table.present[EMPTY].any()
    assert (table.confidence[expected] > 0.3).all() and (table.confidence[~expected] == 0).all()


def test_one_person_has_to_the_byte_the_scores_of_the_faces_in_order(finished, clip, table):
    """As before people were told apart: frames out of sight are frames of the same person."""
    from au_jax.faces.tracking import register_pictures

    detector = Detector.from_run(finished)
    faces = list(register_pictures(read_pictures(clip), detector.image_size))
    scores = detector.score(np.stack([face.image for face in faces]))
    for name in detector.systems:
        expected = np.where(table.success[:, None], scores[name], np.nan)
        np.testing.assert_array_equal(table.scores[name], expected)
    assert set(table.people) == {0} and set(table.reasons[EMPTY]) <= {"none", "turned"}
    assert set(np.delete(table.reasons, np.arange(FRAMES)[EMPTY])) == {""}


def test_parts_of_any_length_give_the_same_table(finished, clip, table):
    parts = list(Detector.from_run(finished).stream(read_pictures(clip), chunk=5))
    # Two frames wait for those after them.
    assert [len(part) for part, _ in parts] == [3] + [5] * 6 + [4]
    np.testing.assert_array_equal(np.concatenate([part.frames for part, _ in parts]), table.frames)
    scores = np.concatenate([part.scores["hybrid"] for part, _ in parts])
    np.testing.assert_allclose(scores, table.scores["hybrid"], atol=2e-5)


def test_scores_are_the_mean_over_folds(finished, clip, table):
    single = [Detector.from_run(finished, folds=[index]).detect(clip).scores for index in (0, 1)]
    for name, scores in table.scores.items():
        np.testing.assert_allclose(scores, (single[0][name] + single[1][name]) / 2, atol=2e-5)
    assert not np.allclose(single[0]["anet"][0], single[1]["anet"][0])


def test_probabilities_are_the_mean_of_each_folds_calibration_on_its_own_scores(finished, clip, table):
    expected = []
    for fold in (0, 1):
        scores = Detector.from_run(finished, folds=[fold]).detect(clip).scores["hybrid"]
        slope, intercept = files.read_npz(RunDir(finished).score_path(fold, "hybrid"))["calibration"]
        expected.append(1 / (1 + np.exp(-slope * scores - intercept)))
    np.testing.assert_allclose(table.probabilities, np.mean(expected, 0), atol=1e-5)
    assert np.isfinite(table.probabilities[0]).sum() >= 6


def test_a_run_of_before_calibration_is_read_and_has_no_probabilities(copied, clip, table):
    path = RunDir(copied).score_path(1, "hybrid")
    arrays = files.read_npz(path)
    del arrays["calibration"]
    files.write_npz(path, arrays)
    detector = Detector.from_run(copied)
    assert detector.outputs == ("anet", "hybrid")
    found = detector.detect(clip)
    assert found.probabilities is None
    np.testing.assert_allclose(found.scores["hybrid"], table.scores["hybrid"], atol=2e-5)


def test_intensities_come_from_the_head_and_change_no_score(graded, finished, clip):
    detector = Detector.from_run(graded, folds=[0])
    assert detector.outputs == ("anet", "hybrid", "probability", "intensity") and detector.delay == 2
    found, before = detector.detect(clip), Detector.from_run(finished, folds=[0]).detect(clip)
    assert before.intensities is None
    for name, scores in before.scores.items():
        np.testing.assert_allclose(found.scores[name], scores, atol=2e-5)
    # Those of the CNN alone wait for no frame: the hybrid's must be the same, two frames late or not.
    alone = Detector.from_run(graded, folds=[0], systems=["anet"])
    assert alone.delay == 0
    np.testing.assert_allclose(found.intensities, alone.detect(clip).intensities, atol=1e-5)
    assert np.isnan(found.intensities[EMPTY]).all()
    known = ~np.isnan(found.intensities[0])
    assert known.any() and (found.intensities[0, known] >= 0).all() and (found.intensities[0, known] <= 5).all()
    columns = found.columns("openface")
    for place, au in enumerate(PAPER_AUS):
        np.testing.assert_array_equal(columns[f"AU{au:02d}_r"], found.intensities[:, place])
    assert np.isnan(before.columns("openface")["AU12_r"]).all()


def test_the_intensities_of_a_detector_are_those_of_the_systems_own(graded):
    fold = TrainedFold(graded, 0)
    scored = read_scores(RunDir(graded).score_path(0, "anet_intensity"))
    faces = FaceSet(fold.dataset, fold.test_subjects[:1])
    (batch,) = [batch for batch in ordered_batches(faces, batch_size=len(faces), crop_size=None)]
    video = faces.videos[0]
    found = Detector.from_run(graded, [0]).score(batch["image"][: len(video)])
    np.testing.assert_allclose(found["intensity"], scored.intensities[video.key], atol=1e-4)


def test_where_a_fold_has_no_intensities_the_mean_over_folds_has_none(graded):
    assert Detector.from_run(graded).outputs == ("anet", "hybrid", "probability")


def test_a_folder_of_frames_is_scored_as_its_images_are(finished, clip, tmp_path):
    for frame in read_pictures(clip):
        Image.fromarray(frame.image).save(tmp_path / f"{frame.number + 7}.png")
    table = Detector.from_run(finished, systems=["anet"]).detect(tmp_path, fps=50)
    np.testing.assert_array_equal(table.frames, np.arange(8, FRAMES + 8))
    np.testing.assert_allclose(table.timestamps, np.arange(FRAMES) / 50)
    assert list(table.scores) == ["anet"]


def test_a_detector_says_what_it_is(finished):
    detector = Detector.from_run(finished)
    assert repr(detector) == "Detector(systems=('anet', 'hybrid'), folds=2, image_size=40)"
    assert detector.aus == PAPER_AUS


def test_what_goes_wrong_in_the_video_is_raised_at_the_reader(finished):
    def frames():
        yield VideoFrame(1, 0.0, None)
        raise DataError("frame 2 is gone")

    with pytest.raises(DataError, match="frame 2 is gone"):
        list(Detector.from_run(finished, folds=[0]).stream(frames(), chunk=1))


def test_runs_and_folds_that_are_not_there_are_named(finished, tmp_path):
    with pytest.raises(DataError, match=r"no config.json"):
        Detector.from_run(tmp_path)
    with pytest.raises(CommandError, match=r"has folds 0 to 1, not \[5\]; choose among these with --folds"):
        Detector.from_run(finished, folds=[5])


def test_an_unfinished_fold_is_named_with_those_that_are_finished(copied):
    shutil.rmtree(copied / "fold_01" / "scores")
    with pytest.raises(DataError, match=r"fold 1 has no anet and hybrid; .* finished folds with --folds=0$"):
        Detector.from_run(copied)
    assert Detector.from_run(copied, folds=[0]).systems == ("anet", "hybrid")
    shutil.rmtree(copied / "fold_00" / "scores")
    with pytest.raises(
        DataError,
        match=r"fold 0 has no anet and hybrid; run au_jax.main again with the run's own --config and --workdir=[^ ]+$",
    ):
        Detector.from_run(copied)


def test_systems_that_cannot_score_new_videos_are_refused_with_those_that_can(finished):
    with pytest.raises(CommandError, match=r"hog_svm cannot score new videos, anet and hybrid can; .*--systems"):
        Detector.from_run(finished, systems=["hog_svm"])


def test_a_run_of_hog_alone_is_told_which_systems_to_add(copied):
    edit_config(copied, systems=["hog_svm"])
    for fold in (0, 1):
        for name in ("anet", "hybrid"):
            (copied / f"fold_{fold:02d}" / "scores" / f"{name}.npz").unlink()
    with pytest.raises(CommandError, match=r"made with hog_svm.*--config.systems=\('hog_svm','anet','hybrid'\)"):
        Detector.from_run(copied)
    edit_config(copied, systems=["hog_svm", "anet"])
    with pytest.raises(CommandError, match=r"has no hybrid.*--systems=anet, or add.*\('hog_svm','anet','hybrid'\)"):
        Detector.from_run(copied, systems=["hybrid"])


def test_systems_added_after_the_config_was_written_serve_too(copied):
    edit_config(copied, systems=["anet"])
    assert Detector.from_run(copied).systems == ("anet", "hybrid")


def test_a_bidirectional_run_is_refused_with_the_remedy(copied):
    edit_config(copied, lstm__bidirectional=True)
    with pytest.raises(ConfigError, match="bidirectional.*--systems=anet"):
        Detector.from_run(copied)
    assert Detector.from_run(copied, systems=["anet"]).systems == ("anet",)


def test_a_missing_network_and_a_damaged_checkpoint_are_named_with_their_remedy(copied):
    config, fold = RunDir(copied).config(), copied / "fold_00"
    lstm = fold / "hybrid" / "lstm"
    best = json.loads((lstm / "finished.json").read_text())["best_epoch"]
    shutil.rmtree(lstm / "checkpoints" / str(best))
    read_variables(config, fold, ("anet", "hybrid"))
    (lstm / "best.npz").unlink()
    with pytest.raises(UserError, match=r"hybrid/lstm.*cannot be read.*delete the folder scores"):
        read_variables(config, fold, ("anet", "hybrid"))
    shutil.rmtree(fold / "hybrid")
    with pytest.raises(DataError, match=r"hybrid.*run au_jax.main on this workdir again"):
        read_variables(config, fold, ("anet", "hybrid"))
    read_variables(config, fold, ("anet",))


def test_folds_of_the_flag_are_numbers():
    assert parse_folds([]) == [] and parse_folds(["1", "0"]) == [1, 0]
    with pytest.raises(CommandError, match=r"--folds is 'a,1'; give numbers of folds, such as --folds=0,2"):
        parse_folds(["a", "1"])


def test_the_detector_imports_without_tensorflow_and_scikit_learn():
    program = (
        "import sys\nfrom au_jax.inference import detector, streaming, writers\n"
        "assert not {'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_faces_are_registered_by_the_landmarks_that_the_run_was_trained_with(copied, monkeypatch):
    from au_jax.faces import backends, people

    asked = []

    def make_tracker(landmarks):
        asked.append(landmarks)
        return backends.make_tracker()

    monkeypatch.setattr(people, "make_tracker", make_tracker)
    config = files.read_json(copied / "config.json")
    # Runs of before there was a choice.
    config["data"].pop("landmarks", None)
    files.write_json(copied / "config.json", config)
    unreadable = [VideoFrame(1, 0.0, None)]
    for landmarks in ("dlib", "mesh"):
        detector = Detector.from_run(copied, folds=[0], systems=["anet"])
        assert detector.landmarks == landmarks
        for faces in ("largest", "all"):
            assert len(list(detector.stream(unreadable, faces=faces))) == 1
        edit_config(copied, data__landmarks="mesh")
    assert asked == ["dlib", "dlib", "mesh", "mesh"]
