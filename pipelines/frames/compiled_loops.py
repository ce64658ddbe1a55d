"""`compiled`: loops over samples as machine code, where numba is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["COMPILED", "compiled"]


try:
    import numba

    COMPILED = True
    compiled: Callable[[Any], Any] = numba.njit(cache=True, nogil=True, error_model="numpy")
    """Decorator; floats are computed in the order in which they stand."""
except ImportError:  # pragma: no cover - numba is a dependency, but not on every platform
    COMPILED = False

    def compiled(function: Any) -> Any:
        """Return the function as it is."""
        return function
