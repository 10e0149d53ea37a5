"""How Prometheus' own Python client reads a scrape, strictly: one JSON string per line on stdin, on stdout one list of
{"name", "type", "help", "samples": [{"name", "labels", "value"}]} per line. A text that is not OpenMetrics ends the program
with a message and a non-zero exit code."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for line in sys.stdin:
    families = [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples],
        }
        for family in text_string_to_metric_families(json.loads(line))
    ]
    # A bound of buckets may be infinite, which JSON does not know.
    print(json.dumps(families, allow_nan=False))
