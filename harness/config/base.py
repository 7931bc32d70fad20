"""The base model, its tokenizer and its chat template."""

from harness.config.fields import Section, key


class SpecialTokens(Section):
    """Special tokens that replace the tokenizer's own; each must be in its vocabulary."""

    bos_token: str | None = key("Token that starts a text.", None, affects=("data", "generation"))
    eos_token: str | None = key("Token that ends a text.", None, affects=("data", "generation"))
    pad_token: str | None = key("Token that fills up short rows.", None, affects=("data", "generation"))
    unk_token: str | None = key("Token for what is not in the vocabulary.", None, affects=("data", "generation"))


class BaseSection(Section):
    """Which model is trained and how a conversation is written for it."""

    base_model: str = key(
        "The model to start from: a folder, a `.gguf` file, a hub id, or `package://package/file` for a file in an "
        "installed Python package.",
        affects=("weights", "data", "generation"),
        by_content=True,
        path="model",
        min_length=1,
    )
    revision_of_model: str | None = key(
        "Commit, tag or branch of a `base_model` on the hub.",
        None,
        affects=("weights", "data", "generation"),
        by_content=True,
    )
    tokenizer_config: str | None = key(
        "Where the tokenizer comes from; only the base model's own is supported.", None, path="model"
    )
    special_tokens: SpecialTokens = key(
        "Special tokens that replace the tokenizer's own.",
        factory=lambda _: SpecialTokens(),
        default_text="the tokenizer's",
        affects=("data", "generation"),
    )
    chat_template: str | None = key(
        "Name of the template that writes a conversation as text (`alpaca`, `chatml`, `llama3`, …), "
        "`tokenizer_default`, or `jinja` for `chat_template_jinja`.",
        None,
        default_text="the data sets' `conversation`, else the format's own, else the tokenizer's",
        affects=("data", "generation"),
    )
    chat_template_jinja: str | None = key(
        "A jinja template of one's own: its text, or a file.", None, affects=("data", "generation"), path="text"
    )
