"""A client of Kayako Classic, as helpdesks that are written in Python have it: a slash behind every path, numbers that must be numbers, 404 is
None, and nothing but the standard library.

kayako_classic.py URL APIKEY SECRET: test, post, list, get, delete. Prints what it saw as JSON; ends with 1 when something is wrong.
"""

import base64
import hashlib
import hmac
import json
import random
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

NUMBERS = ("id", "ticketid", "ticketpostid", "filesize", "dateline")


class Client:
    def __init__(self, url, key, secret):
        self.url, self.key, self.secret = url, key, secret

    def _credentials(self):
        salt = str(random.getrandbits(32))
        digest = hmac.new(self.secret.encode(), salt.encode(), hashlib.sha256).digest()
        return {"apikey": self.key, "salt": salt, "signature": base64.b64encode(digest).decode()}

    def ask(self, method, path, fields=None):
        query = {"e": f"{path}/"}
        body = None
        if method in ("POST", "PUT"):
            body = urllib.parse.urlencode({**self._credentials(), **(fields or {})}).encode()
        else:
            query.update(self._credentials())
        url = f"{self.url}?{urllib.parse.urlencode(query)}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60) as response:
            assert response.status == 200, response.status
            return response.read()

    def attachments(self, method, path, fields=None):
        root = ElementTree.fromstring(self.ask(method, path, fields))
        return [self._object(one) for one in root.findall("attachment")]

    @staticmethod
    def _object(element):
        found = {child.tag: child.text for child in element}
        found.update({name: int(found[name]) for name in NUMBERS})
        return found

    def get(self, ticket, number):
        try:
            (one,) = self.attachments("GET", f"/Tickets/TicketAttachment/{ticket}/{number}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return one


def noise(length):
    return random.Random(length).randbytes(length)


def is_refused(code, call):
    try:
        call()
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        assert error.code == code and text, (error.code, text)
        return text
    raise AssertionError(f"not refused with {code}")


def main():
    url, key, secret = sys.argv[1:]
    client = Client(url, key, secret)
    for method in ("GET", "POST", "PUT", "DELETE"):
        said = ElementTree.fromstring(client.ask(method, "/Core/TestAPI"))
        assert said.text.strip(), said
    ticket, listed = 4712, "/Tickets/TicketAttachment/ListAll/4712"
    assert client.attachments("GET", listed) == []
    files = {"a & b <c>.txt": b"Hello", "na\u00efve \u20ac \U0001f4ce.bin": noise(70_001), "large.bin": noise(3_000_001)}
    made = []
    for name, content in files.items():
        fields = {"ticketid": ticket, "ticketpostid": 31, "filename": name, "contents": base64.b64encode(content).decode()}
        (one,) = client.attachments("POST", "/Tickets/TicketAttachment", fields)
        assert (one["filename"], one["filesize"], one["ticketid"], one["ticketpostid"]) == (name, len(content), ticket, 31), one
        assert "contents" not in one and one["filetype"], one
        made.append(one)
    assert client.attachments("GET", listed) == made
    of_post = client.attachments("GET", f"/Tickets/TicketPost/ListAll/{ticket}/31")
    assert [base64.b64decode(one["contents"]) for one in of_post] == list(files.values())
    for one in made:
        assert base64.b64decode(client.get(ticket, one["id"])["contents"]) == files[one["filename"]], one
        client.ask("DELETE", f"/Tickets/TicketAttachment//{ticket}/{one['id']}")
        assert client.get(ticket, one["id"]) is None
    assert client.attachments("GET", listed) == []
    for stranger in (Client(url, key, secret + "x"), Client(url, "unknown", secret)):
        is_refused(401, lambda: stranger.ask("GET", "/Core/TestAPI"))
        is_refused(401, lambda: stranger.get(ticket, made[0]["id"]))
    refused = is_refused(400, lambda: client.attachments("POST", "/Tickets/TicketAttachment", {"ticketid": ticket, "filename": "setup.exe"}))
    print(json.dumps({"ids": [one["id"] for one in made], "refused": refused}))


main()
