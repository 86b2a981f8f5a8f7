"""`python -m jettison`: the command line."""

from jettison.cli.main import main

main()
