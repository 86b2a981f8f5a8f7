"""A client of the OCI Distribution API, usable by itself: see docs/registry-client.md. Asynchronous, over HTTP."""
