"""From faces to scores in parts, whatever computes them."""

import subprocess
import sys

import numpy as np
import pytest

from au_jax.inference.scoring import FaceScorer


class Late(FaceScorer):
    """Gives the brightness of the frame before: a delay of one frame; what is behind the end counts as 99."""

    aus, systems, outputs, image_size, delay = (12,), ("anet",), ("anet",), 4, 1

    def _initial_carries(self):
        return [np.zeros(1, np.float32)]

    def _mean_scores(self, carries, faces, present):
        rows = np.where(present, faces.mean((1, 2, 3)), 99).astype(np.float32)
        joined = np.concatenate([carries[0], rows])
        return [joined[-1:]], {"anet": joined[:-1, None]}


@pytest.mark.parametrize("chunk", [1, 2, 3, 8])
def test_delayed_scores_come_back_in_their_rows(chunk):
    faces = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((1, 4, 4, 3), np.uint8)
    assert Late().score(faces, chunk)["anet"][:, 0].tolist() == [1, 2, 3, 4, 5]


def test_it_imports_without_jax():
    program = (
        "import sys\nsys.modules['jax'] = sys.modules['flax'] = None\nimport au_jax.inference.scoring, au_jax.predict"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
