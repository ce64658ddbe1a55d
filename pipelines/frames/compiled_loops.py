"""`compiled`: compiles loops over samples to machine code, if numba is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["COMPILED", "compiled"]


try:
    import numba

    COMPILED = True
    compiled: Callable[[Any], Any] = numba.njit(cache=True, nogil=True, error_model="numpy")
    """Decorator: compiles a function; float operations keep their order."""
except ImportError:  # pragma: no cover - numba is a dependency, but not on every platform
    COMPILED = False

    def compiled(function: Any) -> Any:
        """Return the function unchanged, as numba is not installed."""
        return function
