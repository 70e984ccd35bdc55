"""The 230 space groups: operations, reflection conditions, extinction classes."""
