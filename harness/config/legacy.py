"""Keys that older files carry and that have nothing left to decide."""

from harness.config.fields import Flag, Int, Section, key

_ARCHITECTURE = "the model's own config says which architecture it is"
_TOKENIZER = "the model's own tokenizer files say how to read them"
_LAUNCHER = "the launcher counts the processes"


class LegacySection(Section):
    """Accepted so that a file can be brought as it is."""

    model_type: str | None = key("Class of the model.", None, unused=_ARCHITECTURE)
    tokenizer_type: str | None = key("Class of the tokenizer.", None, unused=_TOKENIZER)
    tokenizer_use_fast: Flag | None = key("Use the fast tokenizer.", None, unused=_TOKENIZER)
    tokenizer_legacy: Flag | None = key("Use the tokenizer's legacy behaviour.", None, unused=_TOKENIZER)
    base_model_config: str | None = key("Where the model's config comes from.", None, unused=_ARCHITECTURE)
    is_falcon_derived_model: Flag | None = key("The model is a Falcon.", None, unused=_ARCHITECTURE)
    is_llama_derived_model: Flag | None = key("The model is a Llama.", None, unused=_ARCHITECTURE)
    is_mistral_derived_model: Flag | None = key("The model is a Mistral.", None, unused=_ARCHITECTURE)
    is_qwen_derived_model: Flag | None = key("The model is a Qwen.", None, unused=_ARCHITECTURE)
    strict: Flag | None = key(
        "Check the keys of the file.", None, unused="every key is always checked, and an unknown one is an error"
    )
    local_rank: Int | None = key("Number of this process.", None, unused=_LAUNCHER)
    world_size: Int | None = key("Number of processes.", None, unused=_LAUNCHER)
    xformers_attention: Flag | None = key(
        "Use the kernels of xformers.", None, unused="PyTorch's scaled dot-product attention has replaced it"
    )
    eval_table_max_new_tokens: Int | None = key(
        "Length of the replies in the table of `eval_table_size`.",
        None,
        unused="there is no such table; `decode.max_tokens` sets the length of the replies that are tested",
    )
