"""What a sweep's log tells: how fast each of its two parts went, and what the database's share of it was."""
import datetime, json, time


class Log:
    """What a broker logs from now on."""

    def __init__(self, server):
        self.path = server.folder / "log"
        self.offset = self.path.stat().st_size

    def events(self):
        """Those of the sweeper: batches of records forgotten, batches of objects deleted, the end."""
        with open(self.path) as log:
            log.seek(self.offset)
            lines = log.readlines()
        events = []
        for line in lines:
            # The last one may be half written.
            if line.endswith("\n") and ('"temp files discarded"' in line or '"objects deleted"' in line or '"swept"' in line or '"a sweep did not end' in line):
                event = json.loads(line)
                event["at"] = datetime.datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")).timestamp()
                events.append(event)
        if failed := [event for event in events if event["message"].startswith("a sweep did not end")]:
            raise RuntimeError(f"a sweep failed: {failed[0]}")
        return events

    def forgotten(self):
        return [event for event in self.events() if event["message"] == "temp files discarded"]

    def deleted(self):
        return [event for event in self.events() if event["message"] == "objects deleted"]

    def wait(self, done, seconds):
        """Waits until `done(self)`, or so long."""
        deadline = time.monotonic() + seconds
        while not done(self) and time.monotonic() < deadline:
            time.sleep(0.2)


def part_of(log, began, ended):
    """Which part of a sweep ran in that time; `None` when it was both or neither."""
    forgotten, deleted = ([event for event in events if began < event["at"] <= ended] for events in (log.forgotten(), log.deleted()))
    return None if bool(forgotten) == bool(deleted) else "records" if forgotten else "objects"


def rates(log):
    """Records a second that the sweep forgot, reading them included; keys a second that the database leased and struck off; the same of the bucket."""
    forgotten, deleted = log.forgotten(), log.deleted()
    found = {}
    if len(forgotten) > 1:
        # From the end of the first batch to the end of the last.
        found["records"] = sum(event["count"] for event in forgotten[1:]) / (forgotten[-1]["at"] - forgotten[0]["at"])
    if keys := sum(event["count"] for event in deleted):
        found["keys"] = keys / sum(event["database_ms"] for event in deleted) * 1000
        found["bucket"] = keys / sum(event["bucket_ms"] for event in deleted) * 1000
    if "records" in found and "keys" in found:
        # Every record that is forgotten leaves one key.
        found["database"] = 1 / (1 / found["records"] + 1 / found["keys"])
    return found
