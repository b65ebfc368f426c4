"""The iterated quadratic estimator of κ, and its forecast.

forecast             what iterating can reach, from spectra alone
iterated_estimator   the estimator: stages of template, residual fields, quadratic estimates
fitting              its gains, from examples
remapping            stages of the map remapped by the last estimate, for lensing far from linear
ring_regression      least squares in each ring of L
threads              work divided among threads
"""
