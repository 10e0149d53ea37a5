#!/usr/bin/env python3
"""What it costs that the embedded store waits for the disk: uploads of 1 MiB by form, on two builds in turns.

    bench/durable.py BEFORE AFTER [ROUNDS]

BEFORE and AFTER are paths of `dropslip`. Data goes below the working folder: run it on the disk that you ask about.
"""
import concurrent.futures, http.client, os, pathlib, shutil, statistics, sys, tempfile, time
from urllib.parse import urlsplit

from servers import LIMITS, Server

UPLOADS, SIZE, BOUNDARY = 64, 1 << 20, "a-boundary-of-the-benchmark"


def started(name, program, scratch):
    folder = scratch / name
    settings = {"LISTEN": "127.0.0.1:0", "EMBEDDED_S3_LISTEN": "127.0.0.1:0", "DATA_DIR": str(folder), **LIMITS}
    environment = {"PATH": os.environ["PATH"]} | {f"DROPSLIP_{key}": value for key, value in settings.items()}
    server = Server(name, [program, "serve"], environment, folder)
    server.token = (folder / "development-token").read_text().strip()
    return server


def form(server):
    """Address and body of a form that is ready to be sent."""
    slip = server.slip(type="artifact", filename="a.zip", mimeType="application/zip", size=SIZE)[1]
    fields = [*slip["params"].items(), ("file", None)]
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
             + (f"\r\n\r\n{value}\r\n" if value is not None else '; filename="a.zip"\r\nContent-Type: application/zip\r\n\r\n') for name, value in fields]
    return slip["url"], "".join(parts).encode() + os.urandom(SIZE) + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(one):
    url, body = one
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    connection.request("POST", where.path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"{answer.status} {text[:300]!r}")


def rate(server, at_once):
    forms = [form(server) for _ in range(UPLOADS)]
    # What is still on its way to the disk is not this round's.
    os.sync()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        began = time.perf_counter()
        list(pool.map(send, forms))
        return UPLOADS / (time.perf_counter() - began)


def main(before, after, rounds=5):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-durable-", dir="."))
    servers = {name: started(name, pathlib.Path(program).resolve(), scratch.resolve()) for name, program in (("before", before), ("after", after))}
    try:
        print("| at once | before, uploads/s | after, uploads/s | after, of before |\n| ---: | ---: | ---: | ---: |")
        for at_once in (1, 8):
            rates = {name: [] for name in servers}
            for _ in range(int(rounds)):
                for name, server in servers.items():
                    rates[name].append(rate(server, at_once))
            old, new = (statistics.median(rates[name]) for name in ("before", "after"))
            ratio = statistics.median(n / o for o, n in zip(*rates.values()))
            print(f"| {at_once} | {old:.0f} | {new:.0f} | {ratio:.2f} |", flush=True)
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main(*sys.argv[1:])
