"""The command line: one module per command, rendering apart from doing. Heavy imports stay inside the commands."""
