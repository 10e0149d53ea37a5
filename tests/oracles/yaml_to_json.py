"""Prints a YAML file as JSON; a key that stands twice in one mapping is an error."""

import json
import sys

import yaml


class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(problem=f"a key stands twice: {keys}", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


# Not YAML 1.1's yes, no, on and off: GitHub and Docker read those as texts.
Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps(yaml.load(file, Strict)))
