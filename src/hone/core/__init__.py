"""The nouns and contracts that every room shares; imports nothing else of hone."""
