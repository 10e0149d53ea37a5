"""Makes ordinary files as ordinary programs make them. A line in: the kind; a line out: its bytes in base64."""

import base64
import bz2
import gzip
import io
import json
import lzma
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import wave
import zipfile
from email.message import EmailMessage
from pathlib import Path

import openpyxl
from PIL import Image

SECONDS = 1


def wav() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(44100)
        sound.writeframes(b"\0\1\2\3" * (44100 * SECONDS // 2))
    return made.getvalue()


def aiff() -> bytes:
    samples = b"\0\1" * 44100
    # The rate is an 80-bit float: 44100 = 0xAC44 * 2^0.
    common = struct.pack(">hIhHQ", 1, 44100, 16, 0x3FFF + 15, 0xAC44 << 48)
    chunks = b"COMM" + struct.pack(">I", len(common)) + common + b"SSND" + struct.pack(">III", len(samples) + 8, 0, 0) + samples
    return b"FORM" + struct.pack(">I", len(chunks) + 4) + b"AIFF" + chunks


def piped(*command: str) -> bytes:
    return subprocess.run(command, input=wav(), capture_output=True, check=True).stdout


def tagged() -> bytes:
    return piped("lame", "--quiet", "--add-id3v2", "--tt", "Title", "-", "-")


def image(kind: str, **options) -> bytes:
    made = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("P" if kind == "GIF" else "RGB").save(made, kind, **options)
    return made.getvalue()


def workbook() -> bytes:
    book, made = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["BMI", "weight"])
    book.save(made)
    return made.getvalue()


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    return made.getvalue()


def database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with sqlite3.connect(path) as made:
            made.execute("CREATE TABLE a (b)")
        made.close()
        return path.read_bytes()


def message() -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Report", "a@example.com", "b@example.com"
    mail.set_content("Hello")
    mail.add_attachment(image("PNG"), maintype="image", subtype="png", filename="a.png")
    return bytes(mail)


MADE = {
    "wav": wav,
    "aiff": aiff,
    "flac": lambda: piped("flac", "--silent", "--stdout", "-"),
    "mp3": lambda: piped("lame", "--quiet", "-", "-"),
    "mp3 at 22 kHz": lambda: piped("lame", "--quiet", "--resample", "22.05", "-t", "-", "-"),
    "mp3 at 8 kHz": lambda: piped("lame", "--quiet", "--resample", "8", "-t", "-", "-"),
    "mp3 with checksums": lambda: piped("lame", "--quiet", "-p", "-t", "-", "-"),
    "mp3 with a tag": tagged,
    "png": lambda: image("PNG"),
    "jpeg": lambda: image("JPEG"),
    "gif": lambda: image("GIF"),
    "webp": lambda: image("WEBP"),
    "tiff": lambda: image("TIFF"),
    "bmp": lambda: image("BMP"),
    "ico": lambda: image("ICO", sizes=[(32, 32)]),
    "pdf": lambda: image("PDF"),
    "eps": lambda: image("EPS"),
    "xlsx": workbook,
    "zip": lambda: zipped("a.txt"),
    "kmz": lambda: zipped("doc.kml"),
    "cbz": lambda: zipped("001.png", "002.png"),
    "pages": lambda: zipped("Index/Document.iwa", "preview.jpg"),
    "vsdx": lambda: zipped("[Content_Types].xml", "_rels/.rels", "visio/document.xml"),
    "tar": tarred,
    "gz": lambda: gzip.compress(b"x"),
    "bz2": lambda: bz2.compress(b"x"),
    "xz": lambda: lzma.compress(b"x"),
    "sqlite": database,
    "eml": message,
}

for line in sys.stdin:
    print(json.dumps(base64.b64encode(MADE[json.loads(line)]()).decode()), flush=True)
