"""From data files to what the model sees: formats, the one renderer, and the encoded data set."""

from harness.data.cases import case_of, load_cases
from harness.data.dataset import DataSet, Fields
from harness.data.formats import Skip
from harness.data.render import RENDERER_VERSION, Renderer
from harness.data.samples import Loaded, load_samples

__all__ = [
    "RENDERER_VERSION",
    "DataSet",
    "Fields",
    "Loaded",
    "Renderer",
    "Skip",
    "case_of",
    "load_cases",
    "load_samples",
]
