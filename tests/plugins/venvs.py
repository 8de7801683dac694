"""Fresh virtual environments with plugins installed in them, without an index: dependencies come from this one."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ROOT", "Environment"]

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment made in a folder."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=os.name == "posix")
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = subprocess.run([self.python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
        ours = sysconfig.get_path("purelib")
        (Path(own) / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        for name in ("doc2x", "pytest"):  # the commands, as pip writes them
            self._command(name, {"doc2x": "doc2x_sdk.cli.main:main", "pytest": "pytest:console_main"}[name])

    def _command(self, name: str, target: str) -> None:
        module, _, function = target.partition(":")
        path = self.bin / name
        path.write_text(f"#!{self.python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        path.chmod(0o755)

    def install(self, *packages: str | Path, cwd: Path | None = None) -> None:
        """Install packages from folders, without looking at an index."""
        flags = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, "install", *flags, *packages],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def run(
        self, *command: str, cwd: Path, code: int = 0, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as from a shell in which the environment is active."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PATH": path, **(environ or {})},
            executable=self.bin / command[0],
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
