"""Files that are there: schemathesis would hardly ever meet one, or both numbers and keys of one, by itself.

SEEDS names some for each operation, in the state that it needs; the lists are separate, so that what deletes leaves enough to what comes
after it. STATUSES gets one line for each answer, so that tests/it/openapi.rs sees whether every operation was really carried out.
"""

import json
import os
from zlib import crc32

import schemathesis

SEEDS = json.loads(os.environ["SEEDS"])
STATUSES = open(os.environ["STATUSES"], "a", buffering=1)


@schemathesis.hook
def map_case(ctx, case):
    """Three of four valid requests are about a file that is there."""
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
    if "tid" in path:
        path["tid"] = one["ticket"]
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
