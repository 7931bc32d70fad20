"""Files inside installed Python packages: ``package://import_name/file``."""

import importlib.util
from pathlib import Path, PurePosixPath

from harness.errors import ConfigError

PACKAGE = "package://"


def package_file(ref: str) -> Path:
    """Return the file that ``package://import_name/file`` names, without importing the package.

    Raises:
        ConfigError: the reference is malformed, or the package or the file is not there.
    """
    package, _, inside = ref.removeprefix(PACKAGE).partition("/")
    parts = package.split(".")
    climbs = ".." in PurePosixPath(inside).parts or inside.startswith("/")
    if not ref.startswith(PACKAGE) or not inside or climbs or not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{ref!r} is not of the form package://import_name/file")
    try:
        spec = importlib.util.find_spec(parts[0])
    except ValueError:  # a module that was made by hand, such as __main__
        spec = None
    roots = list(spec.submodule_search_locations or ()) if spec else []
    if not roots:
        raise ConfigError(
            f"{ref}: the package {parts[0]} is not installed", hint=f"Install what provides `{parts[0]}`."
        )
    candidates = [Path(root, *parts[1:], inside) for root in roots]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ConfigError(f"{ref}: there is no such file in the package {parts[0]}{_near(candidates[0])}")


def _near(missing: Path) -> str:
    folder = missing.parent
    if not folder.is_dir():
        return ""
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == missing.suffix)
    return f"; it has {', '.join(names[:10])}" if names else ""
