"""Model and adapter folders that are right in form; nobody loads their weights."""

import json
import struct
from pathlib import Path


def write_safetensors(path: Path, shapes: dict[str, tuple[int, ...]], fill: int = 0) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes([fill]) * offset)


def make_base(folder: Path, hidden: int = 8, fill: int = 0) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    shapes = {
        "model.layers.0.self_attn.q_proj.weight": (hidden, hidden),
        "model.layers.0.mlp.down_proj.weight": (hidden, 2 * hidden),
    }
    write_safetensors(folder / "model.safetensors", shapes, fill)
    return folder


def make_adapter(folder: Path, hidden: int = 8, rank: int = 2, **config) -> Path:
    folder.mkdir(parents=True)
    shapes = {}
    for module, rows, columns in (("self_attn.q_proj", hidden, hidden), ("mlp.down_proj", hidden, 2 * hidden)):
        shapes[f"base_model.model.model.layers.0.{module}.lora_A.weight"] = (rank, columns)
        shapes[f"base_model.model.model.layers.0.{module}.lora_B.weight"] = (rows, rank)
    write_safetensors(folder / "adapter_model.safetensors", shapes)
    record = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "base_model_name_or_path": "some/base", **config}
    (folder / "adapter_config.json").write_text(json.dumps(record))
    return folder
