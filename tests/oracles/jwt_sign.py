"""Makes keys and signs tokens with PyJWT: one JSON question a line on stdin, one answer a line on stdout.

{"key": "RS256"}                                             -> {"private": PEM, "public": PEM, "jwk": {...}}
{"sign": claims, "by": PEM or secret, "alg": "RS256", "headers": {...}} -> {"token": text}
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms


def key(name):
    if name == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    elif name.startswith("ES"):
        private = ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[name]())
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    return {
        "private": private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "public": public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        "jwk": get_default_algorithms()[name].to_jwk(public, as_dict=True),
    }


for line in sys.stdin:
    question = json.loads(line)
    if "key" in question:
        answer = key(question["key"])
    else:
        answer = {"token": jwt.encode(question["sign"], question["by"], question["alg"], headers=question.get("headers"))}
    print(json.dumps(answer))
