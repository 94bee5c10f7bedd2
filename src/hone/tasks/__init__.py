"""Tasks: where problems come from, and what makes an answer right."""

from hone.tasks.arithmetic import Arithmetic as Arithmetic
from hone.tasks.countdown import Countdown as Countdown
from hone.tasks.environment import EnvironmentTask as EnvironmentTask
from hone.tasks.files import FileTask as FileTask
from hone.tasks.gsm8k import Gsm8k as Gsm8k
from hone.tasks.gym import Gym as Gym
from hone.tasks.gym import available as available
from hone.tasks.hints import Hints as Hints
from hone.tasks.maze import Maze as Maze
from hone.tasks.mixture import Mixture as Mixture
from hone.tasks.names import TASKS as TASKS
from hone.tasks.names import make as make
from hone.tasks.strategy import Strategy as Strategy
from hone.tasks.two_sum import TwoSum as TwoSum
