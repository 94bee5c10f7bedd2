"""Studies: what papers claim of a method, tested at a stated scale and budget; one file each."""
