"""The command of the figures: which one is named first, and mistakes in one line."""

import sys

import pytest

from au_jax import figures


@pytest.mark.parametrize("words", [["experiments.fig2"], ["au_jax.figures", "fig2"]])
def test_a_command_tells_a_mistake_in_one_line(command, tmp_path, words):
    result = command(*words, f"--run={tmp_path}")
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and "is not a run (it has no config.json)" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "a figure is missing"), (["fig1", "--run=x"], "no figure 'fig1'")]
)
def test_a_figure_that_is_not_there_is_answered_with_those_that_are(monkeypatch, arguments, message):
    monkeypatch.setattr(sys, "argv", ["au-jax figures", *arguments])
    with pytest.raises(
        SystemExit, match=f"error: .*{message}; name one of fig2, fig3, fig4, fig5, precision_recall, coocc"
    ):
        figures.main()


def test_help_tells_what_the_command_does(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["au-jax figures", "--help"])
    with pytest.raises(SystemExit) as ended:
        figures.main()
    assert ended.value.code == 0 and "au-jax figures fig2 --run=runs/demo" in capsys.readouterr().out
