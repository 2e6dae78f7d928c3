"""Where things stand in the repository, and what they may import."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def test_files_stay_short():
    for path in ROOT.glob("dsr_tf/**/*.py"):
        assert len(path.read_text().splitlines()) <= 350, path


def test_imports_run_one_way():
    """Command line -> training -> callbacks -> reallocation -> layers."""
    order = [
        "granularity",
        "layers",
        "reallocation",
        "pruning",
        "callbacks",
        "training",
        "comparison",
    ]
    for path in ROOT.glob("dsr_tf/*/*.py"):
        package = path.parent.name
        if package not in order:
            continue
        above = order[order.index(package) + 1 :]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".") + [a.name for a in node.names]
                assert not set(parts[1:2]) & set(above), (path, node.module)
