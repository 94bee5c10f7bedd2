"""`python -m hone.cli`."""

from hone.cli.main import run

run()
