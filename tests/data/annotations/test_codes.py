"""Codes per frame, and frame numbers as text."""

import numpy as np
import pytest

from au_jax.data.annotations.codes import spans


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], "none"), ([4], "4"), ([1, 2, 3, 9], "1 to 3, 9"), (list(range(0, 16, 2)), "0, 2, 4, 6, 8 and 3 more")],
)
def test_spans_of_numbers_read_as_text(numbers, text):
    assert spans(np.array(numbers, np.int32)) == text
