"""How fast this machine samples and trains: the real loop on a workload of known size, against measured limits."""
