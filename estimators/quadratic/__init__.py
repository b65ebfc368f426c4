"""Flat-sky quadratic estimators of κ: a cosmologist's tool in a network's place.

    observation.Observation                   what the maps hold, and which modes are used
    quadratic_estimator.QuadraticEstimator    from one pair of fields: TT, EE, EB, TE or TB
    hardened.HardenedEstimator                from TT, blind to sources of one profile
    minimum_variance.MinimumVariance          from several pairs, combined
    splits                                    from maps of independent noise, never one twice
    legs.Legs                                 fields whose maps several estimators share
    references.references                     those that a version's networks are judged beside
    measured                                  spectra and gains from examples, where theory fails
    wiener                                    Wiener filter, and what correlation to expect

NumPy and ducc0 on the project's own `FlatSky`: no TensorFlow.
"""
