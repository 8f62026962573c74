"""The paper's figures: columns in place, averages that agree with the printed ones."""

import numpy as np
import pytest

from au_jax.evaluation.paper import PROTOCOLS, TABLE_I, TABLE_II
from au_jax.labels import PAPER_AUS


@pytest.mark.parametrize("table", [TABLE_I, TABLE_II], ids=lambda table: table.number)
def test_every_printed_average_is_that_of_its_column(table):
    assert len(table.columns) == 11
    for column in table.columns:
        assert column.protocol in PROTOCOLS
        assert len(column.values) == 12
        # Figures are printed with one decimal; three averages are off by one in the last digit.
        assert np.nanmean(column.values) == pytest.approx(column.average, abs=0.11)


def test_cells_are_where_the_paper_prints_them():
    hybrid = TABLE_II.column("3fold", "hybrid")
    assert (hybrid.values[PAPER_AUS.index(4)], hybrid.values[PAPER_AUS.index(10)], hybrid.average) == (71.4, 45.0, 53.2)
    assert TABLE_I.column("cross", "anet_transfer").values[PAPER_AUS.index(24)] == 18.9
    assert np.isnan(TABLE_I.column("10fold", "jpml").values[PAPER_AUS.index(4)])
    assert TABLE_I.column("cross", "hybrid") is None


def test_the_doubted_column_is_nearly_another_one():
    ours, cpm = (np.array(TABLE_I.column(*place).values) for place in (("3fold", "hybrid"), ("10fold", "cpm")))
    equal = ours == cpm
    assert equal.sum() == 10
    assert not equal[[PAPER_AUS.index(4), PAPER_AUS.index(24)]].any()
    assert TABLE_I.doubts_on("3fold", "hybrid", 12) == [1]


def test_doubts_name_cells_that_exist():
    for table in (TABLE_I, TABLE_II):
        for doubt in table.doubts:
            for protocol, system, au in doubt.cells:
                assert table.column(protocol, system) is not None
                assert au in (*PAPER_AUS, "average")
    assert TABLE_II.doubts_on("3fold", "hybrid", 10) == [1]
    assert TABLE_II.doubts_on("3fold", "anet", 10) == []
