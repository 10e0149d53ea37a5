"""What schemathesis cannot know of this API.

Whether a name, a content type and a size go together is for the rules of the installation to say, how many parts a file has depends
on the file, and which cursors there are on the pages that told them, and what goes into a filter is JSON in a text: no schema can tell. Such requests are valid by the document and
answered with 400, which schemathesis.toml allows for these operations. This check takes back what that gives away: the 400 must be a
rule's, in a rule's words, and not a complaint about the shape of the request.
"""

import re

import schemathesis
from schemathesis.core.parameters import ParameterLocation

import seeds

# A part of such a number makes the file larger than its type may be: said where the client chooses the sizes, as Uppy does.
MANY_PARTS = {"size": r"must be \d+ or lower"}
DESCRIBING = {
    "filename": r"must be the same as fileName|must not end in ‘\.[^’]+’.*|must end in \..+ for \S+|must have an ending that goes with \S+",
    "disposition": r"must be one of ‘.+’",
}
RULES = {
    "POST /v2/files/ref.json": {
        "filename": r"must be the same as fileName|must not end in ‘\.[^’]+’.*|must end in \..+ for \S+",
        "mimeType": r"must be one that is taken here; a file .+ is not",
        "disposition": r"must be one of ‘.+’",
        "size": r"must be \d+ or (higher|lower)|must be \d+ or lower in one request; ask with ‘multipart’ for more",
    },
    "PUT /v2/tickets/{tid}/files.json": {"files": "not found|must be set", "ids": "not found|must not be set beside files"},
    "GET /v2/files.json": {
        "cursor": r"must be the nextCursor of a page in the same order|must come without page and pageOffset",
        # How many pages there are depends on how long they are.
        "page": r"must be \d+ or lower; a cursor leads further",
        "pageOffset": r"must be the page less 1: both name the same page|must be \d+ or lower; a cursor leads further",
        # A text to the document; what it holds is JSON, and what that holds has a place in the name of the field.
        "filter": r"must be .+",
        "q": r"must be 255 bytes or shorter, without NUL",
    },
    # Any JSON to the document: stores say more than what is looked at.
    "POST /notifications/s3": {"body": r"must be a bucket notification of S3, MinIO, SeaweedFS or EventBridge"},
    "PATCH /v2/files/{id}.json": DESCRIBING,
    "PUT /v2/files/{id}.json": DESCRIBING,
    "POST /v2/files/{id}/parts.json": {"partNumbers": r"must be 1 to \d+"} | MANY_PARTS,
}
for prefix in ("/companion", "/u/{upload_token}"):
    # The token in the path is for several file types: there each request must name one, which the document leaves open.
    new_file = RULES["POST /v2/files/ref.json"] | ({"fileType": "must be set in the file's metadata"} if prefix != "/companion" else {})
    RULES[f"GET {prefix}/s3/params"] = RULES[f"POST {prefix}/s3/multipart"] = new_file
    RULES[f"GET {prefix}/s3/multipart/{{upload_id}}/{{part_number}}"] = MANY_PARTS
    RULES[f"GET {prefix}/s3/multipart/{{upload_id}}/batch"] = MANY_PARTS
RULES["GET /v2/tickets/{tid}/files.json"] = RULES["GET /v2/files.json"]
KEY_USED = {"Idempotency-Key": ["was used for another request"]}


# Kayako Classic's refusals are lines of text.
LINE = re.compile(r"(ticketid|ticketpostid|filename|contents|fileid|body) must .+")


@schemathesis.check
def lines_name_what_they_are_about(ctx, response, case):
    if response.status_code != 400 or not case.operation.label.startswith("POST /api/Tickets/") or not case.meta:
        return
    if case.meta.generation.mode.is_positive:
        wrong = [line for line in response.text.splitlines() if not LINE.fullmatch(line)]
        assert response.text and not wrong, f"no rule says: {wrong}"


@schemathesis.check
def a_token_stands_for_a_signature_and_for_nothing_else(ctx, response, case):
    """Each request has a token, so a bad query is no reason to refuse one of these; a bad path and a bad body still are."""
    if seeds.is_signed(case) and case.meta and response.status_code < 300:
        bad = [place.value for place in (ParameterLocation.PATH, ParameterLocation.BODY) if case.meta.is_negative_at(place)]
        assert not bad, f"taken in spite of its {bad}"


@schemathesis.check
def valid_requests_are_refused_by_rules_alone(ctx, response, case):
    rules = RULES.get(case.operation.label)
    if rules is None or not case.meta or not case.meta.generation.mode.is_positive or response.status_code not in (400, 422):
        return
    errors = response.json()["errors"]
    if response.status_code == 422:
        assert errors == KEY_USED, f"422 that is not about the key: {errors}"
        return
    for field, messages in errors.items():
        for message in messages:
            field = re.split(r"[.\[]", field)[0]
            assert field in rules and re.fullmatch(rules[field], message, re.DOTALL), f"no rule says: {field} {message}"
