"""hone: reinforcement post-training, every method one small checked piece in one loop."""
