"""A checkout of the project: its configuration, its jobs, its provenance, and DVC."""
