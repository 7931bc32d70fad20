"""The model inside the server: loading, batched generation, scoring."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
)

from harness.serving.transformers_server.ask import Answer, Ask, BadRequest
from harness.serving.transformers_server.job import ServerJob
from harness.serving.transformers_server.rows import Constraint, RowEnds, RowRules, first_stop, needs_rules

_CONTEXT_IDS = 4


class ServedModel:
    """A base, with an adapter applied unmerged where the job names one."""

    def __init__(self, job: ServerJob) -> None:
        """Load everything onto the device."""
        self.job = job
        self.tokenizer: Any = AutoTokenizer.from_pretrained(job.model)
        model: Any = AutoModelForCausalLM.from_pretrained(job.model, dtype=getattr(torch, job.dtype))
        self.end_ids = _end_ids(self.tokenizer, model)
        # the folder's generation_config.json would slip its own penalties into greedy decoding
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self._peft: Any = None
        if job.adapter:
            from peft import PeftModel

            model = self._peft = PeftModel.from_pretrained(model, job.adapter)
        self.model = model.to(job.device).eval()
        self._guidance: Any = None

    def answer(self, batch: Sequence[Ask]) -> list[Answer]:
        """Answer rows that share a batch key, in order."""
        for ask in batch:
            ask.stop_ids = list(dict.fromkeys([*ask.stop_ids, *self.end_ids]))
        with torch.inference_mode(), self._as_asked(batch[0].model):
            return [self._score(ask) for ask in batch] if batch[0].score else self._generate(batch)

    def constraint(self, ask: Ask) -> Constraint | None:
        """Return outlines' llguidance processor for the row's grammar."""
        if ask.grammar is None:
            return None
        if self._guidance is None:
            import outlines
            from outlines.backends.llguidance import LLGuidanceBackend

            inner = self._peft.get_base_model() if self._peft is not None else self.model
            self._guidance = LLGuidanceBackend(outlines.from_transformers(inner, self.tokenizer))
        text = ask.grammar.text
        if ask.grammar.kind == "json":
            return self._guidance.get_json_schema_logits_processor(text)  # type: ignore[no-any-return]
        if ask.grammar.kind == "regex":
            return self._guidance.get_regex_logits_processor(text)  # type: ignore[no-any-return]
        if ask.grammar.kind == "choice":
            from llguidance import grammar_from

            text = grammar_from("choice", text)
        return self._guidance.get_cfg_logits_processor(text)  # type: ignore[no-any-return]

    def _as_asked(self, name: str) -> AbstractContextManager[None]:
        if name == self.job.model_name:
            return contextlib.nullcontext()
        if name == self.job.base_name and self._peft is not None:
            return self._peft.disable_adapter()  # type: ignore[no-any-return]
        raise BadRequest(f"the model {name!r} does not exist")

    def _generate(self, batch: Sequence[Ask]) -> list[Answer]:
        ids, mask, width = self._pad(batch)
        stops = batch[0].stop_ids
        beams = batch[0].beams
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            num_beams=beams,
            max_new_tokens=max(ask.max_tokens for ask in batch),
            eos_token_id=stops or None,
            pad_token_id=stops[0] if stops else 0,
        )
        processors = LogitsProcessorList()
        if any(needs_rules(ask) for ask in batch) and beams == 1:
            processors.append(RowRules(batch, [self.constraint(ask) for ask in batch], width))
        criteria = StoppingCriteriaList([RowEnds(batch, width, self._text)] if beams == 1 else [])
        sequences = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=processors,
            stopping_criteria=criteria,
        )
        rows = sequences[:, width:].tolist()
        return [self._finish(ask, row) for ask, row in zip(batch, rows, strict=True)]

    def _pad(self, batch: Sequence[Ask]) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return left-padded ids [rows, width], their mask, and the width."""
        width = max(len(ask.prompt_ids) for ask in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, ask in enumerate(batch):
            ids[row, width - len(ask.prompt_ids) :] = torch.tensor(ask.prompt_ids)
            mask[row, width - len(ask.prompt_ids) :] = 1
        return ids.to(self.job.device), mask.to(self.job.device), width

    def _finish(self, ask: Ask, row: list[int]) -> Answer:
        ids = row[: ask.max_tokens]
        stops = set(ask.stop_ids)
        end = next((place for place, token in enumerate(ids) if token in stops), None)
        reason = "length" if end is None else "stop"
        ids = ids if end is None else ids[: end + 1]
        text = self._text(ids, ask)
        cut = first_stop(text, ask.stop)
        if cut is None:
            return Answer(text, ids, reason)
        enough = next(n for n in range(1, len(ids) + 1) if first_stop(self._text(ids[:n], ask), ask.stop) is not None)
        return Answer(text[:cut], ids[:enough], "stop")

    def _text(self, ids: Sequence[int], ask: Ask) -> str:
        """Decode a reply in the place where it stands: some tokenizers drop a leading space at a text's beginning."""
        if ids and ids[-1] in ask.stop_ids:
            ids = ids[:-1]
        before = ask.prompt_ids[-_CONTEXT_IDS:]
        prefix = self._decode(before, ask)
        whole = self._decode([*before, *ids], ask)
        return whole[len(prefix) :] if whole.startswith(prefix) else self._decode(ids, ask)

    def _decode(self, ids: Sequence[int], ask: Ask) -> str:
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=ask.skip_special_tokens, clean_up_tokenization_spaces=False
        )
        return text

    def _score(self, ask: Ask) -> Answer:
        ids = torch.tensor([ask.prompt_ids], device=self.job.device)
        logits = self.model(input_ids=ids).logits[0, :-1].float()
        logprobs = torch.log_softmax(logits, dim=-1).gather(1, ids[0, 1:, None])[:, 0]
        return Answer("", [], "length", prompt_logprobs=logprobs.tolist())


def _end_ids(tokenizer: Any, model: Any) -> list[int]:
    """Return the model's own ends, which stop a reply always, as in vLLM.

    The tokenizer's is also the one token that a finished grammar allows.
    """
    configured = model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    return [int(token) for token in dict.fromkeys(ends) if token is not None]
