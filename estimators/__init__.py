"""Estimators of κ that need no training, and the judge of any estimate.

In Python nothing is imported before a name is used:

    from estimators import QuadraticEstimator
    from estimators.judge import judge  # a subject, on a split of its dataset
    from estimators.references import references  # what a network is judged beside
"""

from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used

if TYPE_CHECKING:
    from estimators.checks import Checks, check
    from estimators.estimator import Estimator
    from estimators.judge import Evaluation
    from estimators.predictions import Predictions, open_predictions
    from estimators.quadratic.minimum_variance import MinimumVariance
    from estimators.quadratic.observation import Observation
    from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
    from estimators.subject import Subject

__all__ = [
    "Checks",
    "Estimator",
    "Evaluation",
    "MinimumVariance",
    "Observation",
    "Predictions",
    "QuadraticEstimator",
    "Subject",
    "check",
    "open_predictions",
    "pairs_of",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "Checks": "checks",
        "Estimator": "estimator",
        "Evaluation": "judge",
        "MinimumVariance": "quadratic.minimum_variance",
        "Observation": "quadratic.observation",
        "Predictions": "predictions",
        "QuadraticEstimator": "quadratic.quadratic_estimator",
        "Subject": "subject",
        "check": "checks",
        "open_predictions": "predictions",
        "pairs_of": "quadratic.quadratic_estimator",
    },
)
