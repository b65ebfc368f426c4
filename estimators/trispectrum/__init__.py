"""Power of quadratic estimates of κ beside κ's own: N1, and the sum of all parts.

    n1.n1             N1_L of an estimator, on the patch's own modes
    pair_sums         the sums that it consists of
    closure.close     N0 + N1 + C_κκ beside the power of estimates of simulated skies
    crossed_skies     skies in eights, whose differences hold N1 and orders of κ

NumPy, SciPy and ducc0: no TensorFlow.
"""
