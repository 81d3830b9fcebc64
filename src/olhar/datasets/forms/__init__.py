"""Data in the forms that people have it in: tables, archives, arrays, Hugging Face's folders.

Each reader gives what a folder of photos or a named set gives, a PhotoFolder or a Dataset, so that
decoding, splits, fingerprints and checks are the same for all.
"""

from olhar.datasets.forms.loose import READABLE
from olhar.datasets.forms.opening import open_path

__all__ = ["READABLE", "open_path"]
