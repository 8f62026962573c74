"""`python -m experiments.fig3` and its like are the figures' and tables' own commands."""

import importlib
import inspect
from pathlib import Path

import pytest

import experiments
from au_jax import figures, tables


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "fig5", "cooccurrence", "precision_recall"])
def test_a_figures_module_runs_the_figures_command(name):
    module = importlib.import_module(f"experiments.{name}")
    assert getattr(module, name) is getattr(figures, name)
    assert f"python -m experiments.{name} --run=" in module.__doc__
    assert f"au-jax figures {name}" in " ".join(module.__doc__.split())


@pytest.mark.parametrize(("number", "dataset"), [("1", "gft"), ("2", "bp4d")])
def test_a_tables_module_runs_the_tables_command_with_its_number(number, dataset):
    module = importlib.import_module(f"experiments.table{number}")
    assert module.main is tables.main
    assert f'main(table="{number}")' in inspect.getsource(module)
    assert f"runs/{dataset}_3fold" in module.__doc__
    assert f"au-jax tables --table={number}" in module.__doc__


def test_every_module_that_can_be_run_says_how():
    folder = Path(experiments.__file__).parent
    for path in sorted(folder.glob("*.py")):
        text = path.read_text()
        if '__name__ == "__main__"' in text:
            assert f"python -m experiments.{path.stem}" in text, path.name
