"""The configuration: every field once with its meaning, checked as a whole, typed, and read from older runs."""

import dataclasses
import json
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import ml_collections
import pytest

from au_jax import config as configuration
from au_jax.config import (
    Config,
    DataConfig,
    check_fields,
    check_optimizer,
    describe,
    differing,
    fields,
    get_config,
    load,
    replace,
    to_dict,
    typed,
    with_defaults,
)
from au_jax.errors import ConfigError, DataError
from au_jax.options import Block, Interval, option

ROOT = Path(__file__).parents[1]


def test_every_field_has_a_meaning_and_its_default():
    listed = list(fields(get_config()))
    assert [field.name for field in listed if not field.meaning] == []
    assert not any(field.changed for field in listed)
    as_read = ml_collections.ConfigDict(json.loads(get_config().to_json_best_effort()))
    assert not any(field.changed for field in fields(as_read))
    names = [field.name for field in listed]
    assert len(names) == len(set(names)) > 120
    assert names[:3] == ["seed", "folds", "systems"] and names[-1] == "evaluation.f1_norm"


@pytest.mark.parametrize(
    ("name", "meaning", "allowed"),
    [
        ("seed", "Every random number of a run", "at least 0"),
        ("data.source", "Where the faces come from: synthfacs (rendered, needs no files)", "one of synthfacs, bp4d"),
        ("cnn.optimizer.name", "caffe_sgd (paper), torch_rmsprop or any optax optimizer", ""),
        ("cnn.optimizer.caffe_sgd.momentum", "caffe_sgd: momentum", "at least 0 and below 1"),
        ("lstm.plateau.factor", "Factor on the learning rate", "above 0 and at most 1"),
        ("anet_transfer.costs", "Costs C that are tried on the validation subjects", "each above 0"),
    ],
)
def test_a_field_is_listed_with_meaning_and_range(name, meaning, allowed):
    field = next(field for field in fields(get_config()) if field.name == name)
    assert field.meaning.startswith(meaning) and field.allowed.startswith(allowed)


def test_text_shows_what_differs_from_the_default():
    text = describe(load("demo"))
    assert "--config.cnn.epochs=4    (default: 15)\n" in text
    assert "\n--config.cnn.width=1.0\n" in text
    assert (
        "# Side of a registered face, pixels (paper: 200). (at least 1 and at most 4096)\n--config.data.image_size=72    (default"
        in text
    )


