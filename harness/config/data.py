"""The training rows: where they are, how they are read, and what of them is trained."""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from harness.config.fields import Flag, Int, Names, Number, Section, key

DATASET_TYPES = (
    "sharegpt",
    "chat_template",
    "alpaca",
    "prompt_completion",
    "completion",
    "input_output",
    "tool_calls",
)
_SPLIT = re.compile(r"(?=[\w\[])([A-Za-z_][\w.-]*)?(\[(-?\d[\d_]*%?)?:(-?\d[\d_]*%?)?\])?")
_FUNCTION = re.compile(r"[^:]+:[A-Za-z_]\w*")


def _check_type(value: str) -> str:
    if value in DATASET_TYPES or _FUNCTION.fullmatch(value):
        return value
    near = difflib.get_close_matches(value, DATASET_TYPES, 1, 0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    allowed = ", ".join(DATASET_TYPES)
    raise ValueError(f"is not a row format; {meant}allowed: {allowed}, module:function or file.py:function")


def _check_split(value: str) -> str:
    if all(_SPLIT.fullmatch(part.strip()) for part in value.split("+")):
        return value
    raise ValueError("is not a split; write `train`, `train[:120]`, `[25%:]` or `[100:200]`")


def _unbracketed(value: Any) -> Any:
    if isinstance(value, list):
        raise ValueError("was read as a YAML list; put quotes around a split that starts with a bracket: '[:120]'")
    return value


def _check_share(value: float) -> float:
    if value > 1 and value != int(value):
        raise ValueError("is neither a share of the rows (below 1) nor a whole number of rows")
    return value


class DatasetConfig(Section):
    """One source of training rows."""

    path: str = key(
        "The rows: a file (JSONL, JSON, CSV, Parquet), a folder, a glob, `package://package/file`, or a data set on "
        "the hub.",
        affects="data",
        by_content=True,
        path="dataset",
        min_length=1,
    )
    type: Annotated[str, AfterValidator(_check_type)] | None = key(
        "Format of the rows: " + ", ".join(f"`{name}`" for name in DATASET_TYPES) + ", or a function of one's own that "
        "turns a row into a sample, as `module:function` or `file.py:function`.",
        None,
        default_text="the format that the columns of the first row belong to",
        affects="data",
        path="function",
    )
    conversation: str | None = key("Name of the chat template for these rows.", None, affects="data")
    chat_template: str | None = key("Another name for `conversation`.", None, affects="data")
    split: Annotated[str, AfterValidator(_check_split), BeforeValidator(_unbracketed)] | None = key(
        "Which rows: a split, a slice of it, or both: `train`, `train[:120]`, `[25%:]`.",
        None,
        default_text="all rows (`train` on the hub)",
        affects="data",
    )
    name: str | None = key("Name of the configuration of a data set on the hub.", None, affects="data")
    revision: str | None = key("Commit, tag or branch of a data set on the hub.", None, affects="data")
    data_files: Names | str | None = key(
        "Files inside `path`, when not all of them are meant.",
        None,
        affects="data",
        allowed="a file or a list of files",
        path="files",
    )
    ds_type: Literal["json", "csv", "parquet", "arrow", "text"] | None = key(
        "How to read files whose name does not say it.", None, default_text="from the file name", affects="data"
    )
    field: str | None = key(
        "Column that holds the text of a `completion` row.", None, default_text="`text`", affects="data"
    )
    field_messages: str | None = key("Column that holds the turns.", None, affects="data")
    field_tools: str | None = key("Column that holds the tools.", None, affects="data")
    message_field_role: str | None = key("Key of a turn that holds who speaks.", None, affects="data")
    message_field_content: str | None = key("Key of a turn that holds what is said.", None, affects="data")
    message_field_training: str | None = key(
        "Key of a turn that says, as true or false, whether the turn is trained.", None, affects="data"
    )
    message_property_mappings: dict[str, str] | None = key(
        "Keys of a turn by what they hold, as `role: from`, `content: value`.", None, affects="data"
    )
    roles: dict[str, Names] | None = key(
        "Names that a role has in the rows, as `assistant: [gpt, model]`.", None, affects="data"
    )
    roles_to_train: Names | None = key(
        "Roles whose turns are trained, for these rows.", None, default_text="the top-level key", affects="data"
    )
    train_on_eos: Literal["turn", "all", "last"] = key(
        "Of which turns the end is trained: the trained ones, all, or the last trained one.", "turn", affects="data"
    )
    drop_system_message: Flag = key("Leave out the system turn.", False, affects="data")

    @property
    def template(self) -> str | None:
        """The chat template's name for these rows, under either of its two keys."""
        return self.conversation or self.chat_template


class DataSection(Section):
    """All training rows, and how they become what the model sees."""

    datasets: tuple[DatasetConfig, ...] = key("Where the training rows come from.", affects="data", min_length=1)
    dataset_prepared_path: str | None = key(
        "Folder for the encoded rows; training reuses them while their content still matches.", None, path="path"
    )
    val_set_size: Annotated[Number, AfterValidator(_check_share)] = key(
        "Rows kept out of training to measure the loss on: a share below 1, or a number of rows. Rows of one cluster "
        "stay together.",
        0.0,
        affects="data",
        ge=0,
    )
    sequence_len: Int = key("Longest row, in tokens.", 1024, affects=("data", "weights if pad_to_sequence_len"), ge=2)
    excess_length_strategy: Literal["drop", "truncate"] = key(
        "What happens to longer rows; both are counted.", "drop", affects="data"
    )
    train_on_inputs: Flag = key("Train the prompt as well as the reply.", False, affects="data")
    roles_to_train: Names = key("Roles whose turns are trained.", ("assistant",), affects="data", min_length=1)
    group_by_length: Flag = key("Put rows of similar length into one batch.", False, affects="weights")
    pad_to_sequence_len: Flag = key("Pad every row to `sequence_len`.", False, affects="weights")
