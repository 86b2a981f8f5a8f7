"""One module per use case; they join the pure parts with registry, storage, control and history."""
