"""What a run will do: built from decisions, weighed, checked against the brakes, written and read. Pure."""
