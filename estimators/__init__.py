"""Estimators of κ that need no training, and the judge of any estimate.

In Python nothing is imported before a name is used, as by `from estimators import Observation`:

    maps -> κ    `QuadraticEstimator`, `MinimumVariance`, `pairs_of`: of an `Observation`
                 `StagedEstimator`: the iterated one, by `estimators.iterated.fitting.fit`
                 `MaximumAPosteriori`: the optimum, on periodic patches and inside masks
    its worth    `Subject`: what can be judged, as a `trainer.Run`, or κ maps in a folder:
                 `open_predictions` -> `Predictions`
                 `estimators.judge.judge(subject)` -> `Evaluation`
                 `judge_estimators`: any of kind `Estimator` on examples of a `SkyEnsemble`
                 `estimators.references.references`: those that a network is judged beside
                 `check` -> `Checks`: null tests, other skies, delensing
                 `Uncertainty`: of an estimate's errors
    examples     `Dataset`: as the judge opens it
"""

from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used

if TYPE_CHECKING:
    from estimators.checks import Checks, check
    from estimators.dataset import Dataset
    from estimators.ensemble import SkyEnsemble
    from estimators.estimator import Estimator
    from estimators.iterated.iterated_estimator import StagedEstimator
    from estimators.judge import Evaluation, judge_estimators
    from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
    from estimators.predictions import Predictions, open_predictions
    from estimators.quadratic.minimum_variance import MinimumVariance
    from estimators.quadratic.observation import Observation
    from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
    from estimators.subject import Subject
    from estimators.uncertainty import Uncertainty

__all__ = [
    "Checks",
    "Dataset",
    "Estimator",
    "Evaluation",
    "MaximumAPosteriori",
    "MinimumVariance",
    "Observation",
    "Predictions",
    "QuadraticEstimator",
    "SkyEnsemble",
    "StagedEstimator",
    "Subject",
    "Uncertainty",
    "check",
    "judge_estimators",
    "open_predictions",
    "pairs_of",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "Checks": ".checks",
        "Dataset": ".dataset",
        "Estimator": ".estimator",
        "Evaluation": ".judge",
        "MaximumAPosteriori": ".posterior.maximum_a_posteriori",
        "MinimumVariance": ".quadratic.minimum_variance",
        "Observation": ".quadratic.observation",
        "Predictions": ".predictions",
        "QuadraticEstimator": ".quadratic.quadratic_estimator",
        "SkyEnsemble": ".ensemble",
        "StagedEstimator": ".iterated.iterated_estimator",
        "Subject": ".subject",
        "Uncertainty": ".uncertainty",
        "check": ".checks",
        "judge_estimators": ".judge",
        "open_predictions": ".predictions",
        "pairs_of": ".quadratic.quadratic_estimator",
    },
)
