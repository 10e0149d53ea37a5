"""What boto3 makes of the same form: one JSON request per line on stdin, one JSON answer per line on stdout.

A form: {"access_key", "secret_key", "session_token" (or null), "region", "now": "2026-01-02T03:04:05Z", "expires_in": 900,
"bucket", "key", "fields": {...}, "conditions": [...]}, answered by {"fields": {...}, "policy_json": {...}, "url": "..."}.
A signature alone: the first five and "policy_b64", answered by {"signature": "..."}.
A bad line ends the program with a message and a non-zero exit code.
"""

import base64
import json
import os
import sys
from datetime import datetime

# Nothing of the person's own AWS set-up may change an answer; botocore reads these on import and per client.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

import boto3
import botocore.auth
import botocore.signers
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

session = boto3.Session()


def freeze(now):
    """Set botocore's clock, which both modules imported by name."""
    moment = datetime.strptime(now, "%Y-%m-%dT%H:%M:%SZ")
    botocore.auth.get_current_datetime = lambda: moment
    botocore.signers.get_current_datetime = lambda: moment
    return moment


def form(request):
    freeze(request["now"])
    client = session.client(
        "s3",
        region_name=request["region"],
        aws_access_key_id=request["access_key"],
        aws_secret_access_key=request["secret_key"],
        aws_session_token=request["session_token"],
        config=Config(signature_version="s3v4"),  # without it some regions still get the old signature
    )
    post = client.generate_presigned_post(
        Bucket=request["bucket"],
        Key=request["key"],
        Fields=request["fields"],
        Conditions=request["conditions"],
        ExpiresIn=request["expires_in"],
    )
    policy = json.loads(base64.b64decode(post["fields"]["policy"]))
    return {"fields": post["fields"], "policy_json": policy, "url": post["url"]}


def signature(request):
    credentials = Credentials(request["access_key"], request["secret_key"], request["session_token"])
    signer = botocore.auth.S3SigV4PostAuth(credentials, "s3", request["region"])
    context = AWSRequest()
    context.context["timestamp"] = freeze(request["now"]).strftime("%Y%m%dT%H%M%SZ")
    return {"signature": signer.signature(request["policy_b64"], context)}


sys.stdin.reconfigure(encoding="utf-8")  # whatever the locale
for number, line in enumerate(sys.stdin, start=1):
    try:
        request = json.loads(line)
        answer = signature(request) if "policy_b64" in request else form(request)
    except Exception as error:
        sys.exit(f"boto3_post.py: line {number}: {type(error).__name__}: {error}")
    print(json.dumps(answer), flush=True)
