"""The paper's Table I (GFT) with our metrics beside its own.

    python -m experiments.table1 --runs=runs/gft_3fold,runs/gft_cross,runs/gft_10fold

The runs are those of configs/gft.py; any of them may be left out. The same is `au-jax tables --table=1`.
"""

from au_jax.tables import main

if __name__ == "__main__":
    main(table="1")
