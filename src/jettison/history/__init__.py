"""What jettison did and saw: runs, their journal, and the caches of immutable documents.

Values are in `model`, the database in `store`, the one-run-per-registry lock in `lock`. Nothing is imported here, since
SQLAlchemy costs a quarter of a second.
"""
