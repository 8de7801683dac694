"""`__all__` of a module names what other modules use, no more and no less, so that it can be read as its contract."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = (
    "doc2x_sdk",
    "doc2x_sdk.batch",
    "doc2x_sdk.errors",
    "doc2x_sdk.fetching",
    "doc2x_sdk.functions",
    "doc2x_sdk.hookspecs",
    "doc2x_sdk.markdown",
    "doc2x_sdk.models",
    "doc2x_sdk.testing",
)
"""Modules whose names are for programs that use the package."""
CALLED_BY_NAME = {"doc2x_sdk.formats.builtin", "doc2x_sdk.formats.child", "doc2x_sdk.testing.fixtures"}
"""Modules that pluggy, `python -m` and pytest look into."""


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "doc2x_sdk").rglob("*.py")}


def imports_of(tree: ast.Module) -> set[tuple[str, str]]:
    """Module and name of all that a module uses of others, as `from m import n` and as `m.n` of an imported module."""
    found, modules = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                if whole in MODULES:
                    modules[each.asname or each.name] = whole
                else:
                    found.add((node.module, each.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            found.add((modules[node.value.id], node.attr))
    return found


def declared(tree: ast.Module) -> set[str] | None:
    """What stands in a module's `__all__`; None without one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


@pytest.fixture(scope="module")
def used() -> dict[str, dict[str, set[str]]]:
    """Module -> name -> who uses it, among the package, its tests and the shipped plugins."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    users = dict(MODULES)
    for folder in ("tests", "plugins", "docs/examples", "docs/_ext"):
        for path in (ROOT / folder).rglob("*.py"):
            users[name_of(path)] = ast.parse(path.read_text(encoding="utf-8"))
    for user, tree in users.items():
        for module, name in imports_of(tree):
            if module != user:
                found[module][name].add(user)
    return found


def test_what_another_module_of_the_package_uses_is_declared(used: dict[str, dict[str, set[str]]]) -> None:
    missing = {
        f"{module}.{name}"
        for module, tree in MODULES.items()
        for name, users in used[module].items()
        if any(user in MODULES for user in users) and name not in (declared(tree) or {name})
    }
    assert not missing


def test_what_is_declared_is_used_elsewhere(used: dict[str, dict[str, set[str]]]) -> None:
    idle = {
        f"{module}.{name}"
        for module, tree in MODULES.items()
        if module not in {*PUBLIC, *CALLED_BY_NAME} and ".cli.commands." not in module
        for name in (declared(tree) or set()) - used[module].keys()
    }
    assert not idle
