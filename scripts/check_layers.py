#!/usr/bin/env python3
"""Checks the one rule about the layout that is enforced: a file includes its own folder and folders to the left.

    base < proto < parser < config < net < shm < route < worker < monitor < master        ctl: base, config, shm only

Also: a header of another folder is included with its folder's name, every source folder has a README.md, and system
headers stand in angle brackets. Each rule and folder is one test; the last line is `N passed, N failed`.
"""
import pathlib
import re
import sys

ORDER = ["base", "proto", "parser", "config", "net", "shm", "route", "worker", "monitor", "master"]
MAY = {folder: set(ORDER[: n + 1]) for n, folder in enumerate(ORDER)}
MAY["ctl"] = {"base", "config", "shm", "ctl"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_file(root, path, folder):
    """The complaints about the includes of one file."""
    text = path.read_text(errors="replace")
    for found in INCLUDE.finditer(text):
        bracket, name = found.groups()
        where = f"{path.relative_to(root)}:{line_of(text, found.start())}"
        head = name.split("/")[0] if "/" in name else None
        if bracket == "<":
            if head in MAY and (root / name).exists():
                yield f"{where}: <{name}> is ours: write it with quotes"
            continue
        if ".." in name.split("/"):
            yield f"{where}: \"{name}\": name the folder instead of .."
        elif head is None or head == folder:
            if not (path.parent / name).exists() and not (root / name).exists() and not name.endswith(".gen.h"):
                yield f"{where}: \"{name}\" is not in {folder}/"
        elif head not in MAY:
            yield f"{where}: \"{name}\": {head}/ is no source folder"
        elif head not in MAY[folder]:
            yield f"{where}: {folder}/ must not include {head}/"


def check_tree(root):
    """Yields (name of the check, list of complaints)."""
    for folder in [*ORDER, "ctl"]:
        top = root / folder
        sources = sorted(p for p in top.rglob("*") if p.suffix in (".c", ".h")) if top.is_dir() else []
        if not sources:
            continue
        yield f"{folder}: includes", [c for path in sources for c in check_file(root, path, folder)]
        yield f"{folder}: README.md", [] if (top / "README.md").is_file() else [f"{folder}/ has no README.md"]


def main(argv):
    root = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).resolve().parent.parent).resolve()
    passed = failed = 0
    for name, complaints in check_tree(root):
        for complaint in complaints:
            print(complaint)
        passed, failed = passed + (not complaints), failed + bool(complaints)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
