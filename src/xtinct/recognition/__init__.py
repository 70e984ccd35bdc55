"""Recognition of measured patterns: their peaks held against the line lists of known structures."""
