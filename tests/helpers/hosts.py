"""Real hosts: network namespaces with separate addresses and names, joined by a bridge; needs root."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.helpers.command import environment

_NET = "10.213.77"
_MARK = "VSR_TEST_HOST"


def unavailable() -> str:
    """Why hosts are not possible on this machine; empty if they are."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        return "network namespaces need Linux, root, ip and unshare"
    name = f"vsr{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return f"network namespaces can't be made here: {made.stderr.strip()}" if made.returncode else ""


class Hosts:
    """A Ray head without cores, and nodes that can be started and struck down."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(2)
        self._names: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="vsr-hosts-", dir="/tmp"))
        self.address = f"{_NET}.1:6379"
        self.variables = {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_initial_delay_ms": "500", "RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }  # fmt: skip

    def __enter__(self) -> Hosts:
        try:
            self._namespace("head", 1)
            self._ray("head", "--head", f"--node-ip-address={_NET}.1", "--port=6379", "--num-cpus=0", f"--temp-dir={self._folder}",
                      "--include-dashboard=false", "--object-store-memory=200000000")  # fmt: skip
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._names:
            self.strike(name)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", self._space(name)], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, name: str, number: int, *, cpus: int = 1) -> None:
        """A node of that name, with the address that ends in `number`."""
        if name not in self._names:
            self._namespace(name, number)
        self._ray(
            name,
            f"--address={self.address}",
            f"--node-ip-address={_NET}.{number}",
            f"--num-cpus={cpus}",
            "--object-store-memory=200000000",
        )

    def strike(self, name: str) -> None:
        """Kill everything that runs on a host, at once."""
        for _ in range(100):
            if not self.signal(name, signal.SIGKILL):
                return
            time.sleep(0.05)

    def signal(self, name: str, number: signal.Signals, title: str = "") -> int:
        """Signal the processes of a host, those with that title; how many there were."""
        mark = f"{_MARK}={self._space(name)}\0".encode()
        found = 0
        for place in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in place.read_bytes() and (place.parent / "cmdline").read_bytes().startswith(
                    title.encode()
                ):
                    os.kill(int(place.parent.name), number)
                    found += 1
            except OSError:
                continue
        return found

    def command(self, *given: object) -> list[str]:
        """`vsr` on the head."""
        return [
            "ip",
            "netns",
            "exec",
            self._space("head"),
            sys.executable,
            "-P",
            "-m",
            "vsr",
            *map(str, given),
        ]

    def environment(self, name: str = "head") -> dict[str, str]:
        """Variables of a process on a host."""
        return environment(**self.variables, **{_MARK: self._space(name)})

    def _space(self, name: str) -> str:
        return f"vsr-{self._id}-{name}"

    def _namespace(self, name: str, number: int) -> None:
        """A namespace; the head's holds the bridge all others are plugged into."""
        space, head = self._space(name), self._space("head")
        self._names.append(name)
        commands = [f"ip netns add {space}", f"ip -n {space} link set lo up"]
        if name == "head":
            commands += [
                f"ip -n {space} link add br0 type bridge",
                f"ip -n {space} addr add {_NET}.{number}/24 dev br0",
                f"ip -n {space} link set br0 up",
            ]
        else:
            commands += [
                f"ip -n {head} link add v{number} type veth peer name eth0 netns {space}",
                f"ip -n {head} link set v{number} master br0 up",
                f"ip -n {space} addr add {_NET}.{number}/24 dev eth0",
                f"ip -n {space} link set eth0 up",
            ]
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)

    def _ray(self, name: str, *options: str) -> None:
        script = f"hostname {name}; exec {Path(sys.executable).parent / 'ray'} start {' '.join(options)}"
        with open(self._folder / f"{name}.out", "wb") as out:
            subprocess.run(["ip", "netns", "exec", self._space(name), "unshare", "--uts", "sh", "-c", script], env=self.environment(name), check=True,
                           stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=120)  # fmt: skip
