"""One file, and pages of the list."""
from load import Load, in_turns
from report import table
from slips import COLUMNS, figures_of, request

FILES, DEEP = 200, 200
LIST = "/v2/files.json?pageSize=50"


def get(path, token):
    return ("GET", path, f"Bearer {token}", None)


def cursor(page):
    return (page.get("meta", {}).get("page", {}) or {}).get("nextCursor")


def deep(broker):
    """The path of a page far down, as a client comes there, and how many files stand before it."""
    path, before = LIST, 0
    for _ in range(DEEP):
        page = broker.ask("GET", path)[1]
        if not cursor(page):
            break
        path, before = f"{LIST}&cursor={cursor(page)}", before + 50
    return path, before


def read(bench):
    stage = bench.stage
    brokers = {"SQLite": stage.sqlite("sqlite-read"), "Postgres": stage.on_postgres("postgres-read", stage.postgres)}
    paths = {}
    for name, broker in brokers.items():
        Load(broker, [request(broker.token)]).run(bench.middle, bench.seconds, stage.scratch)
        paths[name] = [f"/v2/files/{broker.slip()[1]['file']['id']}.json" for _ in range(FILES)]
    lines = contest(bench, "one file", brokers, paths)
    note = f"One of the latest {FILES} of the files that a load left there, in turns."
    if brokers["SQLite"].ask("GET", LIST, expect=None)[0] == 200:
        far = {name: deep(broker) for name, broker in brokers.items()}
        lines += contest(bench, "page of 50", brokers, dict.fromkeys(brokers, [LIST]))
        lines += contest(bench, "deep page of 50", brokers, {name: [path] for name, (path, _) in far.items()})
        note += f" Pages are `GET {LIST}`; the deep one has {min(before for _, before in far.values()):,} files before it."
    else:
        note += f" `GET {LIST}` is not answered by this version: no figures."
    stage.end(*brokers.values())
    return table(["what", *COLUMNS], lines) + "\n\n" + note


def contest(bench, what, brokers, paths):
    """The rows of one kind of request, beside a floor with answers of that length."""
    first = brokers["SQLite"]
    floor = bench.stage.floor(first.ask("GET", paths["SQLite"][0])[2])
    loads = [Load(floor, [get(path, first.token) for path in paths["SQLite"]], "floor")]
    loads += [Load(broker, [get(path, broker.token) for path in paths[name]], name) for name, broker in brokers.items()]
    figures = in_turns(loads, bench.rounds, bench.middle, bench.seconds, bench.stage.scratch, bench.neighbours)
    bench.figures[what] = figures
    bench.stage.end(floor)
    return [[what, *line] for line in figures_of({bench.middle: figures})]
