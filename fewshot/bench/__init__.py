"""Speeds as ratios of two ways to do the same, measured in one run."""
