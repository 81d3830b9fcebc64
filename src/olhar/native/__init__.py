"""A model outside of Python: its network read from `model.onnx`, the C that computes it, and its arena.

Does not know: torch, how a model is trained, the command line.
"""
