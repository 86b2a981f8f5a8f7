"""What may be collected: what manifests refer to, what is reachable, what is condemned. Pure."""
