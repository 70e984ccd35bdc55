"""Files: tables and texts that are written whole or not at all, and the schema of every table."""
