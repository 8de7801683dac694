"""Settings, the key, and where each of them came from.

A setting is taken from the first of: the argument, the environment (`DOC2X_` and the setting's name in capitals), the
config file, the default. The config file is TOML, one `name = value` a line, in the user's config folder;
`DOC2X_CONFIG` names another. The key stands in a file of its own beside it, mode 0600, written by `set_key`.
"""

from doc2x_sdk.config.base_url import is_loopback
from doc2x_sdk.config.key import APIKey, key_fault, no_key, set_key
from doc2x_sdk.config.loading import Configuration, Generation, load
from doc2x_sdk.config.paths import config_path, key_path, ledger_path
from doc2x_sdk.config.settings import Settings
from doc2x_sdk.config.values import bytes_of

__all__ = [
    "APIKey",
    "Configuration",
    "Generation",
    "Settings",
    "bytes_of",
    "config_path",
    "is_loopback",
    "key_fault",
    "key_path",
    "ledger_path",
    "load",
    "no_key",
    "set_key",
]
