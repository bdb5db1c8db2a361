"""The shared training module: one loop for every method, on a GPU, Apple silicon or a CPU."""
