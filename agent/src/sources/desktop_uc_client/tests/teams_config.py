"""Prints every scalar that Python's json reads from each file: its path and value with zero bytes."""
import json
import sys


def show(value, path):
    if isinstance(value, dict):
        for name, below in value.items():
            show(below, [*path, name])
    else:
        for each in value if isinstance(value, list) else [value]:
            printed = each if isinstance(each, str) else json.dumps(each)
            sys.stdout.write("\0".join(path) + f"\0={printed}\0\n")


for file in sys.argv[1:]:
    with open(file, encoding="utf-8-sig") as text:
        show(json.load(text), [])
    sys.stdout.write("\0end\0")
