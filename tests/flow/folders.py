"""What stands in a folder."""

from pathlib import Path

__all__ = ["tree"]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too: relative name -> bytes; a folder that is not there is empty."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() or path.is_symlink()}  # fmt: skip
