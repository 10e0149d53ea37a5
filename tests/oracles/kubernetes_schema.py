"""Holds the manifests of a folder, put together as its kustomization.yaml says, against the schemas of Kubernetes: a field
that there is not is an error too. Prints what was held against which version, a line each; a finding ends with a non-zero exit code.

  kubernetes_schema.py FOLDER VERSION..."""

import pathlib
import sys

import kubernetes_validate
import yaml


def put_together(folder):
    """What `kubectl apply -k` would send, as far as a schema sees it: the namespace, and labels in selectors and templates."""
    whole = yaml.safe_load((folder / "kustomization.yaml").read_text())
    labels = {name: value for entry in whole["labels"] for name, value in entry["pairs"].items()}
    for name in whole["resources"]:
        resource = yaml.safe_load((folder / name).read_text())
        resource["metadata"].setdefault("labels", {}).update(labels)
        if resource["kind"] != "Namespace":
            resource["metadata"]["namespace"] = whole["namespace"]
        if resource["kind"] == "Service":
            resource["spec"].setdefault("selector", {}).update(labels)
        if resource["kind"] == "Deployment":
            resource["spec"].setdefault("selector", {}).setdefault("matchLabels", {}).update(labels)
            resource["spec"]["template"]["metadata"].setdefault("labels", {}).update(labels)
        yield name, resource
    for path in sorted(folder.glob("*.example.yaml")):
        yield path.name, yaml.safe_load(path.read_text())


def main():
    folder, versions = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for name, resource in put_together(folder):
        for version in versions:
            kubernetes_validate.validate(resource, version, strict=True)
            print(f"{name} {version}")


main()
