"""Few-shot image classification: siamese, triplet, fine-tuned prototypes and CLIP side by side.

Nothing is imported here: a caller pays only for the modules it uses.
"""

__version__ = "0.1.0"
