"""Spin models of collecting while the registry serves, and what checks them: see docs/protocol.md."""
