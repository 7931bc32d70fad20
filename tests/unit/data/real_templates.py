"""Chat templates of real models, read from packages that are installed with the harness (nothing of them is copied)."""

import ast
import importlib.util
import json
from functools import cache
from pathlib import Path


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _docstrings(file: Path) -> list[str]:
    """Return the docstrings as they stand in the source, escapes and all."""
    source = file.read_text("utf-8")
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    statements = (statement for node in functions for statement in ast.walk(node) if isinstance(statement, ast.Expr))
    texts = (ast.get_source_segment(source, s) or "" for s in statements if isinstance(s.value, ast.Constant))
    return [text.strip('"') for text in texts if "{%" in text]


def _template_in(docstring: str) -> str:
    _, marker, after = docstring.partition('"chat_template":')
    text = (after if marker else docstring).strip()
    if not text.startswith('"'):
        return text
    try:
        return json.loads(text.rstrip(","))
    except ValueError:  # a line of JSON whose quotes were unescaped when it was pasted
        return text.strip('",').replace("\\n", "\n").replace("\\'", "'")


@cache
def real_templates() -> dict[str, str]:
    """Return template texts by name; empty where the packages are not installed."""
    found: dict[str, str] = {}
    if folder := _package_folder("bfcl_eval"):
        for file in sorted((folder / "model_handler" / "local_inference").glob("*.py")):
            for number, text in enumerate(_docstrings(file), start=1):
                found[f"{file.stem}-{number}"] = _template_in(text)
    if folder := _package_folder("vllm"):
        for file in sorted((folder / "transformers_utils" / "chat_templates").glob("*.jinja")):
            found[file.stem] = file.read_text("utf-8")
    return found
