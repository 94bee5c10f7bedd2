"""Verifiers: what a text's answer is, and whether it is right."""

from hone.tasks.verifiers.choice import Choice as Choice
from hone.tasks.verifiers.code import Code as Code
from hone.tasks.verifiers.contract import Verifier as Verifier
from hone.tasks.verifiers.exact import Exact as Exact
from hone.tasks.verifiers.math import Math as Math
from hone.tasks.verifiers.names import VERIFIERS as VERIFIERS
from hone.tasks.verifiers.names import make_verifier as make_verifier
from hone.tasks.verifiers.number import Number as Number
from hone.tasks.verifiers.python import Python as Python
from hone.tasks.verifiers.regex import Regex as Regex
from hone.tasks.verifiers.trl import Trl as Trl
from hone.tasks.verifiers.verl import Verl as Verl
