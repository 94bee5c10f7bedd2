"""Cards of methods, one file each."""
