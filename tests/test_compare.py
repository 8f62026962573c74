"""The command that compares two runs."""

from au_jax import files


def test_the_command_writes_table_numbers_and_figure(command, finished, tmp_path):
    out = tmp_path / "out"
    result = command("au_jax.compare", f"--runs={finished},{finished}", "--systems=anet,hybrid", f"--out={out}")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {"compare.md", "compare.json", "compare.png", "compare.svg"}
    assert (out / "compare.md").read_text() in result.stdout
    document = files.read_json(out / "compare.json")
    assert [run["system"] for run in document["runs"]] == ["anet", "hybrid"]


def test_the_command_tells_a_mistake_in_one_line(command, tmp_path):
    result = command("au_jax.compare", f"--runs={tmp_path}", f"--out={tmp_path / 'out'}")
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert result.returncode == 1 and len(lines) == 1 and "two finished runs" in lines[0]
