"""Files that are there: schemathesis would hardly ever meet one, or both numbers and keys of one, by itself.

SEEDS names some for each operation, in the state that it needs; the lists are separate, so that what deletes leaves enough to what comes
after it. STATUSES gets one line for each answer, so that tests/it/openapi.rs sees whether every operation was really carried out.
"""

import json
import os
from zlib import crc32

import schemathesis

SEEDS = json.loads(os.environ["SEEDS"])
SIGNED = json.loads(os.environ["SIGNED"])
STATUSES = open(os.environ["STATUSES"], "a", buffering=1)


# Where files are whose ticket is their own.
POST = 7


def is_signed(case):
    return case.operation.path.startswith(("/api/Tickets/", "/api/Core/"))


@schemathesis.hook
def map_case(ctx, case):
    """Three of four valid requests are about a file that is there; those of Kayako Classic are signed."""
    if is_signed(case) and case.meta and case.meta.generation.mode.is_positive:
        case.query = {**(case.query or {}), **SIGNED}
        if case.meta.phase.name == "fuzzing" and isinstance(case.body, dict):
            described = repr(sorted(case.body.items(), key=str))
            if crc32(described.encode()) % 4:
                case.body = {**case.body, "filename": "a.txt", "contents": "SGVsbG8="}
                case.body.pop("fileid", None)
    there = SEEDS.get(case.operation.label)
    if not there or not case.meta or case.meta.phase.name != "fuzzing" or not case.meta.generation.mode.is_positive:
        return case
    path, query = case.path_parameters or {}, case.query or {}
    chosen = crc32(repr((sorted(path.items(), key=str), sorted(query.items(), key=str))).encode())
    if chosen % 4 == 0:
        return case
    one = there[chosen // 4 % len(there)]
    for name in ("id", "upload_id"):
        if name in path:
            path[name] = one["id"]
    for name in ("tid", "ticketid"):
        if name in path:
            path[name] = one["ticket"]
    if "ticketpostid" in path:
        path["ticketpostid"] = POST
    if "key" in query:
        query["key"] = one["key"]
    if "ids" in query and case.operation.label.startswith("DELETE "):
        query["ids"] = str(one["id"])
    if case.operation.label.endswith("/complete"):
        case.body = {"parts": [{"PartNumber": 1, "ETag": one["etag"]}]}
    if case.operation.label == "POST /notifications/s3":
        case.body = {"EventName": "s3:ObjectCreated:Post", "Key": f"dropslip/{one['key']}"}
    return case


@schemathesis.check
def is_counted(ctx, response, case):
    STATUSES.write(f"{response.status_code} {case.operation.label}\n")
