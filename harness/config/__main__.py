"""Writes the generated files anew: ``python -m harness.config``, at the root of a checkout."""

import json
from pathlib import Path

from harness.config.load import SCHEMA
from harness.config.reference import json_schema, reference_page


def main() -> None:
    """Write ``schema.json`` beside this file and ``docs/config.md`` under the working directory."""
    SCHEMA.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    page = Path("docs", "config.md")
    if page.parent.is_dir():
        page.write_text(reference_page(), "utf-8")


if __name__ == "__main__":
    main()
