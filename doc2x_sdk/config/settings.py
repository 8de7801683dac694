"""Every setting, its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from doc2x_sdk.config.base_url import check_base_url
from doc2x_sdk.errors import ConfigError

__all__ = ["LOCAL", "MEGABYTE", "Settings"]

LOCAL = "local"
"""The account of the servers that `Doc2X.local` starts, whose uids die with them; no other may have this name."""

STORAGE_HOSTS = (".aliyuncs.com", ".amazonaws.com.cn", ".noedgeai.com")
MEGABYTE = 1024 * 1024


def setting(default: Any, text: str) -> Any:
    """Declare a setting with its default and the one line that `doc2x config` prints about it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every default of the package by name. Times are in seconds, sizes in bytes."""

    base_url: str = setting("https://v2.doc2x.noedgeai.com", "origin of the v2 service")
    v1_base_url: str = setting("https://api.doc2x.noedgeai.com", "origin of the v1 service")
    connect_timeout: float = setting(5.0, "to open one connection")
    read_timeout: float = setting(30.0, "silence after which one answer is given up")
    call_timeout: float = setting(60.0, "one API call, its retries included")
    stall_timeout: float = setting(60.0, "silence after which an upload or a download is given up")
    parse_timeout: float = setting(3600.0, "the wait for a parse")
    export_timeout: float = setting(600.0, "the wait for an export")
    patience: float = setting(180.0, "how long a full service is asked again before the document is given up")
    retries: int = setting(2, "how often a request that may be sent again is")
    connections: int = setting(100, "connections kept open to one host")
    poll_floor: float | None = setting(None, "shortest pause between two looks; by default 0.3, on loopback 0.05")
    exporter_timeout: float | None = setting(
        None, "longest run of a plugin's exporter, which is then a process of its own"
    )
    outage: float = setting(600.0, "how long a batch waits for a service that gives no answer")
    one_processor: bool = setting(True, "the threads of a batch share one processor, where they cost least (Linux)")
    ledger: str | None = setting(None, "file of the receipts; by default in the user's state folder")
    account: str | None = setting(None, "name of the account in the ledger; by default a fingerprint of the key")
    archive: bool = setting(False, "keep results in files beside the ledger, and serve them from there")
    archive_days: int = setting(30, "days after its last use that a result stays in the archive")
    archive_size: int = setting(5120 * MEGABYTE, "most bytes of the archive, such as 500MB; the oldest make room")
    storage_hosts: tuple[str, ...] = setting(STORAGE_HOSTS, "hosts (or .suffixes) that uploads and downloads may go to")
    max_answer_bytes: int = setting(128 * MEGABYTE, "largest JSON answer")
    max_download_bytes: int = setting(2048 * MEGABYTE, "largest result file")
    max_pdf_bytes: int = setting(1024 * MEGABYTE, "largest PDF that the service takes")
    max_image_bytes: int = setting(7 * MEGABYTE, "largest picture that the service takes")
    max_file_pages: int = setting(2000, "most pages that the service takes in one parse")

    def __post_init__(self) -> None:
        if self.account == LOCAL:
            told = f"account can't be {LOCAL!r}, which is the embedded engine, where nothing is paid"
            raise ConfigError(told, advice="Give the account another name.")
        for name in ("base_url", "v1_base_url"):
            check_base_url(getattr(self, name), name)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float) and not 0 < value < float("inf"):
                msg = f"{each.name} must be a number of seconds above 0"
                raise ConfigError(msg)
            if isinstance(value, int) and not isinstance(value, bool) and value < (0 if each.name == "retries" else 1):
                msg = f"{each.name} must not be below {0 if each.name == 'retries' else 1}"
                raise ConfigError(msg)
