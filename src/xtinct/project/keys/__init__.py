"""The keys of the configuration: one pydantic model for each section, with type, range and description."""
