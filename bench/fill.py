#!/usr/bin/env python3
"""Fills a database of dropslip's with files that read back as if it had made them: many, in minutes.

  bench/fill.py DATABASE_URL [--files N] [--expired N] [--tenants N]

DATABASE_URL is as in DROPSLIP_DATABASE_URL, of a database that dropslip has opened before and that nobody uses meanwhile. Of the files
80 % are active, 15 % temp and 5 % deleted. Temp ones are among the newest fifth, as in life; two thirds of them have expired, so that
10 % of all wait for a sweep. Tenants are called t0, t1, ...; t0 has a tenth of all files, half of the tenants less than one in 3000.
With --expired nothing else is added but so many expired temp files. Objects in a bucket are not made.
"""
import argparse, pathlib, sqlite3, subprocess, sys, time, urllib.parse

CHUNK = 1_000_000
HOUR, DAY = 3600, 86400

# What each engine calls things. `i` is the file's place, 1 to the number of all; times are seconds until a column takes them.
DIALECTS = {
    "sqlite": {
        "random": "(abs(random()) / 9223372036854775807.0)",
        "hex": "lower(hex(randomblob(16)))",
        "millis": "printf('%012x', CAST({} * 1000 AS INTEGER))",
        "instant": "CAST({} * 1000000 AS INTEGER)",
        "places": "WITH RECURSIVE places (i) AS (SELECT {} UNION ALL SELECT i + 1 FROM places WHERE i < {}) SELECT i FROM places",
        "materialized": "MATERIALIZED",
    },
    "postgres": {
        "random": "random()",
        "hex": "md5(random()::text || random()::text)",
        "millis": "lpad(to_hex(CAST({} * 1000 AS BIGINT)), 12, '0')",
        "instant": "to_timestamp({})",
        "places": "SELECT i FROM generate_series({}, {}) AS i",
        "materialized": "MATERIALIZED",
    },
}

COLUMNS = """tenant, state, type_name, name, disposition, declared_type, granted_type, detected_type, decided_type, verdict, pixel_width, pixel_height, min_size, max_size,
checksum_sha256, staging_key, sealed_key, reissued, size, etag, created_at, updated_at, expires_at, created_by_id, created_by_kind, updated_by_id, updated_by_kind, deleted_at, deleted_by_id, deleted_by_kind"""

# What chance decides is drawn once for each row, in a step of its own, and used in several columns of the next.
ROWS = """
INSERT INTO files ({columns})
WITH drawn AS {materialized} (
    SELECT i, {random} AS who, {random} AS kind, {random} AS fate, {random} AS bytes, {random} AS extra, {hex} AS noise, {hex} AS seal,
    {made} AS made
    FROM ({places}) AS places
), told AS (
    SELECT *, {state} AS state,
    CASE WHEN kind < 0.4 THEN 'image/jpeg' WHEN kind < 0.6 THEN 'image/png' WHEN kind < 0.8 THEN 'application/pdf' ELSE 'text/plain' END AS type,
    CAST(1000 + 9000000 * bytes * bytes * bytes AS BIGINT) AS length
    FROM drawn
)
SELECT 't' || CAST({tenants} * who * who * who AS BIGINT), state,
    CASE WHEN kind < 0.6 THEN 'image' ELSE 'attachment' END,
    CASE WHEN kind < 0.4 THEN 'IMG_2026' || i || '.jpg' WHEN kind < 0.6 THEN 'Screenshot ' || i || ' from the support desk.png'
        WHEN kind < 0.8 THEN 'Quarterly report ' || i || ' (final).pdf' ELSE 'notes-' || i || '.txt' END,
    CASE WHEN extra < 0.1 THEN 'attachment-inline' ELSE 'attachment' END,
    type, type,
    CASE WHEN state = 'temp' OR kind >= 0.8 THEN NULL ELSE type END,
    CASE WHEN state = 'temp' THEN NULL ELSE type END,
    CASE WHEN state = 'temp' THEN NULL ELSE 'matches' END,
    CASE WHEN state = 'temp' OR kind >= 0.6 THEN NULL ELSE 1920 END,
    CASE WHEN state = 'temp' OR kind >= 0.6 THEN NULL ELSE 1080 END,
    CASE WHEN extra < 0.5 THEN length ELSE 1 END,
    CASE WHEN extra < 0.5 THEN length ELSE 10000000 END,
    CASE WHEN extra < 0.2 THEN substr(noise || seal, 1, 42) || 'A=' ELSE NULL END,
    'temp/' || {staging_millis} || '-' || noise,
    CASE WHEN state = 'temp' THEN NULL ELSE 'files/' || {sealed_millis} || '-' || seal END,
    0,
    CASE WHEN state = 'temp' THEN 0 ELSE length END,
    CASE WHEN state = 'temp' THEN NULL ELSE noise END,
    {created}, CASE WHEN state = 'temp' THEN {created} ELSE {updated} END, {expires},
    1 + CAST(200 * extra * extra AS BIGINT), CASE WHEN kind < 0.75 THEN 'users' ELSE 'customers' END,
    1 + CAST(200 * extra * extra AS BIGINT), CASE WHEN kind < 0.75 THEN 'users' ELSE 'customers' END,
    CASE WHEN state = 'deleted' THEN {deleted} END, CASE WHEN state = 'deleted' THEN 1 END, CASE WHEN state = 'deleted' THEN 'users' END
FROM told
"""


