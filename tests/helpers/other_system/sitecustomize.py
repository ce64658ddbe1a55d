"""Shows our packages a system like Windows; Python loads it at start if this folder is first in PYTHONPATH.

Our modules, and only these, get replacements for `os`, `sys` and similar modules, without what that system
lacks; importing a module that does not exist there fails. Child processes start the same way.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import sys
import types
from typing import Any

_OURS = ("models", "pipelines", "vsr")
_ABSENT = frozenset({"fcntl", "resource", "pwd", "grp", "termios", "posix"})
_LACKS: dict[str, frozenset[str]] = {
    "os": frozenset(
        {
            "sched_getaffinity",
            "sysconf",
            "getuid",
            "geteuid",
            "fork",
            "O_NOFOLLOW",
            "O_DIRECTORY",
            "mkfifo",
            "killpg",
            "setsid",
            "nice",
        }
    ),
    "socket": frozenset({"AF_UNIX", "socketpair"}),
    "signal": frozenset(
        {"SIGKILL", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGALRM", "pthread_sigmask", "setitimer"}
    ),
    "sys": frozenset(),
    "ctypes": frozenset({"CDLL"}),
    "subprocess": frozenset(),
}
_OTHER: dict[str, dict[str, Any]] = {"sys": {"platform": "win32"}, "os": {"name": "nt"}}


class _Module(types.ModuleType):
    """Another module with some names missing and some changed."""

    def __getattr__(self, name: str) -> Any:
        if name in _LACKS[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(sys.modules[self.__name__], name)


def _popen_of_windows(real: Any) -> Any:
    def begin(*given: Any, pass_fds: Any = (), **named: Any) -> Any:
        if pass_fds:
            raise ValueError("pass_fds not supported on Windows.")
        return real(*given, **named)

    return begin


def _seen(name: str) -> _Module:
    module = _Module(name)
    for key, value in _OTHER.get(name, {}).items():
        setattr(module, key, value)
    if name == "subprocess":
        import subprocess

        module.Popen = _popen_of_windows(subprocess.Popen)  # type: ignore[attr-defined]
    return module


_SEEN: dict[str, _Module] = {}


def _import(name: str, variables: Any = None, places: Any = None, wanted: Any = (), level: int = 0) -> Any:
    if name.partition(".")[0] in _ABSENT:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    found = builtins.__import__(name, variables, places, wanted, level)
    if name in _LACKS or (not wanted and name.partition(".")[0] in _LACKS):
        top = name.partition(".")[0]
        return _SEEN.setdefault(top, _seen(top))
    return found


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class _Finder:
    """Finds our packages, and has them see what `_import` shows."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        del target
        if name.partition(".")[0] not in _OURS:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            found.loader = _Loader(found.loader.name, found.loader.path)
        return found


sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
