"""Which images may go: the policy as a value, read from a file, and decided over an inventory. Pure."""
