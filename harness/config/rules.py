"""Keys that contradict each other."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from harness.config.adapter import BnbConfig
from harness.config.marks import KeyPath

Values = Mapping[str, Any]
"""The keys that are set and valid by themselves."""
Finding = tuple[KeyPath, str]

_EXCLUSIVE = (
    ("load_in_4bit", "load_in_8bit", "the base model is quantised to one of them"),
    ("bf16", "fp16", "training computes in one of them"),
    ("eval_steps", "evals_per_epoch", "each says how often the validation loss is measured"),
    ("save_steps", "saves_per_epoch", "each says how often a checkpoint is saved"),
    ("warmup_steps", "warmup_ratio", "each says how long the warm-up is"),
)


def contradictions(values: Values, broken: Collection[str]) -> list[Finding]:
    """Return every contradiction among the top-level ``values``, at the key to change.

    ``broken`` names the keys that are set and wrong by themselves; they are not in ``values``.
    """
    return [finding for rule, needs in _RULES if not set(needs) & set(broken) for finding in rule(values)]


def _exclusive(values: Values) -> Iterator[Finding]:
    for first, second, why in _EXCLUSIVE:
        on = [values.get(name) not in (None, False, "auto") for name in (first, second)]
        if all(on):
            yield (second,), f"{second} cannot be set together with {first} ({why}); remove one of them"


def _quantisation(values: Values) -> Iterator[Finding]:
    adapter = values.get("adapter")
    if adapter == "lora" and values.get("load_in_4bit"):
        yield ("load_in_4bit",), "load_in_4bit: true needs adapter: qlora (or remove it to train lora unquantised)"
    if adapter == "qlora" and values.get("load_in_4bit") is False:
        yield ("load_in_4bit",), "load_in_4bit: false contradicts adapter: qlora; set it to true, or adapter: lora"
    if adapter == "qlora" and values.get("load_in_8bit") and not values.get("load_in_4bit"):
        yield ("load_in_8bit",), "load_in_8bit: true needs adapter: lora; qlora quantises to 4 bit"
    quantised = adapter == "qlora" or values.get("load_in_8bit") or values.get("load_in_4bit")
    details = values.get("bnb_config_kwargs") or {}
    asked = any(BnbConfig.model_fields[name].default != value for name, value in details.items())
    if adapter and asked and not quantised:
        yield ("bnb_config_kwargs",), "bnb_config_kwargs needs load_in_4bit or load_in_8bit: nothing is quantised"


def _targets(values: Values) -> Iterator[Finding]:
    if values.get("lora_target_linear") is False and not values.get("lora_target_modules"):
        yield (
            ("lora_target_linear",),
            "lora_target_linear: false leaves nothing to train; name modules in lora_target_modules, or set it to true",
        )


def _validation(values: Values) -> Iterator[Finding]:
    if values.get("val_set_size"):
        return
    for name in ("early_stopping_patience", "eval_steps", "evals_per_epoch"):
        if name in values:
            yield (name,), f"{name} needs a validation set; set val_set_size, for example to 0.1"


def _schedule(values: Values) -> Iterator[Finding]:
    scheduler = values.get("lr_scheduler", "cosine")
    has_floor = "cosine_min_lr_ratio" in values
    if has_floor and scheduler not in ("cosine", "cosine_with_min_lr"):
        yield ("cosine_min_lr_ratio",), f"cosine_min_lr_ratio needs lr_scheduler: cosine, not {scheduler}"
    if scheduler == "cosine_with_min_lr" and not has_floor:
        yield ("lr_scheduler",), "lr_scheduler: cosine_with_min_lr needs cosine_min_lr_ratio, for example 0.1"


def _watchdog(values: Values) -> Iterator[Finding]:
    if "loss_watchdog_patience" in values and "loss_watchdog_threshold" not in values:
        yield ("loss_watchdog_patience",), "loss_watchdog_patience needs loss_watchdog_threshold, for example 5.0"


def _template(values: Values) -> Iterator[Finding]:
    name, text = values.get("chat_template"), values.get("chat_template_jinja")
    if name == "jinja" and text is None:
        yield ("chat_template",), "chat_template: jinja needs chat_template_jinja: the template's text, or a file"
    if text is not None and name not in (None, "jinja"):
        yield ("chat_template_jinja",), f"chat_template_jinja contradicts chat_template: {name}; remove one of them"
    for index, dataset in enumerate(values.get("datasets") or ()):
        names = {dataset.get("conversation"), dataset.get("chat_template")} - {None}
        if len(names) > 1:
            where: KeyPath = ("datasets", index, "chat_template")
            yield where, "chat_template and conversation name two templates for the same rows; remove one of them"


def _tokenizer(values: Values) -> Iterator[Finding]:
    tokenizer = values.get("tokenizer_config")
    if tokenizer is not None and "base_model" in values and tokenizer != values["base_model"]:
        yield ("tokenizer_config",), "a tokenizer of another model is not supported; remove the key"


def _decoding(values: Values) -> Iterator[Finding]:
    decode = values.get("decode") or {}
    if decode.get("beams", 1) > 1 and decode.get("temperature"):
        yield (
            ("decode", "beams"),
            "decode.beams above 1 contradicts decode.temperature above 0: beam search does not sample",
        )
    grammar = decode.get("grammar")
    if grammar is not None and len(grammar) != 1:
        yield ("decode", "grammar"), "decode.grammar needs exactly one of json, regex, choice and lark"


_RULES: tuple[tuple[Callable[[Values], Iterator[Finding]], tuple[str, ...]], ...] = (
    (_exclusive, ()),
    (_quantisation, ("adapter", "load_in_4bit", "load_in_8bit")),
    (_targets, ("lora_target_modules",)),
    (_validation, ("val_set_size",)),
    (_schedule, ("lr_scheduler", "cosine_min_lr_ratio")),
    (_watchdog, ("loss_watchdog_threshold",)),
    (_template, ("chat_template", "chat_template_jinja")),
    (_tokenizer, ()),
    (_decoding, ()),
)
"""Each rule with the keys that it cannot do without: it is silent where one of them is wrong by itself."""
