"""Whether a reply is SQL."""

from __future__ import annotations

from harness.checks.check import Check
from harness.checks.reply import Reply, excerpt, text_of
from harness.errors import ConfigError


def sql_parses(reply: Reply, dialect: str | None = None, *, statements: int | None = 1) -> Check:
    """Check that the whole reply is SQL that sqlglot can parse.

    A lone expression (``foo bar``) is not a statement, and a statement that sqlglot does not know, and
    would pass through unparsed, does not count as parsed.

    Args:
        reply: the reply.
        dialect: sqlglot's name of the dialect, such as ``postgres`` or ``bigquery``; None: sqlglot's own.
        statements: how many there must be; None: one or more.

    Raises:
        ConfigError: there is no such dialect.
    """
    import sqlglot
    from sqlglot import errors, expressions

    text = text_of(reply)
    try:
        sqlglot.Dialect.get_or_raise(dialect)
    except ValueError as error:
        raise ConfigError(
            str(error), hint=f"Known are {', '.join(sorted(filter(None, sqlglot.Dialect.classes)))}."
        ) from None
    try:
        parsed = [statement for statement in sqlglot.parse(text, dialect=dialect) if statement is not None]
    except errors.ParseError as error:
        return Check("sql_parses", False, _explain(text, error.errors[0] if error.errors else {}, str(error)))
    except (errors.SqlglotError, RecursionError) as error:
        return Check("sql_parses", False, f"{_first_line(str(error)) or 'nested too deeply'}{_fence(text)}")
    for statement in parsed:
        if isinstance(statement, expressions.Condition | expressions.Alias | expressions.Tuple):
            return Check("sql_parses", False, f"{excerpt(statement.sql(dialect))} is an expression, not a statement")
        if isinstance(statement, expressions.Command):
            return Check("sql_parses", False, f"sqlglot does not know the statement {excerpt(statement.sql(dialect))}")
    if not parsed or (statements is not None and len(parsed) != statements):
        return Check(
            "sql_parses", False, f"{len(parsed)} statements instead of {statements or 'some'}: {excerpt(text)}"
        )
    return Check("sql_parses", True)


def _explain(text: str, error: dict[str, object], message: str) -> str:
    if not error:
        return _first_line(message)
    near = f"{str(error['start_context'])[-30:]}>>{error['highlight']}<<{str(error['end_context'])[:30]}"
    where = f"line {error['line']}, column {error['col']}"
    return f"{_first_line(str(error['description']))} at {where}: {near!r}{_fence(text)}"


def _first_line(message: str) -> str:
    return message.splitlines()[0][:150] if message else ""


def _fence(text: str) -> str:
    return "; the SQL stands in a ``` block" if text.lstrip().startswith("```") else ""
