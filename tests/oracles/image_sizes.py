"""Makes images with Pillow, and says how large it decodes them: one question a line, one answer a line.

{"make": FORMAT, "size": [w, h], "orientation": n, "save": {...}, "frames": n} is answered by {"file": BASE64, "shown": [w, h]}: the size
that is left when the orientation was followed.
{"lie": BASE64, "times": n} changes bytes of the headers so often and answers with all that still loads: {"lies": [{"file", "sizes"}]},
with a size for every frame."""

import base64
import contextlib
import io
import json
import os
import random
import sys
import warnings

import pillow_heif
from PIL import Image, ImageFile, ImageOps

pillow_heif.register_heif_opener()
# A file that is cut off or whose checksums are wrong is decoded as far as it goes, as many a viewer does.
ImageFile.LOAD_TRUNCATED_IMAGES = True
# What is larger is not decoded here either: it would take all memory.
Image.MAX_IMAGE_PIXELS = 10_000_000
warnings.simplefilter("ignore")
warnings.simplefilter("error", Image.DecompressionBombWarning)

ORIENTATION = 274


def make(asked):
    size, frames = tuple(asked["size"]), asked.get("frames", 1)
    mode = asked.get("mode", "RGB")
    images = [Image.effect_noise(size, 50 + number).convert(mode) for number in range(frames)]
    save = dict(asked.get("save", {}))
    if frames > 1:
        save |= {"save_all": True, "append_images": images[1:]}
    if "profile" in asked:
        save["icc_profile"] = bytes(asked["profile"])
    if "orientation" in asked:
        if asked["make"] == "TIFF":
            save["tiffinfo"] = {ORIENTATION: asked["orientation"]}
        else:
            exif = Image.Exif()
            exif[ORIENTATION] = asked["orientation"]
            save["exif"] = exif.tobytes()
    if save.get("sizes"):
        save["sizes"] = [tuple(one) for one in save["sizes"]]
    out = io.BytesIO()
    images[0].save(out, format=asked["make"], **save)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        shown = ImageOps.exif_transpose(image).size
    return {"file": base64.b64encode(out.getvalue()).decode(), "shown": shown}


def decode(file):
    sizes = []
    try:
        with Image.open(io.BytesIO(file)) as image:
            for frame in range(16):
                image.seek(frame)
                image.load()
                sizes.append(image.size)
    except Exception:  # whatever a broken file leads to: what loaded before counts
        pass
    return sizes


@contextlib.contextmanager
def silence():
    """C libraries complain to the terminal about every broken file."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def lie(file, times):
    dice = random.Random(7)
    lies = []
    for _ in range(times):
        lied = bytearray(file)
        for _ in range(dice.randint(1, 3)):
            # Headers stand at the beginning or, in some formats, at the end; and what matters there are small numbers.
            place = dice.randrange(min(len(lied), 600))
            place = place if dice.random() < 0.8 else len(lied) - 1 - place
            lied[place] = dice.choice([0, 1, 2, 3, 5, 8, 16, 64, 100, 200, 255, dice.randrange(256)])
        if sizes := decode(bytes(lied)):
            lies.append({"file": base64.b64encode(lied).decode(), "sizes": sizes})
    return lies


for line in sys.stdin:
    asked = json.loads(line)
    if "make" in asked:
        answer = make(asked)
    else:
        with silence():
            answer = {"lies": lie(base64.b64decode(asked["lie"]), asked["times"])}
    print(json.dumps(answer), flush=True)
