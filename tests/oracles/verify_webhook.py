"""Verifies webhooks with the reference library of Standard Webhooks: one question a line, one answer a line."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"payload": Webhook(asked["secret"]).verify(asked["body"], asked["headers"])}
    except WebhookVerificationError as error:
        answer = {"refused": str(error)}
    print(json.dumps(answer), flush=True)
