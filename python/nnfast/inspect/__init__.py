"""Looking into a network: explanations, and gradients checked by differences."""
