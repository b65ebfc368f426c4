"""What a cosmologist would use in a network's place: flat-sky quadratic estimators of κ.

    trainer.baselines.observation.Observation                what the maps hold, and which modes to use
    trainer.baselines.quadratic_estimator.QuadraticEstimator one pair of TT, EE, EB, TE, TB
    trainer.baselines.minimum_variance.MinimumVariance       several pairs, combined
    trainer.baselines.wiener                                 Wiener filter, expected correlation

NumPy and ducc0 on the project's own `FlatSky`: no TensorFlow.
"""
