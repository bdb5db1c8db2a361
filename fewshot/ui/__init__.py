"""The page. Nothing here imports torch: the engine is loaded by the first handler that needs it."""

import os

# Read when gradio is imported: without it, gradio asks the internet who and what runs it.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
