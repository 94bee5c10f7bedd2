"""Isolation: code that is not hone's runs in processes of its own, and programs in a sandbox."""
