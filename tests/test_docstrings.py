"""Examples of docstrings run, and public functions and classes have one."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import shutil

import pytest

import au_jax

pytestmark = pytest.mark.optax

MODULES = sorted(
    info.name for info in pkgutil.walk_packages(au_jax.__path__, "au_jax.") if not info.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def run_folder(finished, tmp_path_factory):
    """A finished run of hog_svm, anet and hybrid that examples may write to."""
    folder = tmp_path_factory.mktemp("examples") / "run"
    return shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(".lock"))


@pytest.fixture
def names(request, tmp_path, monkeypatch):
    """What every example may use: `run_folder`, and an empty folder, which is the current one too."""
    monkeypatch.chdir(tmp_path)

    def make(text):
        found = {"folder": tmp_path}
        return {**found, "run_folder": request.getfixturevalue("run_folder")} if "run_folder" in text else found

    return make


# Examples that draw a whole figure or report of a run.
DRAWING = {f"au_jax.report.{name}" for name in ("page", "cnn_figures", "divergence_figure", "embedding_figure")}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DRAWING)) for name in MODULES])
def test_examples_of_a_module_give_what_they_say(name, names):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        if example.examples:
            text = "".join(part.source for part in example.examples)
            example.globs.update(names(text))
            runner.run(example, out=told.append)
    text = "".join(told)
    if "au_jax[video]" in text and not all(map(importlib.util.find_spec, ("av", "dlib"))):
        pytest.skip("needs the extra `video`")
    assert not told, text


def test_what_is_public_has_an_example():
    """Methods and properties have theirs in that of their class."""
    found = set()
    for name in MODULES:
        for key, value in vars(importlib.import_module(name)).items():
            own = (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == name
            # The command line of a command stands in the docstring of its module.
            if own and key != "main" and not key.startswith("_") and ">>>" not in (inspect.getdoc(value) or ""):
                found.add(f"{name}.{key}")
    assert not found, "\n".join(["give these an example:", *sorted(found)])
