"""The YAML: read, checked, closed and frozen."""

from harness.config.data import DATASET_TYPES, DatasetConfig
from harness.config.decode import DecodeConfig, GrammarConfig
from harness.config.fields import Effect
from harness.config.load import config_from, load_config
from harness.config.packages import package_file
from harness.config.run import RunConfig
from harness.config.serve import ServeConfig
from harness.config.sources import OTHER_TEMPLATE_NAMES

__all__ = [
    "DATASET_TYPES",
    "OTHER_TEMPLATE_NAMES",
    "DatasetConfig",
    "DecodeConfig",
    "Effect",
    "GrammarConfig",
    "RunConfig",
    "ServeConfig",
    "config_from",
    "load_config",
    "package_file",
]
