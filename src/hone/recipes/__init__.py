"""Recipes that ship, and how a recipe is read."""
