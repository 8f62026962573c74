"""An installed wheel works in any folder, whatever else lies there."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command, folder):
    # Nothing but the installed package: no PYTHONPATH to the checkout.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, ROOT, folder=folder)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("hatchling, which builds the wheel, cannot be had")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of an environment's programs, in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, system_site_packages=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # The dependencies are those of the environment that runs the tests, without its au_jax.
    (packages / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n"
    )
    python = folder / "bin/python"
    done = run(
        python,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--force-reinstall",
        "--prefix",
        folder,
        wheel,
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture
def hostile(tmp_path):
    """A folder of a user whose own modules have the names of ours."""
    for name in ("configs", "experiments", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong module')\n")
    return tmp_path


def test_the_wheel_holds_the_package_and_its_config_files_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"au_jax"}
    assert {f"au_jax/configs/{name}.py" for name in ("bp4d", "demo", "disfa", "folder", "gft")} <= set(names)
    assert "au_jax/report/page.html.jinja" in names and "au_jax/py.typed" in names


def test_commands_find_the_shipped_configs_in_any_folder(installed, hostile):
    done = run(installed / "au-jax", "train", "--config=demo:smoke", "--fields", folder=hostile)
    assert done.returncode == 0, done.stderr
    assert "--config.data.preset='tiny'" in done.stdout
    done = run(installed / "python", "-m", "au_jax.main", "--config=bp4d:10fold", "--fields", folder=hostile)
    assert done.returncode == 0, done.stderr
    assert "--config.protocol.folds=10" in done.stdout
    program = "import au_jax, au_jax.config; print(au_jax.__file__); print(au_jax.load_config('demo').cnn.epochs)"
    done = run(installed / "python", "-c", program, folder=hostile)
    assert done.returncode == 0, done.stderr
    file, epochs = done.stdout.split()
    assert Path(file).is_relative_to(installed.parent) and epochs == "4"


def test_the_command_lists_its_subcommands(installed, hostile):
    for options, status in (((), 1), (("nosuch",), 1), (("--help",), 0)):
        done = run(installed / "au-jax", *options, folder=hostile)
        assert done.returncode == status
        text = done.stdout + done.stderr
        assert "train " in text and "figures " in text and len(text.splitlines()) < 12