def test_a_config_imports_no_heavy_library():
    program = (
        "import sys, au_jax; au_jax.get_config(); print({'jax', 'flax', 'tensorflow', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_typed_view_has_the_same_fields():
    config = load("demo")
    view = typed(config)
    assert isinstance(view, Config) and view.cnn.epochs == 4 and view.hog_svm.costs == (1e-2, 1e-1, 1.0)
    assert to_dict(view) == to_dict(config) == json.loads(config.to_json_best_effort())
    assert typed(to_dict(config)) == typed(view) == view  # tuples of lists
    # A ConfigDict is taken wherever a section is asked for.
    assert isinstance(config.data, DataConfig) and not isinstance({}, DataConfig)


def test_whole_numbers_are_floats_where_a_float_is_meant():
    config = to_dict(get_config())
    config["data"]["fps"], config["hog_svm"]["costs"] = 30, [1, 2]
    view = typed(config)
    assert type(view.data.fps) is float and view.hog_svm.costs == (1.0, 2.0)
    assert {type(cost) for cost in view.hog_svm.costs} == {float}


@pytest.mark.parametrize("make", [get_config, Config])
def test_replace_leaves_the_original_alone(make):
    config = make()
    other = replace(config, **{"data.raw": "x", "seed": 3, "cnn.optimizer.caffe_sgd.momentum": 0.5})
    assert type(other) is type(config)
    assert (other.data.raw, other.seed, other.cnn.optimizer.caffe_sgd.momentum) == ("x", 3, 0.5)
    assert differing(to_dict(config), to_dict(make())) == []
    assert replace(config.data, raw="y").raw == "y" and config.data.raw == ""
    with pytest.raises(ConfigError, match="no field 'row'"):
        replace(config, **{"data.row": "x"})


def test_a_config_from_json_is_read_whatever_its_age():
    old = to_dict(get_config())
    old["aus"] = old["data"].pop("aus")
    old["lstm"]["passes"], old["lstm"]["updates_per_pass"] = 7, 5
    del old["lstm"]["epochs"], old["lstm"]["steps_per_epoch"], old["protocol"]["subjects_file"]
    old["cnn"]["compute"] = "bfloat16"
    del old["cnn"]["dtype"]
    new = with_defaults(old)
    assert (new["lstm"]["epochs"], new["lstm"]["steps_per_epoch"], new["cnn"]["dtype"]) == (7, 5, "bfloat16")
    assert "aus" not in new and new["data"]["aus"][:3] == [1, 2, 4] and new["protocol"]["subjects_file"] == ""
    assert typed(new).lstm.epochs == 7
    assert with_defaults({"aus": [1, 25]})["data"]["aus"] == [1, 25]
    assert with_defaults(to_dict(load("demo"))) == to_dict(load("demo"))


@pytest.mark.parametrize(
    "field", [{"cnn": {"nosuch": 1}}, {"nosuch": {"x": 1}}, {"seed": {"x": 1}}, {"cnn": {"epochs": {"x": 1}}}]
)
def test_a_field_that_is_not_known_is_refused_in_one_line(field):
    with pytest.raises(
        DataError, match="has a field (cnn|nosuch|seed)[.a-z]*, which this version does not know"
    ) as caught:
        with_defaults(field)
    assert "\n" not in str(caught.value)


def test_what_holds_no_fields_is_refused():
    with pytest.raises(DataError, match="holds list and no fields"):
        with_defaults([1])


def test_differing_fields_are_listed_but_for_those_left_out():
    there, now = to_dict(get_config()), to_dict(load("demo"))
    lines = differing(there, now, but=("data.crop_size",))
    assert "data.image_size: 200 there, 72 now" in lines and not any("crop_size" in line for line in lines)


@pytest.mark.parametrize("make", [get_config, Config])
def test_the_defaults_are_valid(make):
    check_fields(make())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cnn.epochs", 0, "config.cnn.epochs is 0; give a whole number, at least 1"),
        ("cnn.epochs", True, "config.cnn.epochs is True; give a whole number"),
        ("cnn.epochs", 2.0, "config.cnn.epochs is 2.0; give a whole number"),
        ("data.skip_unusable", 1, "config.data.skip_unusable is 1; give True or False"),
        ("cnn.dropout", float("nan"), "config.cnn.dropout is nan; give a number, at least 0 and below 1"),
        ("lstm.forget_bias", float("inf"), "config.lstm.forget_bias is inf; give a number"),
        ("data.directory", None, "config.data.directory is None; give a text"),
        ("cnn.dtype", "float16", "config.cnn.dtype is 'float16'; choose one of float32, bfloat16"),
        (
            "protocol.threshold",
            "test",
            "config.protocol.threshold is 'test'; choose one of zero, validation, calibrated",
        ),
        (
            "jpml.alphas",
            (),
            "config.jpml.alphas is empty; give numbers in brackets, each at least 0, at least 1 of them",
        ),
        ("hog_svm.costs", (0.1, 0.0), r"config.hog_svm.costs is \(0.1, 0.0\); give numbers in brackets, each above 0"),
        ("data.aus", (1, 3), r"config.data.aus is \(1, 3\); give whole numbers in brackets, each an AU of 1, 2, 4, 5"),
        ("data.aus", (1, 1), "none twice"),
        ("data.aus", (), "config.data.aus is empty"),
        (
            "systems",
            (),
            "names nothing; choose among hog_svm, cpm, jpml, anet_transfer, anet, anet_filter, anet_intensity, hybrid",
        ),
        ("systems", ("resnet",), "config.systems names 'resnet'; choose among"),
        ("systems", ("anet", "anet"), "config.systems is .*none twice"),
        ("folds", (7,), r"config.folds names \[7\]; choose among the folds 0 to 2"),
        ("folds", (-1,), "config.folds is"),
        ("data.crop_size", 300, "config.data.crop_size is 300, which does not fit into config.data.image_size 200"),
        ("lstm.burn_in", 1300, "config.lstm.burn_in is 1300, which leaves no loss"),
        ("jpml.compete", 0.5, "config.jpml.compete is 0.5; give at most config.jpml.together, 0.3"),
        ("cnn.optimizer.name", "adamax_w", "config.cnn.optimizer: unknown optimizer 'adamax_w'; choose from caffe_sgd"),
        ("lstm.optimizer.schedule.name", "cosinus", "config.lstm.optimizer: unknown schedule"),
        ("fusion.optimizer.arguments", "beta=0.9", "config.fusion.optimizer: .*no argument 'beta'"),
        ("cnn.optimizer.learning_rate", 0.0, "config.cnn.optimizer.learning_rate is 0.0; give a number, above 0"),
        ("cnn", 3, "config.cnn is 3; it is a section"),
        ("lstm.passes", 3, "config.lstm.passes is called config.lstm.epochs now"),
        ("lstm.epoch", 3, "there is no field config.lstm.epoch; config.lstm has: pca_components"),
    ],
)
def test_a_mistake_names_the_field_and_what_is_allowed(field, value, message):
    config = get_config()
    section, _, name = field.rpartition(".")
    place = config
    for part in section.split(".") if section else ():
        place = place[part]
    with place.ignore_type():
        place[name] = value
    with pytest.raises(ConfigError, match=message) as caught:
        check_fields(config)
    assert "\n" not in str(caught.value)


