"""What the observer says: as an object, in words, as a picture."""
