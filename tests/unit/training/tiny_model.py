"""A tiny random model, and rows for it."""

import random
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of other libraries, while they are imported
    import bitsandbytes  # noqa: F401
    import torch
    import transformers
    from accelerate import Accelerator  # noqa: F401
    from peft import LoraConfig  # noqa: F401

    from harness.training.batching import Row

VOCABULARY = 97


def tiny_config() -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        initializer_range=0.1,
    )  # fmt: skip


def make_rows(count: int, seed: int = 0, longest: int = 24) -> list[Row]:
    """Ragged rows; the labels of each start at a random place and have a gap."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        ids = torch.tensor([rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(4, longest))])
        labels = ids.clone()
        labels[: rng.randrange(0, len(ids) - 1)] = -100
        if len(ids) > 12:
            labels[6:9] = -100
        labels[-1] = ids[-1]
        rows.append(Row(f"row-{number}", ids, labels))
    return rows
