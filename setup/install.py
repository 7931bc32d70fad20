"""Set up ``.venv``: ``python3 setup/install.py`` (or ``make setup``).

This first file is read by whatever Python there is, so it holds only what an old one can parse.
"""

import subprocess
import sys

SUPPORTED = ((3, 12), (3, 11))


def wrong_python(version: "tuple[int, int]") -> str:
    """Return why this Python version cannot be used and what to do, or an empty text if it can."""
    if version in SUPPORTED:
        return ""
    names = [f"python{major}.{minor}" for major, minor in SUPPORTED]
    found = [name for name in names if runs(name)]
    advice = (
        "Install one of them (Debian: apt-get install python3.11 python3.11-venv), then: make setup PYTHON=python3.11"
    )
    if found:
        advice = f"There is one here: make setup PYTHON={found[0]}"
    return f"This is Python {version[0]}.{version[1]}; Python 3.11 or 3.12 is needed. Nothing was downloaded.\n{advice}"


def runs(name: str) -> bool:
    """Tell whether this command is a Python that starts (a shim of a version manager may not)."""
    try:
        code = subprocess.call([name, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return code == 0


if __name__ == "__main__":
    complaint = wrong_python((sys.version_info[0], sys.version_info[1]))
    if complaint:
        sys.exit(complaint)
    import environment

    sys.exit(environment.main(sys.argv[1:]))
