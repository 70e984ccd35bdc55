"""Sources of structures: databases, folders, archives, and what a user hands over."""
