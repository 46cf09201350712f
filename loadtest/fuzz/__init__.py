"""Broken packets without end for proto/native/: whatever is sent is understood or refused, in time and in bounds.

Nothing here needs a node: `python -m loadtest fuzz --inputs 10000000`.
"""
