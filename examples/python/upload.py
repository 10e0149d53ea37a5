"""Uploads one file through dropslip: python upload.py FILE

Needs Python 3.8 or newer and requests 2. Where the broker is and the token come in DROPSLIP_SERVER and DROPSLIP_TOKEN.
"""

import io
import json
import os
import sys
import time
import uuid

import requests

SERVER = os.environ.get("DROPSLIP_SERVER", "http://127.0.0.1:8080").rstrip("/")
TRIES = 4
PASSING = (408, 429, 500, 502, 503, 504)
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class Refused(Exception):
    """The broker or the store said no; the same request would be refused again."""

    def __init__(self, status, said):
        super().__init__(f"{status}: {said}")
        self.status = status


def bearer(request):
    # As `auth`, not as a header: a header would be overruled by a ~/.netrc that knows the host.
    request.headers["Authorization"] = "Bearer " + os.environ["DROPSLIP_TOKEN"]
    return request


def no_credentials(request):
    return request


def pause(attempt, answer=None):
    said = answer.headers.get("Retry-After", "") if answer is not None else ""
    time.sleep(min(int(said), 60) if said.isdigit() else attempt)


def ask(method, path, body=None, headers=None, timeout=30):
    """Steps 1 and 3: JSON, with the token."""
    for attempt in range(1, TRIES + 1):
        answer = None
        try:
            answer = requests.request(method, SERVER + path, json=body, headers=headers, auth=bearer,
                                      timeout=(10, timeout), allow_redirects=False)
        except LOST:
            if attempt == TRIES:
                raise
        if answer is not None and (answer.status_code not in PASSING or attempt == TRIES):
            break
        pause(attempt, answer)
    try:
        said = answer.json()
    except ValueError:
        raise Refused(answer.status_code, "the broker's answer is no JSON") from None
    if answer.status_code in (200, 201):
        return said
    raise Refused(answer.status_code, "; ".join(f"{field} {', '.join(why)}" for field, why in said["errors"].items()))


class Body:
    """A file between two pieces of bytes, read from disk while it is sent."""

    def __init__(self, head, file, tail):
        self.pieces = [io.BytesIO(head), file, io.BytesIO(tail)]
        self.size = len(head) + os.fstat(file.fileno()).st_size + len(tail)

    def __len__(self):
        return self.size

    def read(self, most=-1):
        while self.pieces:
            read = self.pieces[0].read(most)
            if read:
                return read
            self.pieces.pop(0)
        return b""


def send(slip, path):
    """Step 2: as the slip says, without the token. The timeout is for each wait, not for the whole upload."""
    method = slip.get("method", "POST")
    with open(path, "rb") as file:
        if method == "POST":
            boundary = uuid.uuid4().hex
            field = f"--{boundary}\r\nContent-Disposition: form-data; name="
            fields = [f'{field}"{name}"\r\n\r\n{value}\r\n' for name, value in slip["params"].items()]
            head = "".join(fields) + f'{field}"file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n'
            body = Body(head.encode(), file, f"\r\n--{boundary}--\r\n".encode())
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        elif method == "PUT":
            body, headers = Body(b"", file, b""), slip["headers"]
        else:
            raise Refused(method, "this script sends a file in one request")
        return requests.request(method, slip["url"], data=body, headers=headers, auth=no_credentials,
                                timeout=(10, 60), allow_redirects=False)


def upload(path, file_type="attachment", disposition="attachment"):
    """All three steps; gives the active file."""
    wish = {"type": file_type, "filename": os.path.basename(path), "mimeType": "", "disposition": disposition,
            "size": os.path.getsize(path)}
    # The key makes a repeated step 1 answer the same file.
    slip = ask("POST", "/v2/files/ref.json", wish, {"Idempotency-Key": str(uuid.uuid4())})
    file_id = slip["file"]["id"]
    for attempt in range(1, TRIES + 1):
        stored, answer = False, None
        try:
            answer = send(slip, path)
            # 412: an earlier try of this PUT did arrive.
            stored = answer.status_code in (200, 201, 204) or (answer.status_code == 412 and slip.get("method") == "PUT")
        except LOST:
            if attempt == TRIES:
                raise
        if stored:
            try:
                # Sealing a large file is a copy inside the store, so this may take minutes.
                return ask("PATCH", f"/v2/files/{file_id}.json", timeout=330)["file"]
            except Refused as refusal:
                if refusal.status != 409 or attempt == TRIES:  # 409: nothing there yet
                    raise
        elif answer is not None:
            expired = answer.status_code == 403
            if attempt == TRIES or not (expired or answer.status_code in (*PASSING, 409)):
                raise Refused(answer.status_code, answer.text[:2000])
            if expired:
                slip = ask("POST", f"/v2/files/{file_id}/ref.json")
        pause(attempt, answer)


if __name__ == "__main__":
    try:
        print(json.dumps(upload(sys.argv[1])))
    except (Refused, OSError) as failed:  # what requests raises is an OSError too
        sys.exit(f"{sys.argv[1]}: {failed}")
