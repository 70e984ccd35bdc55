"""Measured patterns with labels as sets: collected from where they lie, and audited one by one."""
