"""The OCI specifications' values: digests, references, manifests, tag versions, and what needs what. Pure."""
