"""upload.py FILE TICKET POST: attaches a file to a post of a ticket, in Kayako Classic's words. Needs nothing but Python 3.8."""
import base64, hmac, os, pathlib, secrets, sys
import xml.etree.ElementTree as ElementTree
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

file, ticket, post = pathlib.Path(sys.argv[1]), *sys.argv[2:]
url = os.environ.get("DROPSLIP_SERVER", "http://127.0.0.1:8080") + "/api/index.php?e=/Tickets/TicketAttachment"
salt = secrets.token_hex(16)
signature = hmac.digest(os.environ["CLASSIC_SECRET"].encode(), salt.encode(), "sha256")
fields = {
    "apikey": os.environ["CLASSIC_KEY"],
    "salt": salt,
    "signature": base64.b64encode(signature),
    "ticketid": ticket,
    "ticketpostid": post,
    "filename": file.name,
    "contents": base64.b64encode(file.read_bytes()),
}
try:
    with urlopen(url, urlencode(fields).encode()) as answer:
        attachment = ElementTree.parse(answer).find("attachment")
except HTTPError as error:
    sys.exit(f"{error.code} {error.reason}\n{error.read().decode()}")
print(*(attachment.findtext(name) for name in ("id", "filename", "filesize")))
