"""The interpreter, the system and the machine below it, from /proc and sysconfig: no process is started."""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path


def python() -> dict[str, object]:
    """The interpreter: version, build, compiler and the flags it was built and started with."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "configured": sysconfig.get_config_var("CONFIG_ARGS") or "",
        "flags": {name: value for name in _FLAGS if (value := getattr(sys.flags, name))},
    }


def system() -> dict[str, object]:
    """The operating system: distribution, kernel, C library, and the container around it."""
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        distribution = "unknown"
    return {
        "name": platform.system(),
        "distribution": distribution,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or " ".join(platform.libc_ver()),
        "container": _container(),
    }


def cpu() -> dict[str, object]:
    """The processor: its model, how many there are, and how many of them this process may use."""
    return {
        "model": _cpu_model(),
        "count": os.cpu_count(),
        "usable": len(os.sched_getaffinity(0)),
        "quota": _cgroup("cpu.max"),
    }


def memory() -> dict[str, object]:
    """Main memory in bytes, and the limit that the control group sets, if any."""
    return {
        "total_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "limit": _cgroup("memory.max"),
    }


_FLAGS = ("debug", "optimize", "isolated", "no_site", "ignore_environment", "dev_mode", "utf8_mode", "safe_path")


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    for name in ("model name", "Model", "Processor", "CPU part"):
        if found := re.search(rf"^{name}\s*: *(.+)$", text, re.M):
            return found[1].strip()
    return platform.processor() or "unknown"


def _cgroup(name: str) -> str | None:
    """A limit of the control group that this process is in; None where there is none to be seen."""
    try:
        inside = re.search(r"^0::(.*)$", Path("/proc/self/cgroup").read_text(), re.M)
        text = Path("/sys/fs/cgroup", (inside[1] if inside else "/").lstrip("/"), name).read_text().strip()
    except OSError:
        return None
    return None if text.startswith("max") else text


def _container() -> str | None:
    if os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER"):
        return "apptainer"
    if Path("/run/.containerenv").exists():
        return "podman"
    return "docker" if Path("/.dockerenv").exists() else None
