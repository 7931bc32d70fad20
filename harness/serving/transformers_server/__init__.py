"""A small completions server on top of transformers' batched ``generate``; runs in a child process.

It answers the part of the protocol that :mod:`harness.serving.wire` speaks, so one client serves both engines.
"""
