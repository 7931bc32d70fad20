"""From data files to what the model sees: formats, the one renderer, and the encoded data set."""

from harness.data.cases import case_of, load_cases
from harness.data.choose import choose_template
from harness.data.dataset import DataSet, Fields
from harness.data.encode import EncodedSet, data_digest, encode_all
from harness.data.formats import Skip
from harness.data.render import RENDERER_VERSION, Renderer
from harness.data.samples import Loaded, load_samples

__all__ = [
    "RENDERER_VERSION",
    "DataSet",
    "EncodedSet",
    "Fields",
    "Loaded",
    "Renderer",
    "Skip",
    "case_of",
    "choose_template",
    "data_digest",
    "encode_all",
    "load_cases",
    "load_samples",
]
