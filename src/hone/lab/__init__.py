"""The simulator: whole reinforcement runs on problems that interfere, thousands a minute, and claims studied with it."""
