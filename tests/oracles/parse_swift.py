"""Parses a Swift file; prints the lines that are no Swift and ends with 1 when there are any."""

import sys

import tree_sitter_swift
from tree_sitter import Language, Parser


def broken(node):
    if node.is_error or node.is_missing:
        yield node
    for child in node.children:
        yield from broken(child)


with open(sys.argv[1], "rb") as file:
    tree = Parser(Language(tree_sitter_swift.language())).parse(file.read())
lines = [node.start_point[0] + 1 for node in broken(tree.root_node)]
for line in lines:
    print(f"line {line}")
sys.exit(1 if lines or tree.root_node.has_error else 0)
