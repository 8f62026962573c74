"""The pages of the programming interface are built from the docstrings without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_pages_are_built_in_silence(tmp_path):
    pytest.importorskip("pdoc", reason="pdoc is not installed: pip install -r requirements-docs.txt")
    # As from a shell, without what conftest.py sets.
    plain = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS" and not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "build.py", tmp_path],
        capture_output=True, text=True, env={**plain, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr[-2000:]
    page = (tmp_path / "au_jax" / "xla_flags.html").read_text()
    assert "individual_convolution" in page
    page = (tmp_path / "au_jax" / "detector.html").read_text()
    assert "Scores of the registered faces of one video" in page
    modules = {
        path.relative_to(ROOT).with_suffix(".html")
        for path in (ROOT / "au_jax").rglob("*.py")
        if path.name not in ("__init__.py",)
    }
    assert {path for path in modules if not (tmp_path / path).exists()} == set()
