"""One answer: observer and recognition together, and who said what."""
