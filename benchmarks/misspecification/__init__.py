"""Estimators made for one version's skies on those of others: bias band by band, and its page.

    python -m benchmarks.misspecification --results runs/results --page docs/misspecification.md

v16 is v10 with foregrounds, its CMB, κ and noise bit for bit; v17 is v10 with a κ that is not
Gaussian. Response and power of each estimator on their skies are compared with those on v10's,
band by band, on examples of the same numbers. Skies are simulated as they are needed: no dataset is
read.

`made.py` gathers the estimators, `measured.py` measures them, `page.py` and `picture.py` show what
was found.
"""