def test_a_field_that_is_missing_is_named():
    config = get_config()
    del config.cnn.epochs
    with pytest.raises(ConfigError, match="config.cnn.epochs is missing"):
        check_fields(config)


def test_a_schedule_is_checked_with_the_steps_that_a_run_takes():
    config = get_config()
    config.lstm.optimizer.schedule.name = "warmup_cosine_decay_schedule"
    config.lstm.optimizer.schedule.arguments = "warmup_steps=5"
    check_fields(config)
    check_optimizer(config, "lstm", steps_per_epoch=10, epochs=2)
    for name in ("warmup_cosine_decay_schedule", "warmup_constant_schedule"):
        config.lstm.optimizer.schedule.name = name
        with pytest.raises(
            ConfigError,
            match=f"config.lstm.optimizer: schedule {name}: warmup_steps is 5, and the training takes 4 steps; give fewer",
        ):
            check_optimizer(config, "lstm", steps_per_epoch=2, epochs=2)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("per_epoch", "factor=-0.5", "the learning rate at step 5 of 20 is -0.0005; give"),
        ("per_epoch", "factor=1e30", "the learning rate at step 10 of 20 is inf; give"),
        ("polynomial_schedule", "end_value=-1.0, power=1", "the learning rate at step 1 of 20 is -0.04905; give"),
    ],
)
def test_rates_that_no_training_can_use_are_told_with_their_step(name, arguments, message):
    config = get_config()
    config.fusion.optimizer.schedule = {"name": name, "arguments": arguments}
    check_fields(config)
    with pytest.raises(ConfigError, match=f"config.fusion.optimizer: schedule {name}: {message}"):
        check_optimizer(config, "fusion", steps_per_epoch=5, epochs=4)


def test_choices_are_those_of_the_modules_that_use_them():
    from au_jax.data import device_cache, input_pipeline
    from au_jax.data.readers import READERS
    from au_jax.evaluation.metrics import F1_NORM_DEFINITIONS
    from au_jax.evaluation.thresholds import POLICIES
    from au_jax.models import cnn, fusion, lstm
    from au_jax.synthfacs import PRESETS
    from au_jax.systems.cpm.model import RELABELLINGS
    from au_jax.training.losses import LABEL_REDUCTIONS

    allowed = {field.name: field.allowed for field in fields(get_config())}
    for name, choices in {
        "data.source": READERS, "data.preset": PRESETS, "data.cache": device_cache.CACHES,
        "protocol.threshold": ("zero", *POLICIES), "cnn.variant": cnn.CNN_VARIANTS, "cnn.dtype": cnn.DTYPES,
        "cnn.sampling": input_pipeline.SAMPLINGS, "cnn.label_reduction": LABEL_REDUCTIONS, "lstm.kernel": lstm.KERNELS,
        "fusion.variant": fusion.FUSION_VARIANTS, "cpm.relabelling": RELABELLINGS,
        "evaluation.f1_norm": F1_NORM_DEFINITIONS,
    }.items():  # fmt: skip
        assert set(allowed[name].removeprefix("one of ").split(", ")) == set(choices), name


