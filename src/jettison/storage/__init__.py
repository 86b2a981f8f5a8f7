"""The registry's storage: reading it, deleting from it, and giving its space back, without a server.

Start with `contract` for what a storage can do, `local` and `changes` for a local file system, `registry` for a storage
as the use cases see it. Nothing is imported here: a run of the collector should not pay for what it does not use.
"""
