"""Child processes that never outlive their parent, however it ends."""

from harness.process.child import Child

__all__ = ["Child"]
