"""The running registry: its configuration in force, its restart, and its own garbage collector.

`target.connect` gives a `RunningRegistry` (docker engine, systemd unit, given commands, or the file alone); `status`,
`enable_delete` and `collector` are what one does with it. Nothing heavy is imported here.
"""
