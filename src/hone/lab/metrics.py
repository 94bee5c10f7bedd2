"""What a simulated policy is read by. Its pass rates are known, so that no reading has sampling noise."""

METRICS = ("train pass@1", "pass@1", "best@4", "worst@4")  # the last three on held-out problems
