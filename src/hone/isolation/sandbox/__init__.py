"""The sandbox: one program in one process that can do nothing but compute, read Python and print."""
