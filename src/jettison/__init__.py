"""jettison keeps a self-hosted container registry from filling its disk."""

__version__ = "0.1.0"
