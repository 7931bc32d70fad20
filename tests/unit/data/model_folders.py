"""Small model folders (a tokenizer and its neighbours), built with the ``tokenizers`` library."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "What is the capital of France? Paris is the capital of France.",
    "group by HTTP method and count the requests",
    'The reply is {"breakdowns": ["http.method"], "calculations": [{"op": "COUNT"}], "time_range": 7200}',
    "### Instruction:\nWrite.\n\n### Response:\nDone. Nothing much, really. What is new?",
    "system user assistant tool\n\n\nNLQ: Columns: ['http.target', 'http.method']",
]
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def byte_level(specials: Sequence[str] = CHATML) -> Tokenizer:
    """Return a byte-level BPE tokenizer, as GPT-2, Llama 3, Qwen and SmolLM2 have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def prepending(specials: Sequence[str] = ("<unk>", "<s>", "</s>")) -> Tokenizer:
    """Return a BPE tokenizer with byte fallback that marks the start of every text, as Llama 2 and Mistral have."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    words = ["▁" + line.replace(" ", "▁").replace("\n", "") for line in CORPUS]
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.pre_tokenizer = None
    plain = json.loads(tokenizer.to_str())
    plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] in specials]
    return Tokenizer.from_str(json.dumps(plain))


def with_bos(tokenizer: Tokenizer, bos: str) -> Tokenizer:
    """Return ``tokenizer`` with a post-processor that puts ``bos`` before a text."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    return tokenizer


def model_folder(
    folder: Path,
    tokenizer: Tokenizer | None = None,
    *,
    template: str | None = None,
    generation: dict[str, Any] | None = None,
    added: Sequence[AddedToken] = (),
    **config: Any,
) -> Path:
    """Write a folder as ``save_pretrained`` does; ``config`` goes to ``tokenizer_config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or byte_level()
    tokenizer.add_special_tokens(list(added))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder
