"""Guards: what is looked at before an optimizer step, what is done about it, and what is kept to look again."""
