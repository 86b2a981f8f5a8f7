"""In use: asks what runs images. Engines, clusters, compose files, lists and commands, one kind of source a module."""