@pytest.fixture
def other_systems(monkeypatch):
    """Installs systems of other packages, for a while: (name, class) pairs."""
    from au_jax.systems import get_system

    def clear():
        get_system.cache_clear()
        configuration._defaults.cache_clear()

    def install(*systems):
        module = types.ModuleType("other_systems")
        module.__dict__.update(systems)
        monkeypatch.setitem(sys.modules, "other_systems", module)
        points = [EntryPoint(name, f"other_systems:{name}", "au_jax.systems") for name, _ in systems]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
        clear()

    yield install
    monkeypatch.undo()
    clear()


def _system(name, block=None):
    from au_jax.systems.base import System

    return type(name.title(), (System,), {"name": name, "config_block": block})


@dataclass(frozen=True, kw_only=True)
class NearestConfig(Block):
    neighbours: int = option(5, "Nearest neighbours that vote.", Interval(1))


def test_a_system_of_another_package_brings_its_section(other_systems):
    other_systems(("nearest", _system("nearest", NearestConfig)), ("plain", _system("plain")))
    config = get_config()
    assert config.nearest.neighbours == 5
    config.systems = ("nearest", "plain", "anet")
    config.nearest.neighbours = 3
    check_fields(config)
    view = typed(config)
    assert isinstance(view, Config) and getattr(view, "nearest") == NearestConfig(neighbours=3)  # noqa: B009
    assert "# Nearest neighbours that vote. (at least 1)\n--config.nearest.neighbours=3    (default: 5)" in describe(
        config
    )
    config.nearest.neighbours = 0
    with pytest.raises(ConfigError, match="config.nearest.neighbours is 0"):
        check_fields(config)
    assert with_defaults({"nearest": {"neighbours": 9}})["nearest"]["neighbours"] == 9


def test_a_system_with_the_name_of_a_section_or_of_another_system_is_refused(other_systems):
    other_systems(("cnn", _system("cnn", NearestConfig)))
    with pytest.raises(ConfigError, match="is called cnn, as a section of the config"):
        get_config()
    other_systems(("hybrid", _system("hybrid", NearestConfig)))
    with pytest.raises(ConfigError, match="adds a system called hybrid, which au_jax has itself"):
        get_config()


def test_a_system_that_cannot_be_loaded_is_refused_where_it_is_asked_for(other_systems):
    other_systems(("mine", object()))
    config = get_config()
    config.systems = ("mine",)
    from au_jax.systems import get_system

    with pytest.raises(ConfigError, match="the system mine of .*other_systems:mine.* is no class"):
        get_system("mine")


@pytest.mark.slow
def test_a_misspelt_field_is_an_error_of_the_type_checker(tmp_path):
    path = tmp_path / "use.py"
    path.write_text(
        "from au_jax.config import Config\nprint(Config().lstm.epochs, Config().lstm.epoch, Config().seed.real)\n"
    )
    # With the project's own settings, on this file only.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    settings |= {"include": [path.name], "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [one["message"] for one in json.loads(done.stdout)["generalDiagnostics"] if one["severity"] == "error"]
    assert len(lines) == 1 and 'Cannot access attribute "epoch" for class "LSTMConfig"' in lines[0]


def test_blocks_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().data.raw = "x"  # type: ignore


DISFA = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
MANY = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 43)


@pytest.mark.parametrize("aus", [(12,), DISFA, MANY], ids=["one", "disfa", "25"])
def test_aus_are_chosen_by_a_flag(aus, monkeypatch):
    from absl import flags
    from ml_collections import config_flags

    from au_jax.data.readers import make_reader

    values = flags.FlagValues()
    given = ["main", f"--config={ROOT / 'configs/bp4d.py'}", "--config.data.source=disfa", f"--config.data.aus={aus}"]
    # config_flags looks there for the fields that are set.
    monkeypatch.setattr(sys, "argv", given)
    config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True)
    values(given)
    config = values["config"].value
    check_fields(config)
    assert typed(config).data.aus == aus and make_reader(typed(config).data).aus == aus
