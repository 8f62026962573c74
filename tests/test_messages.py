"""Who does only what a message says gets on: what messages name is there, and each remedy is followed to see that it works."""

import ast
import importlib.util
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import au_jax
from au_jax import files
from au_jax.__main__ import COMMANDS
from au_jax.config import RENAMED, Config, check_fields, check_optimizer, fields, get_config, load, replace, typed
from au_jax.data.dataset import FaceSet
from au_jax.data.preparation import check_copy, refuse_stand_in
from au_jax.data.readers import make_reader
from au_jax.data.splits import check_split, make_folds, partition, read_subjects_file
from au_jax.data.tfds_builder import AuFaces
from au_jax.errors import CommandError, ConfigError, DataError, UserError
from au_jax.inference.detector import Detector, parse_folds
from au_jax.labels import AU_NAMES, PAPER_AUS
from au_jax.options import declared
from au_jax.run_dir import RunDir, TrainedFold
from au_jax.systems import get_system, system_names

PACKAGE = Path(au_jax.__file__).parent
ERRORS = ("UserError", "ConfigError", "DataError", "CommandError")


def messages():
    """Every text of the package that may be part of a message: (file, line, text), what is filled in replaced by …."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None
        }
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                yield path.relative_to(PACKAGE), node.lineno, "".join(map(str, parts))
            elif (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | inner
            ):
                yield path.relative_to(PACKAGE), node.lineno, node.value


def defined_flags():
    """Names of all flags that the package defines, read from its source."""
    # Those of absl, and the one that stands for any.
    names = {"verbosity", "help", "helpfull", "helpshort", "option"}
    for path in (*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "experiments").glob("*.py")):
        names |= set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', path.read_text()))
    return names


def test_every_field_flag_command_and_module_that_a_message_names_is_there():
    names = {field.name for field in fields(get_config())}
    sections = {name.rpartition(".")[0] for name in names} | {name.split(".")[0] for name in names if "." in name}
    known, wrong, seen = defined_flags(), [], 0
    for path, line, text in messages():
        mentioned = [
            *(name in names | sections | set(RENAMED) for name in re.findall(r"\bconfig\.([a-z_]+(?:\.[a-z_]+)*)(?![\w…/])", text)
              if name.split(".")[0] not in ("json", "py", "update", "cnn.")),
            *(flag in known for flag in re.findall(r"(?<![\w-])--([a-z][a-z_]+)(?=[=\s,;.)'\"]|$)", text) 
              if flag != "config" and not flag.startswith("xla_")),
            *(command in COMMANDS for command in re.findall(r"\bau-jax ([a-z]+)\b", text)),
            *(importlib.util.find_spec(name) is not None for name in re.findall(r"python -m ([\w.]+\w)", text)),
        ]  # fmt: skip
        seen += len(mentioned)
        if not all(mentioned):
            wrong.append(f"{path}:{line}: {text}")
    assert not wrong, "\n".join(wrong)
    assert seen > 100


@pytest.mark.parametrize("name", [name for name, one in declared(Config()).items() if " one of " in f" {one.allowed}"])
def test_every_choice_that_is_named_can_be_chosen(name):
    with pytest.raises(ConfigError, match=f"config.{name} is 'no'; choose one of ") as caught:
        check_fields(replace(Config(), **{name: "no"}))
    for choice in str(caught.value).partition("one of ")[2].split(", "):
        check_fields(replace(Config(), **{name: ast.literal_eval(choice) if choice == "''" else choice}))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"data.crop_size": 300}, {"data.crop_size": 200}),
        ({"lstm.burn_in": 1300}, {"lstm.burn_in": 1299}),
        ({"jpml.compete": 0.5}, {"jpml.compete": 0.3}),
        ({"folds": (7,)}, {"folds": (0, 2)}),
        ({"cnn.batch_size": 0}, {"cnn.batch_size": 1}),
        ({"protocol.validation": 1.0}, {"protocol.validation": 0.99}),
        ({"seed": -1}, {"seed": 0}),
        ({"systems": ()}, {"systems": ("jpml",)}),
        ({"cnn.optimizer.name": "adamax_w"}, {"cnn.optimizer.name": "lion"}),
        ({"cnn.optimizer.schedule.name": "cosinus"}, {"cnn.optimizer.schedule.name": "cosine_decay_schedule"}),
        ({"fusion.optimizer.arguments": "beta=0.9"}, {"fusion.optimizer.arguments": "b1=0.9"}),
    ],
    ids=str,
)
def test_a_value_that_the_message_offers_is_accepted(changes, remedy):
    config = replace(Config(), **changes)
    with pytest.raises(ConfigError) as caught:
        check_fields(config)
    offered = str(next(iter(remedy.values())))
    if any(isinstance(value, str) for value in remedy.values()):
        assert offered in str(caught.value) or "b1" in str(caught.value)
    check_fields(replace(config, **remedy))


@pytest.mark.parametrize("former", sorted(RENAMED))
def test_the_new_name_of_a_field_is_one(former):
    config = get_config()
    with config.unlocked():
        config.update_from_flattened_dict({former: 3})
    with pytest.raises(ConfigError, match=f"config.{former} is called config.") as caught:
        check_fields(config)
    assert re.search(r"config\.([\w.]+) now", str(caught.value))[1] in {field.name for field in fields(get_config())}


@pytest.mark.parametrize("name", ["warmup_cosine_decay_schedule", "warmup_constant_schedule"])
def test_fewer_warm_up_steps_than_the_message_says_are_accepted(name):
    def config(steps):
        arguments = {"cnn.optimizer.schedule.name": name, "cnn.optimizer.schedule.arguments": f"warmup_steps={steps}"}
        return replace(Config(), **arguments)

    with pytest.raises(ConfigError, match="the training takes 12 steps; give fewer"):
        check_optimizer(config(40), "cnn", steps_per_epoch=4, epochs=3)
    check_optimizer(config(11), "cnn", steps_per_epoch=4, epochs=3)


def test_any_number_of_subjects_and_folds_is_dealt_or_the_remedy_deals_it():
    refused = 0
    for count, folds, share in itertools.product(range(1, 13), range(2, 9), (0.2, 0.6, 0.95)):
        subjects = [f"S{number:03}" for number in range(count)]
        for _ in range(3):
            try:
                made = make_folds(partition(subjects, folds, 0), share, 0)
            except DataError as error:
                refused += 1
                if "three subjects are the least" in str(error):
                    assert count < 3
                    made = []
                    break
                if remedy := re.search(r"config\.protocol\.folds=(\d+)", str(error)):
                    folds = int(remedy[1])
                else:
                    share = float(re.search(r"config\.protocol\.validation=([\d.]+)", str(error))[1])
            else:
                break
        else:
            pytest.fail(f"{count} subjects, {folds} folds: the remedies do not help")
        assert all(fold.train and fold.validation and fold.test for fold in made)
    assert refused > 50


def test_the_number_of_folds_that_a_file_asks_for_is_accepted(tmp_path):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps([["a"], ["b"], ["c"], ["d"]]))
    config = replace(Config(), **{"protocol.subjects_file": str(path)})
    with pytest.raises(ConfigError, match="has 4 folds") as caught:
        check_split(config)
    check_split(
        replace(config, **{"protocol.folds": int(re.search(r"--config\.protocol\.folds=(\d+)$", str(caught.value))[1])})
    )


@pytest.mark.parametrize("text", ["{", "[]", "[[1], [2]]", '[["a"], []]'])
def test_the_form_that_a_file_of_folds_should_have_can_be_read(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(DataError, match="write a list of subjects for each fold") as caught:
        read_subjects_file(path)
    path.write_text(re.search(r"each fold, (\[\[.*\]\])$", str(caught.value))[1])
    assert len(read_subjects_file(path)) == 2


def test_aus_that_synthfacs_is_said_to_draw_are_drawn():
    data = replace(Config(), **{"data.aus": (45,)}).data
    with pytest.raises(ConfigError, match="config.data.aus has 45, which synthfacs does not draw") as caught:
        make_reader(data)
    offered = [int(au) for au in re.search(r"choose among ([\d, ]+), or", str(caught.value))[1].split(", ")]
    assert set(PAPER_AUS) <= set(offered) < set(AU_NAMES)
    for au in offered:
        assert make_reader(replace(data, aus=(au,))).aus == (au,)


def test_another_dataset_as_the_message_says_is_accepted_for_transfer():
    config = replace(Config(), **{"transfer.preset": "demo"})
    with pytest.raises(ConfigError, match="give another config.transfer.source, name, preset or render_seed"):
        get_system("anet_transfer").check(config)
    for field, value in (("preset", "tiny"), ("render_seed", 1), ("source", "gft")):
        get_system("anet_transfer").check(replace(config, **{f"transfer.{field}": value}))
    real = replace(config, **{"data.source": "bp4d", "transfer.source": "bp4d"})
    with pytest.raises(ConfigError, match="config.transfer"):
        get_system("anet_transfer").check(real)
    get_system("anet_transfer").check(replace(real, **{"transfer.name": "second"}))


def test_a_check_of_recordings_asks_for_their_folder_and_then_looks_there(tmp_path):
    data = load("bp4d").data
    with pytest.raises(ConfigError, match="to check recordings of bp4d give their folder, --raw=FOLDER$"):
        check_copy(typed(load("bp4d")).data)
    with pytest.raises(ConfigError, match="--raw=FOLDER and --config.data.source=folder"):
        check_copy(Config().data)
    # What `prepare --raw` makes of it.
    real = replace(typed(load("bp4d")).data, source=data.stands_for, raw=str(tmp_path / "nope"))
    with pytest.raises(DataError, match="there is no folder .*/nope of recordings; check --raw or config.data.raw"):
        check_copy(real)
    (tmp_path / "nope").mkdir()
    with pytest.raises(DataError, match="it should hold|there must be one"):
        check_copy(real)
    with pytest.raises(DataError, match="prepare them with au-jax prepare --raw=FOLDER and otherwise the same options"):
        check_copy(replace(real, raw=""))


def test_either_answer_about_stand_ins_is_accepted(tmp_path, monkeypatch):
    data = replace(typed(load("bp4d")).data, directory=str(tmp_path))
    name = make_reader(replace(data, source="bp4d")).name
    (tmp_path / "tfds" / AuFaces.name / name / str(AuFaces.VERSION)).mkdir(parents=True)
    with pytest.raises(
        ConfigError, match="--config.data.source=bp4d for the recordings, or --config.data.stands_for= for"
    ):
        refuse_stand_in(data)
    refuse_stand_in(replace(data, source="bp4d"))
    refuse_stand_in(replace(data, stands_for=""))


@pytest.mark.parametrize("name", ["hog_svm", "cpm", "anet", "hybrid"])
def test_a_step_over_frames_that_leaves_too_few_is_told_before_training(config, dataset, name):
    config = typed(config)
    section = "cnn" if name in ("anet", "hybrid") else name
    train, validation = FaceSet(dataset, ("S001",)), FaceSet(dataset, ("S002",))
    sparse = replace(config, **{f"{section}.frame_step": 10**6})
    with pytest.raises(ConfigError, match=f"config.{section}.frame_step") as caught:
        get_system(name).check_fold(sparse, 0, train, validation, {})
    assert "learning rate" not in str(caught.value)
    get_system(name).check_fold(replace(config, **{f"{section}.frame_step": 1}), 0, train, validation, {})


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns(".lock"))


def test_the_finished_folds_that_are_named_can_be_chosen(copied):
    shutil.rmtree(copied / "fold_01" / "scores")
    with pytest.raises(DataError, match="fold 1 has no anet and hybrid") as caught:
        Detector.from_run(copied)
    folds = re.search(r"with --folds=([\d,]+)$", str(caught.value))[1]
    assert Detector.from_run(copied, folds=parse_folds(folds.split(",")), systems=["anet"]).systems == ("anet",)


def added_systems(message):
    """The systems of the flag that a message names; main takes them on the run."""
    return ast.literal_eval(re.search(r"--config\.systems=(\([^)]*\))", message)[1])


@pytest.mark.parametrize("command", ["predict", "fig2", "unfinished"])
def test_a_run_of_hog_only_is_told_how_to_add_the_networks(copied, config, command):
    only = ("hog_svm",)
    for fold in ("fold_00", "fold_01"):
        shutil.rmtree(copied / fold / "anet")
        for system in ("anet", "hybrid"):
            (copied / fold / "scores" / f"{system}.npz").unlink()
    document = {**files.read_json(copied / "config.json"), "systems": list(only)}
    files.write_json(copied / "config.json", document)
    with pytest.raises(UserError, match="au_jax.main with the run's own --config") as caught:
        if command == "fig2":
            _ = TrainedFold(copied).cnn
        elif command == "predict":
            Detector.from_run(copied)
        else:
            Detector.from_run(copied, systems=["anet"])
    systems = added_systems(str(caught.value))
    assert {"hog_svm", "anet"} <= set(systems) <= set(system_names())
    with_them = replace(typed(config), systems=systems, **{"data.directory": document["data"]["directory"]})
    check_fields(with_them)
    RunDir(copied).check(with_them)


def test_a_fold_that_a_run_has_is_offered(finished):
    with pytest.raises(CommandError, match="has folds 0 to 1, not 7; choose among these with --fold"):
        _ = TrainedFold(finished, 7).cnn
    with pytest.raises(CommandError, match="has folds 0 to 1"):
        _ = TrainedFold(finished, -1).test_subjects
    assert TrainedFold(finished, 1).test_subjects


@pytest.mark.parametrize("name", ["config.json", "split.json", "results.json"])
def test_a_damaged_file_of_a_run_is_deleted_and_made_again(copied, config, name, monkeypatch):
    from au_jax.run import run

    monkeypatch.setattr("au_jax.run.write_report", lambda *_: None)
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: len(whole) // 2])
    read = {"config.json": RunDir.config, "split.json": RunDir.split, "results.json": RunDir.results}[name]
    with pytest.raises(
        DataError, match="delete it, then au_jax.main with this --workdir and the run's own --config makes it again"
    ):
        read(RunDir(copied))
    (copied / name).unlink()
    config.data.directory = (
        files.read_json(copied / "config.json")["data"]["directory"]
        if name != "config.json"
        else str(config.data.directory)
    )
    run(config, copied)
    made = json.loads((copied / name).read_text())
    before = json.loads(whole)
    if name == "config.json":
        before["data"]["directory"] = made["data"]["directory"]
        for key in ("sha256", "compiled"):
            del before[key], made[key]
    assert made == before


def test_the_values_that_another_config_is_told_are_accepted(copied, config):
    run = RunDir(copied)
    other = replace(typed(config), seed=9, **{"cnn.epochs": 9})
    with pytest.raises(ConfigError, match="take another --workdir or the same values") as caught:
        run.check(other)
    there = {name: ast.literal_eval(value) for name, value in re.findall(r"([\w.]+): (\S+) there", str(caught.value))}
    assert there == {"seed": 0, "cnn.epochs": 2}
    run.check(replace(other, **there))
    RunDir(copied.parent / "another").check(other)


def test_scores_of_a_wrong_shape_do_not_blame_the_learning_rate(context, dataset, monkeypatch):
    from au_jax.run import _scored
    from au_jax.systems.base import System

    class Wrong(System):
        def score(self, faces):
            return {video.key: np.zeros((1, 2), np.float32) for video in faces.videos}

    with pytest.raises(UserError, match=r"are of shape \(1, 2\) and not .*; the system has to be mended") as caught:
        _scored(Wrong(context), "wrong", context, FaceSet(dataset, ("S001",)))
    assert "learning rate" not in str(caught.value)
