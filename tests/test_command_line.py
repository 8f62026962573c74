"""A mistaken command line is told in one line that says what to do; help is no failure."""

import contextlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from au_jax import command_line
from au_jax.config import RENAMED
from au_jax.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def refusal(monkeypatch):
    """Parses the flags of a command as the command does, and returns what it ends with."""

    def parse(command, **_):
        command_line._parse_flags(sys.argv, command)

    def refuse(module, *options):
        monkeypatch.setattr(command_line, "run_command", parse)
        monkeypatch.setattr(sys, "argv", [module, *options])
        monkeypatch.chdir(ROOT)
        before = set(flags.FLAGS)
        try:
            with pytest.raises(UserError) as caught:
                runpy.run_module(module, run_name="__main__")
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("configs/demo.py:smok", "configs/demo.py has no variant 'smok'; choose smoke or none"),
        ("configs/folder.py:5fold", "there is no protocol '5fold'; choose 3fold, 10fold or cross"),
    ],
)
def test_a_wrong_variant_is_told_with_the_choices(refusal, config, message):
    assert refusal("au_jax.main", f"--config={config}") == f"flag --config={config}: {message}"


def test_a_mistake_in_a_config_file_is_told_with_its_line(refusal, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def get_config():\n    return 1 + 'a'\n")
    told = refusal("au_jax.main", f"--config={path}")
    assert told.startswith(f"flag --config={path}: unsupported operand") and told.endswith(f"({path}, line 2)")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--config.cnn.epoch=3", "there is no field --config.cnn.epoch; did you mean --config.cnn.epochs? "),
        ("--config.cn.epochs=3", "there is no field --config.cn.epochs; did you mean --config.cnn.epochs? "),
        ("--config.epoch=3", "there is no field --config.epoch; "),
    ],
)
@pytest.mark.parametrize("module", ["au_jax.main", "au_jax.prepare"])
def test_a_wrong_field_is_told_with_the_nearest_one_and_where_all_are(refusal, module, option, message):
    told = refusal(module, "--config=configs/demo.py", option)
    assert told == f"{message}au-jax train --config=... --fields lists them all"


@pytest.mark.parametrize("option", ["--config.cnn.epochs=many", "--config.protocol=3", "--config.seed.x=3", "--nosuch"])
def test_other_mistakes_are_one_line_with_the_flag(refusal, option):
    name = option.partition("=")[0].lstrip("-").removeprefix("config.")
    assert name in refusal("au_jax.main", "--config=configs/demo.py", option)


def test_flags_that_are_missing_are_told_with_their_meaning(refusal):
    assert refusal("au_jax.main") == (
        "flag --config must have a value: Config: bp4d, demo, disfa, folder, gft, long or a file, such as configs/demo.py, "
        "and after a colon its variant"
    )
    told = refusal("au_jax.predict", "--video=clip.mp4")
    assert (
        told
        == "flag --run must have a value: Folder of a finished run, or a detector in an ONNX file; flag --out must have "
        "a value: File to write: CSV, or what --format says"
    )


@pytest.mark.parametrize("more", [(), ("--config.seed=2",), ("--fields",)])
def test_an_absent_config_file_is_told_with_the_folder_it_was_sought_in(refusal, more):
    remedy = "give a path, or one of bp4d, demo, disfa, folder, gft, long"
    for given in ("configs/nosuch.py", "configs/nosuch.py:3fold", "configs"):
        path = given.partition(":")[0]
        expected = f"there is no config file {path} in {ROOT}; {remedy}"
        assert refusal("au_jax.main", f"--config={given}", *more) == expected
        assert refusal("au_jax.main", "--config", given, *more) == expected
    assert refusal("au_jax.main", "--config=/nowhere/x.py", *more) == f"there is no config file /nowhere/x.py; {remedy}"


@pytest.mark.parametrize("module", ["au_jax.main", "au_jax.prepare"])
@pytest.mark.parametrize("option", ["--config.lstm.passes=3", "--config.aus=(1,2)", "-config.cnn.compute=x"])
def test_a_former_name_is_refused_with_the_new_one(refusal, module, option):
    name = option.lstrip("-").partition("=")[0]
    assert refusal(module, "--config=demo", option) == f"{name} is called config.{RENAMED[name[7:]]} now"


def test_a_name_finds_the_config_file_that_comes_with_the_package_and_a_file_wins(refusal, tmp_path):
    assert refusal("au_jax.main", "--config=demo:smok").startswith(
        "flag --config=demo:smok: configs/demo.py has no variant"
    )
    assert refusal("au_jax.main", "--config", "demo:smok").endswith("has no variant 'smok'; choose smoke or none")
    (tmp_path / "demo").write_text("def get_config(variant):\n    raise ValueError('mine')\n")
    words = command_line._with_config_path(["--config", "bp4d:10fold", "--config.seed=1", "-config=demo"])
    assert words == ["--config", f"{ROOT}/configs/bp4d.py:10fold", "--config.seed=1", f"-config={ROOT}/configs/demo.py"]
    with contextlib.chdir(tmp_path):
        assert command_line._with_config_path(["--config=demo:x"]) == ["--config=demo:x"]


def test_a_command_that_does_without_tensorflow_does_not_import_it():
    program = (
        "import sys, au_jax.command_line, au_jax.main, au_jax.prepare; print({'jax', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_importing_a_command_defines_no_flags():
    program = (
        "from absl import flags; n = set(flags.FLAGS); import au_jax.main, au_jax.prepare; print(set(flags.FLAGS) - n)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "workdir" not in done.stdout and "raw" not in done.stdout and "'config'" not in done.stdout


def test_help_tells_and_succeeds():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "au_jax.predict", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    told = re.sub(r"\s+", " ", done.stdout)
    assert "--video: Video file, folder of frames, or camera index." in told
    assert "Of several people the largest is scored until that person leaves" in told