def rows(engine, first, last, files, tenants, now, expired_only):
    """The statement that makes the files of places `first` to `last`."""
    words = DIALECTS[engine]
    if expired_only:
        # A day of slips that nobody came back for.
        state, made, living = "'temp'", f"({now - 2 * DAY} + {DAY} * (i / {files}.0))", files + 1
    else:
        newest, living = files * 8 // 10, files * 8 // 10 + files * 2 // 15
        state = (f"CASE WHEN i > {newest} THEN CASE WHEN fate < 0.75 THEN 'temp' ELSE 'active' END "
                 "WHEN fate < 0.0625 THEN 'deleted' ELSE 'active' END")
        # What still lives was made in the last half hour, all else in the 300 days before yesterday.
        made = (f"CASE WHEN i > {living} THEN {now - HOUR / 2} + {HOUR / 2} * ((i - {living}) / {files - living + 1}.0) "
                f"ELSE {now - 301 * DAY} + {300 * DAY} * (i / {living}.0) END")
    # A living slip shall not end while something is measured.
    expires = f"CASE WHEN i > {living} THEN made + {5 * DAY} ELSE made + {HOUR} END"
    instant, millis = words["instant"].format, words["millis"].format
    return ROWS.format(
        columns=COLUMNS, materialized=words["materialized"], random=words["random"], hex=words["hex"], made=made, state=state, tenants=tenants,
        places=words["places"].format(first, last), staging_millis=millis("made"), sealed_millis=millis("(made + 5)"),
        created=instant("made"), updated=instant("(made + 5)"), expires=instant(f"({expires})"),
        # Deleted a moment ago: no sweep purges them meanwhile.
        deleted=instant(str(now)))


def chunks(files):
    return [(first, min(first + CHUNK - 1, files)) for first in range(1, files + 1, CHUNK)]


def fill_sqlite(path, options, now, say):
    database = sqlite3.connect(path, isolation_level=None)
    count = options.expired or options.files
    # All or nothing is for programs that serve; this one begins anew.
    for pragma in ("journal_mode = DELETE", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    indexes = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'files' AND sql IS NOT NULL").fetchall()
    indexes = [] if options.expired else indexes
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    for first, last in chunks(count):
        database.execute(rows("sqlite", first, last, count, options.tenants, now, bool(options.expired)))
        say(f"{last:,} rows")
    for name, sql in indexes:
        database.execute(sql)
        say(f"index {name}")
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.close()


def fill_postgres(url, options, now, say):
    count = options.expired or options.files
    known = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'files' AND indexname <> 'files_pkey'"
    indexes = [] if options.expired else [line.split("|", 1) for line in psql(url, known).splitlines()]
    psql(url, *(f"DROP INDEX {name}" for name, _ in indexes))
    for first, last in chunks(count):
        psql(url, "SET synchronous_commit = off", rows("postgres", first, last, count, options.tenants, now, bool(options.expired)))
        say(f"{last:,} rows")
    for name, sql in indexes:
        psql(url, "SET maintenance_work_mem = '512MB'", "SET max_parallel_maintenance_workers = 2", sql)
        say(f"index {name}")
    # What autovacuum would have done by the time there are so many.
    psql(url, "VACUUM ANALYZE files")
    psql(url, "CHECKPOINT")
    say("vacuumed")


def psql(url, *statements):
    """What these statements print, one column beside the other with a bar between them."""
    if not statements:
        return ""
    commands = [part for statement in statements for part in ("-c", statement)]
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *commands, url], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"psql: {done.stderr[-2000:]}")
    return done.stdout


def fill(url, files=10_000_000, tenants=1000, expired=0, quiet=False):
    """Adds `files` files to the database at `url`, or nothing but so many expired temp files; answers the seconds it took."""
    began = time.monotonic()
    options = argparse.Namespace(files=files, tenants=tenants, expired=expired)
    say = (lambda text: None) if quiet else (lambda text: print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True))
    if url.startswith("sqlite:"):
        fill_sqlite(pathlib.Path(urllib.parse.unquote(url.removeprefix("sqlite:"))), options, time.time(), say)
    else:
        fill_postgres(url, options, time.time(), say)
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database_url")
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--expired", type=int, default=0)
    parser.add_argument("--tenants", type=int, default=1000)
    options = parser.parse_args()
    fill(options.database_url, options.files, options.tenants, options.expired)


if __name__ == "__main__":
    main()
