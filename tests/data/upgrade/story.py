"""What happened in the installation that tests upgrade: something of everything, so that no table is empty. Add to it what a later version can do."""
import base64, hashlib, json, signal, struct, urllib.parse, zlib

MIB = 1 << 20

# Names as people have them: composed and decomposed accents, emoji, other scripts, letters whose case is not only another letter.
NAMES = [
    "R\u00e9sum\u00e9.txt", "Re\u0301sume\u0301.txt", "\U0001f9fe Rechnung \U0001f4ce.txt", "\U0001f469\u200d\U0001f467 Familie.txt",
    "\u0130stanbul.txt", "STRASSE Stra\u00dfe.txt", "\u0391\u03a3\u03a3\u039f\u03a3.txt", "\u6771\u4eac.txt", "\ud55c\uae00.txt",
    "\u1112\u1161\u11ab.txt", "\u0639\u0642\u062f.txt", "100% _done_.txt", "a'b\"c.txt", "\u00e9" * 124 + ".txt",
]


def png(width, height):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * y % 256 for x in range(width))) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def lines(size):
    """So many bytes of text that pack well; the bytes of every upload in parts."""
    return (b"one line of a long text that says nothing\n" * (size // 42 + 1))[:size]


class Story:
    def __init__(self, world):
        self.world = world
        # Whoever sees all files of a tenant, for the records.
        self.readers = {tenant: world.token(f"all of {tenant}", "--user", "1", "--tenant", tenant) for tenant in ("default", "acme")}

    def slip(self, token, name, type="attachment", mime="text/plain", key=None, **more):
        wish = {"type": type, "filename": name, "mimeType": mime, **more}
        headers = {"Idempotency_Key": key} if key else {}
        slip = self.world.ask(201, "POST", "/v2/files/ref.json", token, wish, **headers)
        if key:
            self.world.facts["idempotencyKeys"].append({"token": token, "key": key, "request": wish, "file": slip["file"]["id"]})
        return slip

    def arrived(self, token, name, data, **more):
        slip = self.slip(token, name, **more)
        self.world.drop(slip["url"], slip["params"], data)
        return slip["file"]["id"]

    def remember(self, id, tenant, is_, data=None, **more):
        """What must be true of a file after the upgrade; its record is read at the end."""
        said = {} if data is None else {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.world.facts["files"].append({"id": id, "tenant": tenant, "is": is_, **said, **more})
        return id

    def active(self, token, name, data, tenant="default", is_="active", **more):
        id = self.arrived(token, name, data, **more)
        self.world.ask(200, "PATCH", f"/v2/files/{id}.json", token)
        return self.remember(id, tenant, is_, data)

    def parts(self, token, name, size, tenant="default", **more):
        slip = self.slip(token, name, size=size, multipart=True, **more)
        assert slip["method"] == "MULTIPART", slip
        return slip["file"]["id"]

    def send_part(self, token, id, number, data):
        signed = self.world.ask(200, "POST", f"/v2/files/{id}/parts.json", token, {"partNumbers": [number]})["parts"][0]
        self.world.part(id, signed["url"], number, data, **signed["headers"])

    def by_uppy(self, path, name, data, tenant):
        world = self.world
        query = urllib.parse.urlencode({"filename": name, "type": "text/plain"})
        form = world.ask(200, "GET", f"{path}/s3/params?{query}")
        world.drop(form["url"], form["fields"], data)
        done = world.ask(200, "POST", f"{path}/s3/confirm?{urllib.parse.urlencode({'key': form['fields']['key']})}")
        return self.remember(done["id"], tenant, "active", data)

    def records(self):
        for file in self.world.facts["files"]:
            said = self.world.ask(200, "GET", f"/v2/files/{file['id']}.json", self.readers[file["tenant"]])["file"]
            # It names this broker's address, which the next one has not.
            file["link"] = said.pop("downloadURL")
            file["record"] = said


def tell(world):
    story, endpoint = Story(world), world.receiver.endpoint
    told, failing, closed = endpoint("told"), endpoint("failing", 'tenants = ["acme"]'), endpoint("closed", 'tenants = ["acme"]')
    user, acme = story.readers["default"], story.readers["acme"]
    world.token("reader", "--user", "2", "--scopes", "files:read")
    artist = world.token("pictures only", "--user", "3", "--scopes", "files:read,files:write", "--file-types", "image")
    customer = world.token("customer", "--user", "7", "--type", "customers")
    other_customer = world.token("customer of acme", "--user", "7", "--type", "customers", "--tenant", "acme")
    world.token("ends in a day", "--user", "4", "--expires-in", "1d", state="ends")
    world.token("revoked", "--user", "5", state="revoked")
    world.token("revoked customer", "--user", "8", "--type", "customers", "--tenant", "acme", state="revoked")

    # ---- events that were given up, and an endpoint that is gone ----
    world.start([told, failing, closed], "1s")
    hello = b"Hello, dropslip!\n"
    checksum = base64.b64encode(hashlib.sha256(hello).digest()).decode()
    first = story.active(user, "note.txt", hello, size=len(hello), checksumSHA256=checksum)
    at_acme = story.active(acme, "acme.txt", b"Of another tenant.\n", tenant="acme", key="once")
    world.wait_for_events("told", "delivered", 2)
    world.wait_for_events("failing", "dead")
    world.wait_for_events("closed", "dead")
    world.stop()

    # ---- files of all kinds; events that wait for their next attempt ----
    world.start([told, failing, closed], "10m", DROPSLIP_SWEEP_INTERVAL="1s")  # nothing is due yet, but what sweeps ask is noted
    named = [story.active(user, name, f"The bytes of {number}.\n".encode()) for number, name in enumerate(NAMES)]
    story.active(artist, "Bild \u00fc.png", png(17, 9), type="image", mime="image/png", disposition="attachment-inline")
    story.active(user, "photo.jpg", png(3, 3), mime="image/jpeg")
    story.active(user, "page.html", b"<!doctype html><script>alert(1)</script>", mime="text/html")
    story.active(user, "build.zip", b"PK\x05\x06" + bytes(18), type="artifact", mime="application/zip")
    of_customer = story.active(customer, "brief.txt", b"From a customer.\n")
    story.active(other_customer, "brief.txt", b"From a customer of acme.\n", tenant="acme")
    in_parts = story.parts(user, "film.txt", 5 * MIB + 7)
    for number, data in enumerate((lines(5 * MIB), lines(7)), 1):
        story.send_part(user, in_parts, number, data)
    world.ask(200, "PATCH", f"/v2/files/{in_parts}.json", user)
    story.remember(in_parts, "default", "active", lines(5 * MIB) + lines(7))
    renamed = story.active(user, "before.txt", b"Renamed.\n")
    world.ask(200, "PATCH", f"/v2/files/{renamed}.json", user, {"filename": "Nachher \u00e4.txt"})
    restored = story.active(user, "restored.txt", b"Deleted and restored.\n")
    world.ask(204, "DELETE", f"/v2/files/{restored}.json", user)
    world.ask(200, "POST", f"/v2/files/{restored}/restore.json", user)
    names = ((user, "default", "ge\u0301lo\u0308scht.txt"), (acme, "acme", "deleted \U0001f5d1.txt"), (customer, "default", "of a customer.txt"))
    for token, tenant, name in names:
        deleted = story.active(token, name, f"Deleted: {tenant}\n".encode(), tenant=tenant, is_="deleted")
        world.ask(204, "DELETE", f"/v2/files/{deleted}.json", token)

    # ---- what hangs on files ----
    on_ticket = [first, named[0], named[1], of_customer]
    tickets = ((user, "default", 5, on_ticket), (acme, "acme", 5, [at_acme]), (user, "default", 6, [first, renamed]))
    for token, tenant, ticket, files in tickets:
        world.ask(200, "PUT", f"/v2/tickets/{ticket}/files.json", token, {"ids": files})
        world.facts["tickets"].append({"tenant": tenant, "ticket": ticket, "files": files})
    world.ask(204, "DELETE", f"/v2/tickets/6/files/{renamed}.json", user)
    world.facts["tickets"][-1]["files"] = [first]

    # ---- Uppy ----
    by_token = world.upload_token("all of default", user, ["attachment"])
    by_jwt = world.upload_token("jwt", world.jwt(9, "acme"), ["artifact", "attachment"])
    world.upload_token("pictures only", artist, ["image"])
    story.by_uppy(by_token, "uppy.txt", b"By Uppy.\n", "default")
    open_upload = world.ask(200, "POST", f"{by_token}/s3/multipart", None, {"filename": "uppy-parts.txt", "type": "text/plain"})
    id, key = open_upload["uploadId"], urllib.parse.urlencode({"key": open_upload["key"]})
    part = world.ask(200, "GET", f"{by_token}/s3/multipart/{id}/1?{key}")
    world.part(int(id), part["url"], 1, lines(1000))
    story.remember(int(id), "default", "in parts of Uppy", lines(1000), key=open_upload["key"])
    with_type = {"filename": "jwt.txt", "type": "text/plain", "metadata[fileType]": "attachment"}
    form = world.ask(200, "GET", f"{by_jwt}/s3/params?{urllib.parse.urlencode(with_type)}")
    world.drop(form["url"], form["fields"], b"By a JWT.\n")
    done = world.ask(200, "POST", f"{by_jwt}/s3/confirm?{urllib.parse.urlencode({'key': form['fields']['key']})}")
    story.remember(done["id"], "acme", "active", b"By a JWT.\n")

    # ---- slips ----
    story.remember(story.slip(user, "waiting \u00e9.txt")["file"]["id"], "default", "waiting")
    story.remember(story.slip(other_customer, "waiting.txt", type="artifact")["file"]["id"], "acme", "waiting")
    story.remember(story.slip(user, "once.txt", key="once")["file"]["id"], "default", "waiting")
    reissued = story.slip(user, "again.txt")["file"]["id"]
    world.ask(201, "POST", f"/v2/files/{reissued}/ref.json", user)
    story.remember(reissued, "default", "waiting")
    names = ((user, "default", "arrived \U0001f4e6.txt"), (customer, "default", "arrived.txt"), (acme, "acme", "arrive\u0301.txt"))
    for token, tenant, name in names:
        story.remember(story.arrived(token, name, b"Arrived: " + tenant.encode()), tenant, "arrived", b"Arrived: " + tenant.encode())
    refused = story.arrived(artist, "no picture.png", b"no picture at all", type="image", mime="image/png")
    world.ask(422, "PATCH", f"/v2/files/{refused}.json", artist)
    story.remember(refused, "default", "waiting")
    half = story.parts(user, "half a film.txt", 5 * MIB + 100)
    story.send_part(user, half, 1, lines(5 * MIB))
    story.remember(half, "default", "in parts", lines(5 * MIB) + lines(100))
    story.remember(story.parts(user, "no part yet.txt", 100), "default", "in parts", lines(100))
    given_up = story.parts(user, "given up.txt", 6 * MIB)
    story.send_part(user, given_up, 2, lines(MIB))
    world.ask(204, "DELETE", f"/v2/files/{given_up}/parts.json", user)
    world.facts["parts"] = [part for part in world.facts["parts"] if part["file"] not in (given_up, in_parts)]
    world.wait_for_events("failing", "pending")
    world.stop()

    # ---- a broker that is killed while it sends ----
    world.start([told, endpoint("hanging", 'types = ["file.activated"]')], "10m")
    story.active(user, "killed.txt", b"Its event is under way.\n")
    assert world.receiver.hanging.wait(30)
    story.records()
    world.stop(signal.SIGKILL)
    world.facts["events"] = world.events()
    world.facts["audit"] = [json.loads(line) for line in world.run("audit-log", "--json", "--limit", "10000").splitlines()]
    assert " 0 lost, 0 forged, 0 orphaned" in world.run("audit")
