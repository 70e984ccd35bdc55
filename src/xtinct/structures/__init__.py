"""Structure sources, cleaning, labels and generators."""
