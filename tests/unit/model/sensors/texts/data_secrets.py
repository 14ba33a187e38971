"""Texts for sets of secrets: what must fire, and what must not. All secrets are made here, of no service."""

from __future__ import annotations

import base64
import hashlib
import string


def made(
    size: int, alphabet: str = string.ascii_letters + string.digits, seed: str = ""
) -> str:
    """Return so many characters, always the same, of no secret; never written out, so that no scanner finds them here."""
    found = ""
    while len(found) < size:
        digest = hashlib.sha512(f"{seed}{size}{len(found)}".encode()).digest()
        found += "".join(alphabet[one % len(alphabet)] for one in digest)
    return found[:size]


DIGITS, HEX, UPPER = string.digits, "0123456789abcdef", string.ascii_uppercase
BASE64 = string.ascii_letters + string.digits + "+/"
KEY = made(64, BASE64)
RSA, PLAIN = "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----"
KEYS_FIRE = tuple(
    ("body", text)
    for text in (
        f"{RSA}\n{KEY}\n",
        f"{RSA}\r\n{KEY}\r\n",
        f"{PLAIN}\n{KEY}\n-----END PRIVATE KEY-----\n",
        f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{KEY}\n",
        f"-----BEGIN EC PRIVATE KEY-----\n{KEY}\n",
        f"-----BEGIN DSA PRIVATE KEY-----\n{KEY}\n",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\n",
        f'{{"key": "{PLAIN}\\n{KEY}\\n"}}',
        f'{{"key": "{RSA}\\r\\n{KEY}"}}',
        f"{RSA}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{made(32, HEX)}\n\n{KEY}\n",
        f"  tls.key: |\n    {PLAIN}\n    {KEY}\n",
        f"cert and key: -----BEGIN CERTIFICATE-----\n{KEY}\n-----END CERTIFICATE-----\n{PLAIN}\n{KEY}",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{KEY}\n",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{KEY}\n",
        "PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: none\r\nComment: a\r\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc\n",
        f'{{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"{made(43)}"}}',
        f'{{"d":"{made(43)}","x":"a","kty":"OKP","crv":"Ed25519"}}',
        f"[Interface]\nPrivateKey = {made(42, BASE64)}A=\nAddress = 10.0.0.2/32\n",
        f"# public key: age1x\nAGE-SECRET-KEY-1{made(58, '023456789ACDEFGHJKLMNPQRSTUVWXYZ')}\n",
    )
)
KEYS_SILENT = tuple(
    ("body", text)
    for text in (
        f"-----BEGIN PUBLIC KEY-----\n{KEY}\n",
        f"-----BEGIN RSA PUBLIC KEY-----\n{KEY}\n",
        f"-----BEGIN CERTIFICATE-----\n{KEY}\n",
        f"-----BEGIN CERTIFICATE REQUEST-----\n{KEY}\n",
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{KEY}\n",
        "A file that begins with -----BEGIN RSA PRIVATE KEY----- is in the old form.",
        f"{RSA}\n...\n-----END RSA PRIVATE KEY-----\n",
        f"{PLAIN}\n<your key here>\n",
        'if "-----BEGIN PRIVATE KEY-----" in text:\n    raise ValueError\n',
        "grep -r 'BEGIN.*PRIVATE KEY' /etc",
        f"ssh-rsa {KEY} user@host",
        f"ssh-ed25519 {made(68, BASE64)} user@host",
        f'{{"kty":"EC","crv":"P-256","x":"{made(43)}","y":"{made(43)}"}}',
        f'{{"keys":[{{"kty":"RSA","n":"{made(86)}","e":"AQAB"}}]}}',
        f"[Peer]\nPublicKey = {made(42, BASE64)}A=\n",
        "PrivateKey = (hidden)\n",
        "age1" + made(58, "023456789acdefghjklmnpqrstuvwxyz"),
        "PuTTY-User-Key-File-3 is the newer form of two",
        base64.b64encode(b"-----BEGIN nothing of a key-----").decode(),
        "The private key is kept in a module, and never leaves it.",
    )
)
CLOUD_FIRE = (
    *(
        ("body", text)
        for text in (
            f"aws_secret_access_key = {made(40, BASE64)}\n",
            f"AWS_SECRET_ACCESS_KEY={made(40, BASE64)}\n",
            f'{{"SecretAccessKey": "{made(40, BASE64)}"}}',
            f"export AWS_SECRET_ACCESS_KEY='{made(40, BASE64)}'",
            f"aws_access_key_id = AKIA{made(16, UPPER)}\n",
            f'"AccessKeyId" : "ASIA{made(16, UPPER)}"',
            f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={made(86, BASE64)}==;",
            f"client_secret: {made(3)}8Q~{made(34)}\n",
            f'{{"type":"service_account","private_key_id":"{made(40, HEX)}"}}',
            f"vault token hvs.{made(95)}",
            f"key=AIza{made(35)}&",
            f"https://user:ghp_{made(36)}@github.com/a/b",
            f"github_pat_{made(22)}_{made(59)}",
            f"GITLAB_TOKEN=glpat-{made(20)}\n",
            f"xoxb-{made(12, DIGITS)}-{made(12, DIGITS)}-{made(24)}",
            f'stripe.api_key = "sk_live_{made(24)}"',
            f"dop_v1_{made(64, HEX)}",
            f"//registry.npmjs.org/:_authToken=npm_{made(36)}",
        )
    ),
    ("url", f"/clone?token=ghs_{made(36)}"),
    ("url", f"/maps?key=AIza{made(35)}&q=x"),
)
CLOUD_SILENT = (
    *(
        ("body", text)
        for text in (
            "aws_secret_access_key = <your secret>\n",
            "set AWS_SECRET_ACCESS_KEY in the environment",
            f"aws_secret_access_key = {made(60, BASE64)}\n",
            "AKIAIOSFODNN7EXAMPL is one short",
            f"AKIA{made(16, UPPER).lower()}",
            f"XAKIA{made(16, UPPER)}",
            "AccountKey=(hidden)==",
            f"sha256:{made(64, HEX)}",
            f"etag {made(40, HEX)}",
            f"ghp_{made(12)} is too short",
            "ghp_ is how GitHub's tokens begin",
            f"sk_test_{made(24)}",
            f"pk_live_{made(24)}",
            "glpat-xxx",
            "xoxb-your-token",
            f"Alza{made(35)}",
            f"npm_config_{made(25)}",
            "https://hooks.example.org/services/T0/B0/x",
        )
    ),
    (
        "url",
        f"/b/k?X-Amz-Credential=AKIA{made(16, UPPER)}/20260101/us-east-1/s3/aws4_request",
    ),
    ("url", f"/avatars/{made(64, HEX)}.png"),
)
TEXTS = {
    "private_keys": (KEYS_FIRE, KEYS_SILENT),
    "cloud_credentials": (CLOUD_FIRE, CLOUD_SILENT),
}
