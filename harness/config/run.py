"""The whole configuration of a run."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr

from harness.config.adapter import AdapterSection
from harness.config.base import BaseSection
from harness.config.data import DataSection
from harness.config.decode import DecodeConfig
from harness.config.fields import Effect, Section, Traits, key, traits_of, yaml_name
from harness.config.hardware import HardwareSection
from harness.config.legacy import LegacySection
from harness.config.machine import has_cuda, installed
from harness.config.progress import ProgressSection
from harness.config.serve import ServeConfig
from harness.config.trackers import TrackersSection
from harness.config.training import TrainingSection


class ReplySections(Section):
    """The parts that axolotl has no names for."""

    serve: ServeConfig = key("How the model is served.", factory=lambda _: ServeConfig(), default_text="see below")
    decode: DecodeConfig = key("How replies are decoded.", factory=lambda _: DecodeConfig(), default_text="see below")


# The order of the bases is the reverse of the order in which the keys are validated and listed.
class RunConfig(
    ReplySections,
    LegacySection,
    TrackersSection,
    HardwareSection,
    ProgressSection,
    TrainingSection,
    AdapterSection,
    DataSection,
    BaseSection,
):
    """One YAML file, read and checked; see :func:`harness.config.load_config`."""

    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file this was read from."""
        return self._source

    @property
    def notes(self) -> tuple[str, ...]:
        """The keys that are set, accepted and not used here, each with the reason."""
        found = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in self.model_fields_set or value is None:
                continue
            reason = _unused_because(traits_of(field), value)
            if reason:
                found.append(f"{name}: accepted, not used here, because {reason}")
        return tuple(found)

    @property
    def special_token_map(self) -> dict[str, str]:
        """The special tokens that are set, by their names (``bos_token``, …)."""
        return self.special_tokens.model_dump(exclude_none=True)

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers that were asked for and are installed, by Accelerate's names."""
        wanted = {
            "tensorboard": (self.use_tensorboard, "tensorboard"),
            "wandb": (_on(self.use_wandb, self.wandb_project), "wandb"),
            "mlflow": (_on(self.use_mlflow, self.mlflow_experiment_name), "mlflow"),
            "comet_ml": (_on(self.use_comet, self.comet_project_name), "comet_ml"),
        }
        return tuple(name for name, (on, package) in wanted.items() if on and installed(package))

    def affecting(self, effect: Effect) -> dict[str, Any]:
        """Return the keys that change the ``effect``, with their values as JSON data.

        Keys that name a file or a model are left out: whoever builds a cache key adds their content.
        """
        return _affecting(self, effect)

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, defaults included, as JSON data that loads again."""
        return self.model_dump(mode="json", by_alias=True)


def _on(switch: bool | None, name: str | None) -> bool:
    return switch if switch is not None else name is not None


def _unused_because(traits: Traits, value: Any) -> str | None:
    if traits.unused:
        return traits.unused
    if value is False:
        return None
    if traits.needs_cuda and not has_cuda():
        return f"there is no CUDA GPU; {traits.needs_cuda}"
    if traits.package and not installed(traits.package):
        return f"the package {traits.package} is not installed"
    return None


def _affecting(section: BaseModel, effect: Effect) -> dict[str, Any]:
    plain = section.model_dump(mode="json", by_alias=True)
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        traits, shown = traits_of(field), yaml_name(name, field)
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            inner = _affecting(value, effect)
            if inner:
                found[shown] = inner
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            entries = [_affecting(item, effect) for item in value]
            if any(entries):
                found[shown] = entries
        elif not traits.by_content and _counts(section, traits.affects, effect):
            found[shown] = plain[shown]
    return found


def _counts(section: BaseModel, affects: tuple[str, ...], effect: Effect) -> bool:
    for entry in affects:
        name, _, condition = entry.partition(" if ")
        if name == effect and (not condition or getattr(section, condition)):
            return True
    return False
