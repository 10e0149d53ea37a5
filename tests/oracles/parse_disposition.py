"""How Werkzeug reads a Content-Disposition header: one header value as a JSON string per line on stdin, one
{"type": "...", "filename": "..." or null} per line on stdout. A bad line ends the program with a non-zero exit code."""

import json
import re
import sys

from werkzeug.http import parse_options_header


def parse(value):
    # Of filename and filename* Werkzeug takes the later one; RFC 6266 wants filename* wherever it stands. So it is said
    # once more at the end. It is looked for outside quoted strings only.
    unquoted = re.sub(r'"(?:\\.|[^"\\])*"', '""', value)
    if extended := re.search(r";\s*filename\*=([^;\s]+)", unquoted, re.IGNORECASE):
        value += f"; filename*={extended[1]}"
    kind, options = parse_options_header(value)
    return {"type": kind, "filename": options.get("filename")}


sys.stdin.reconfigure(encoding="utf-8")  # whatever the locale
for number, line in enumerate(sys.stdin, start=1):
    try:
        value = json.loads(line)
        if not isinstance(value, str):
            raise ValueError("not a JSON string")
        answer = parse(value)
    except ValueError as error:
        sys.exit(f"parse_disposition.py: line {number}: {error}")
    print(json.dumps(answer), flush=True)
