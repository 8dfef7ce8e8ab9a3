"""What the system says of this machine and of this process."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def described() -> dict[str, str]:
    """Describe the machine, and how busy it is with other work at this moment."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{_memory_gb():.0f} GB",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "load when measured": load,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", text, re.MULTILINE))
    wide = [flag for flag in ("avx2", "avx512f", "amx_tile") if flag in names.get("flags", "")]
    return f"{names.get('model name', platform.machine())} ({', '.join(wide)})"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def resident_mb() -> float:
    """Return the memory that this process has now, mapped files that it touched included."""
    return _status("VmRSS")


def peak_mb() -> float:
    """Return the most memory that this process ever had."""
    return _status("VmHWM")


def _status(field: str) -> float:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    assert found, f"{field} is not in /proc/self/status"
    return int(found[1]) / 1024


def size_mb(path: Path) -> float:
    """Return the size of a file, or of all files below a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
