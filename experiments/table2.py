"""The paper's Table II (BP4D) with our metrics beside its own.

    python -m experiments.table2 --runs=runs/bp4d_3fold,runs/bp4d_cross,runs/bp4d_10fold

The runs are those of configs/bp4d.py; any of them may be left out. The same is `au-jax tables --table=2`.
"""

from au_jax.tables import main

if __name__ == "__main__":
    main(table="2")
