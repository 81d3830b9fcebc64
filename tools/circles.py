"""Modules of olhar that import each other in a circle: none is allowed, as `make check` holds.

Imports inside functions count, as well as those for types alone: a reader who has to understand one
module of a circle has to understand all.
"""

from __future__ import annotations

import sys

import grimp


def find_circles(package: str = "olhar") -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group, sorted."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {
        name: sorted(graph.find_modules_directly_imported_by(name))
        for name in sorted(graph.modules)
    }
    reached = {name: _reach(name, imports) for name in imports}
    groups = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in imports
    }
    return sorted(sorted(group) for group in groups if group)


def _reach(start: str, imports: dict[str, list[str]]) -> set[str]:
    """All modules that `start` imports, directly or through others; itself where in a circle."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def main() -> int:
    """Print the circles; 1 where there are any."""
    circles = find_circles()
    for circle in circles:
        print("circle of imports:", " ".join(circle))
    return 1 if circles else 0


if __name__ == "__main__":
    sys.exit(main())
