"""Real parts for tests of this and of other projects: registry servers, images, a token service, a docker engine.

Nothing here is imported by the rest of jettison. Packages beyond the standard library (trustme, docker, ruamel.yaml)
are imported where they are used, so this package costs nothing until a test asks for a part.
"""
