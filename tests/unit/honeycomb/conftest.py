import sys
from pathlib import Path

# The suites are no installed package; pytest puts the repository on the path only for tests inside them.
ROOT = str(Path(__file__).parents[3])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
