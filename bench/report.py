"""What a run comes to: tables, verdicts, and their place in BENCHMARKS.md."""

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def table(columns, lines):
    """A Markdown table; columns of numbers are aligned to the right."""
    def numeric(index):
        cells = [str(line[index]) for line in lines if str(line[index])]
        return cells and all(cell[0].isdigit() for cell in cells)

    rules = ["---:" if numeric(index) else "---" for index in range(len(columns))]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [columns, rules, *lines])


def targets(figures):
    """Section 5 of the plan: each target that the run has figures for, and by how much it is met or missed."""
    lines = []

    def most(what, limit, value, unit=""):
        verdict = f"met, {value / limit:.0%} of it" if value <= limit else f"missed: {value / limit:.1f} times that"
        lines.append([what, f"at most {limit:.3g}{unit}", f"{value:.3g}{unit}", verdict])

    def least(what, limit, value):
        verdict = f"met, {value / limit:.0%} of it" if value >= limit else f"missed: {value / limit:.0%} of it"
        lines.append([what, f"at least {limit:.2f}", f"{value:.3f}", verdict])

    slips = figures.get("slips", {})
    for engine, shares, cpu in (("SQLite", {64: 0.30, 256: 0.40}, 3), ("Postgres", {64: 0.15, 256: 0.20}, 5)):
        for connections, share in shares.items():
            if connections in slips:
                by_name = slips[connections]
                least(f"`ref.json` durable on {engine}, {connections} connections, of the floor's requests/s", share, by_name[engine]["rate"] / by_name["floor"]["rate"])
        for connections in (64, 256):
            if connections in slips:
                by_name = slips[connections]
                most(f"CPU of one on {engine}, {connections} connections, by the floor's", cpu, by_name[engine]["cpu"] / by_name["floor"]["cpu"])
        if 16 in slips:
            fsync = figures["fsync_us"][0]
            limit = (4 * slips[16]["floor"]["p99"] + fsync) / 1000
            most(f"p99 on {engine}, 16 connections: 4 × the floor's {slips[16]['floor']['p99'] / 1000:.2f} ms + one fsync {fsync / 1000:.2f} ms (median)", limit,
                 slips[16][engine]["p99"] / 1000, " ms")
        if 256 in slips:
            most(f"peak memory at 256 connections, {engine}", 150, slips[256][engine]["peak_mb"], " MB")
        if engine in figures.get("idle_mb", {}):
            most(f"idle memory, {engine}", 40, figures["idle_mb"][engine], " MB")
        if engine in figures.get("confirm_ms", {}):
            most(f"`PATCH` on {engine} beyond its S3 requests, one at a time (median)", 1, figures["confirm_ms"][engine], " ms")
        if engine in figures.get("cold_start_ms", {}):
            most(f"cold start to the first 201, {engine}, a bucket (median)", 150, figures["cold_start_ms"][engine], " ms")
    if "presign_us" in figures:
        most("one POST policy signed, key at hand", 3, figures["presign_us"], " µs")
    if "receive_peak_mb" in figures:
        most("peak memory at 16 uploads through the broker at once", 400, figures["receive_peak_mb"], " MB")
        least("one upload through the broker, of the speed of curl to the store", 0.8, figures["receive_ratio"])
        most("p99 of `ref.json` beside 16 uploads, by that alone", 2, figures["receive_p99_ratio"])
    if "signed_hammered_ratio" in figures:
        most("a form of 64 MiB with its signature last, by one with it first", 1.1, figures["signed_last_ratio"])
        most("p99 of a small form beside strangers who send bad ones, by that alone", 5, figures["signed_hammered_ratio"])
    for way, ratio in figures.get("upload_ratio", {}).items():
        most(f"`dropslip upload`, {way}, by the time of curl", 1.2, ratio)
    return table(["target", "limit", "this run", "verdict"], lines)


def placed(document, text):
    """The document with the generated part replaced, all else as it is."""
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise ValueError(f"there is not one place between {BEGIN} and {END}")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text.strip()}\n{END}{after}"
