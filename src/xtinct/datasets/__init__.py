"""The three datasets as line lists: CDDD, ULBD and GCDD."""
