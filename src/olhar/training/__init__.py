"""Training: recipes (torch-free), batch augmentations, optimisers, and the one loop."""
