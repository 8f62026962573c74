"""`import au_jax`: what it offers, and that it costs nothing until it is used."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import au_jax
from au_jax.errors import UserError


def test_import_is_light():
    program = "import sys, au_jax; print({'jax', 'flax', 'tensorflow', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_every_name_is_there_and_comes_from_where_it_is_written():
    for name in au_jax.__all__:
        assert getattr(au_jax, name) is not None
    assert au_jax.Detector.__module__ == "au_jax.inference.detector"
    assert au_jax.load_config.__module__ == "au_jax.config"
    assert au_jax.load_dataset.__module__ == "au_jax.data.preparation"
    assert au_jax.load_run.__module__ == "au_jax.run_dir"
    assert au_jax.metrics.__name__ == "au_jax.evaluation.metrics"
    with pytest.raises(AttributeError, match="'au_jax' has no attribute 'Detectors'"):
        _ = au_jax.Detectors


def test_what_imports_tensorflow_is_silent():
    # As from a shell, without what conftest.py sets.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    program = "import sys, au_jax; au_jax.FaceDataset; assert 'tensorflow' in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=plain)
    assert done.stdout == done.stderr == ""


def test_every_name_and_the_version_are_listed_without_importing_what_is_behind():
    program = "import sys, au_jax; print(*dir(au_jax)); assert not {'jax', 'tensorflow'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    listed = {name for name in done.stdout.split() if not name.startswith("__")}
    assert listed == set(au_jax.__all__) - {"__version__"}
    assert sorted(au_jax.__all__) == au_jax.__all__ and set(au_jax._HOMES) == listed


def test_errors_of_config_data_and_commands_are_mistakes_of_the_user():
    assert {error.__mro__[1] for error in (au_jax.ConfigError, au_jax.DataError, au_jax.CommandError)} == {
        au_jax.UserError
    }
    assert issubclass(au_jax.UserError, ValueError)


@pytest.mark.parametrize("path", sorted((Path(au_jax.__file__).parent).rglob("*.py")), ids=lambda path: path.stem)
def test_the_library_imports_no_folder_beside_it(path):
    imported = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {name.name for node in imported if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom) and node.module}
    assert not {name for name in names if name.partition(".")[0] in ("configs", "experiments", "tests")}


def test_the_version_is_that_of_pyproject():
    project = Path(au_jax.__file__).parents[1] / "pyproject.toml"
    assert au_jax.__version__ == tomllib.loads(project.read_text("utf-8"))["project"]["version"]


def test_metrics_need_no_tensorflow():
    program = "import sys, au_jax; au_jax.metrics.f1; print({'flax', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_package_says_that_it_is_typed():
    assert (Path(au_jax.__file__).parent / "py.typed").exists()


def test_a_run_is_loaded_with_results_and_scores(finished):
    run = au_jax.load_run(str(finished))
    assert run.systems == ("hog_svm", "anet", "hybrid") and run.folds == (0, 1)
    assert run.results["systems"]["anet"]["f1_frame"]["average"] > 0
    dataset = au_jax.load_dataset(run.config.data)
    scored = run.scores("hybrid")
    assert {key.split("/")[0] for key in scored.scores} == set(dataset.subjects)


def test_what_is_no_run_is_refused(tmp_path, finished):
    with pytest.raises(UserError, match="no config.json"):
        au_jax.load_run(tmp_path)
    (tmp_path / "config.json").write_bytes((finished / "config.json").read_bytes())
    with pytest.raises(UserError, match="finish it with au_jax.main"):
        au_jax.load_run(tmp_path)
