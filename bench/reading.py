"""One file, and pages of the list."""
from confirming import active
from load import Load, in_turns
from report import table
from slips import COLUMNS, figures_of, request

FILES = 500
LIST = "/v2/files.json?pageSize=50&skipAggregation=true"


def get(path, token):
    return ("GET", path, f"Bearer {token}", None)


def cursor(page):
    return (page.get("meta", {}).get("page", {}) or {}).get("nextCursor")


def deep(broker):
    """The path of the last page, as a client comes there, and how many files stand before it."""
    path, before = LIST, 0
    while next_page := cursor(broker.ask("GET", path)[1]):
        path, before = f"{LIST}&cursor={next_page}", before + 50
    return path, before


def read(bench):
    stage = bench.stage
    brokers = {"SQLite": stage.sqlite("sqlite-read"), "Postgres": stage.on_postgres("postgres-read", stage.postgres)}
    for broker in brokers.values():
        Load(broker, [request(broker.token)]).run(bench.middle, bench.seconds, stage.scratch)
    paths = {name: [f"/v2/files/{id}.json" for id in ids] for name, ids in active(bench, brokers, FILES).items()}
    lines = contest(bench, "one file", brokers, paths)
    note = f"{FILES} active files, beside the `temp` ones that a load left; those asked for take turns."
    if brokers["SQLite"].ask("GET", LIST, expect=None)[0] == 200:
        far = {name: deep(broker) for name, broker in brokers.items()}
        lines += contest(bench, "page of 50", brokers, dict.fromkeys(brokers, [LIST]))
        lines += contest(bench, "last page", brokers, {name: [path] for name, (path, _) in far.items()})
        note += f" Pages are `GET {LIST}`; the last one comes by cursor and has {min(before for _, before in far.values())} files before it."
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
