"""Proof that every way to an answer gives the same one, from the training network to HTTP.

Does not know: how a model was trained or how a server is written. It asks a real server process.
"""

from olhar.verify.chain import Verification, verify_model
from olhar.verify.links import TOLERANCE, Difference, Link

__all__ = ["TOLERANCE", "Difference", "Link", "Verification", "verify_model"]
