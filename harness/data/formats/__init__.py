"""The formats of training rows: one module each, from a raw row to the messages of a sample."""

from harness.data.formats.registry import FORMATS, Draft, Format, Skip, detect_format, find_format

__all__ = ["FORMATS", "Draft", "Format", "Skip", "detect_format", "find_format"]
