"""Policies: what is trained."""
