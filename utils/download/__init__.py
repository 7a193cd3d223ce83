"""Gets a dataset and the weights: downloaded, checked and prepared once, then found again.

`python -m utils.download` does it from the command line: prepare a classroom the day before.
"""

from utils.download.dataset import download
from utils.download.images import read_image
from utils.download.weights import download_weights

__all__ = ["download", "download_weights", "read_image"]
