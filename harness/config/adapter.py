"""The adapter: LoRA and QLoRA."""

from typing import Any, Literal

from harness.config.fields import Flag, Int, Names, Number, Section, key


def _double_rank(values: dict[str, Any]) -> int:
    return 2 * int(values["lora_r"])


def _is_qlora(values: dict[str, Any]) -> bool:
    return bool(values["adapter"] == "qlora")


def _names_no_modules(values: dict[str, Any]) -> bool:
    return not values["lora_target_modules"]


class BnbConfig(Section):
    """How bitsandbytes quantises the base model."""

    bnb_4bit_quant_type: Literal["nf4", "fp4"] = key("Data type of 4-bit weights.", "nf4", affects="weights")
    bnb_4bit_use_double_quant: Flag = key("Quantise the quantisation constants too.", True, affects="weights")
    bnb_4bit_compute_dtype: Literal["bfloat16", "float16", "float32"] | None = key(
        "Data type that 4-bit weights are computed in.",
        None,
        default_text="bfloat16 where `bf16` is on, else float32",
        affects="weights",
    )
    llm_int8_threshold: Number = key(
        "Activations above it stay in 16 bit when `load_in_8bit` is on.", 6.0, affects="weights", ge=0
    )


class AdapterSection(Section):
    """What is trained on top of the base model."""

    adapter: Literal["lora", "qlora"] = key(
        "Kind of adapter: `lora`, or `qlora` on a base quantised to 4 bit.",
        affects="weights",
        allowed="lora or qlora (training all weights is not supported)",
    )
    load_in_4bit: Flag = key(
        "Quantise the base model to 4 bit while training; belongs to `qlora`.",
        factory=_is_qlora,
        default_text="true for `qlora`",
        affects="weights",
    )
    load_in_8bit: Flag = key(
        "Quantise the base model to 8 bit while training; belongs to `lora`.", False, affects="weights"
    )
    bnb_config_kwargs: BnbConfig = key(
        "Details of the quantisation.", factory=lambda _: BnbConfig(), default_text="NF4, doubly quantised"
    )
    lora_r: Int = key("Rank of the adapter's matrices.", 16, affects="weights", gt=0)
    lora_alpha: Int = key(
        "Scale of the adapter: its output is multiplied by alpha / r.",
        factory=_double_rank,
        default_text="2 × `lora_r`",
        affects="weights",
        gt=0,
    )
    lora_dropout: Number = key("Dropout in front of the adapter.", 0.0, affects="weights", ge=0, lt=1)
    lora_target_modules: Names = key(
        "Modules that get an adapter, by name; it is all linear layers where `lora_target_linear` is on, whatever is "
        "named here.",
        (),
        affects="weights",
    )
    lora_target_linear: Flag = key(
        "All linear layers get an adapter (the output layer does not).",
        factory=_names_no_modules,
        default_text="true unless `lora_target_modules` is set",
        affects="weights",
    )
    lora_modules_to_save: Names = key(
        "Modules that are trained in full and saved with the adapter.", (), affects="weights"
    )
    lora_fan_in_fan_out: Flag = key(
        "The layers store their weights as (in, out), as GPT-2 does.", False, affects="weights"
    )
    peft_use_rslora: Flag = key("Scale by alpha / √r instead of alpha / r.", False, affects="weights")
    lora_model_dir: str | None = key(
        "An adapter to train further.", None, affects="weights", by_content=True, path="path"
    )
