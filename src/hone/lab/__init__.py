"""The simulator: whole reinforcement runs on problems that interfere, and claims studied with it."""
