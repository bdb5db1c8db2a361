"""Labelled picture sets held in memory."""
