"""Evaluation estimators and intervals. Works on counts and arrays; imports no torch."""

from hone.evals.abstractions import abstraction_table as abstraction_table
from hone.evals.abstractions import allocation_estimate as allocation_estimate
from hone.evals.abstractions import allocation_success as allocation_success
from hone.evals.abstractions import allocation_table as allocation_table
from hone.evals.estimators import maj_at_k as maj_at_k
from hone.evals.estimators import pass_at_k as pass_at_k
from hone.evals.estimators import worst_at_k as worst_at_k
from hone.evals.intervals import Interval as Interval
from hone.evals.intervals import cluster_bootstrap as cluster_bootstrap
from hone.evals.intervals import mean_interval as mean_interval
from hone.evals.intervals import paired_difference as paired_difference
from hone.evals.intervals import t_interval as t_interval
from hone.evals.intervals import wilson as wilson
from hone.evals.regret import AnswerCurve as AnswerCurve
from hone.evals.regret import majority_curve as majority_curve
from hone.evals.regret import normalised_regret as normalised_regret
from hone.evals.regret import success_area as success_area
from hone.evals.regret import success_at as success_at

__all__ = [
    "AnswerCurve",
    "Interval",
    "abstraction_table",
    "allocation_estimate",
    "allocation_success",
    "allocation_table",
    "cluster_bootstrap",
    "maj_at_k",
    "majority_curve",
    "mean_interval",
    "normalised_regret",
    "paired_difference",
    "pass_at_k",
    "success_area",
    "success_at",
    "t_interval",
    "wilson",
    "worst_at_k",
]
