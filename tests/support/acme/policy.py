#!/usr/bin/env python3
"""Stands before pebble and refuses what Let's Encrypt refuses and pebble takes, with the words of Let's Encrypt's server (Boulder).

policy.py LISTEN PEBBLE DNS CERTIFICATE KEY [--ari]     addresses are HOST:PORT; DNS is asked over UDP

Everything else passes unchanged, the Host header too, so that pebble's URLs and the signed `url` fit. What is refused, and where
Boulder says so:

* an identifier whose CAA records name other CAs                                va/caa.go
* an order of an account that has been paused for the name                     wfe2/wfe.go
* an order after five failed validations of a name within an hour               ratelimits/limiter.go, wfe2/wfe.go
* an order for a profile that the directory does not list                       wfe2/wfe.go (validateCertificateProfileName)
* a second order that replaces one certificate                                  wfe2/wfe.go (validateReplacementOrder)
* a request with must-staple, or with a key on P-521                            ra/ra.go (FinalizeOrder), goodkey/good_key.go

The time is this host's and what stands in the file LATER (seconds, in the working directory) more.
With --ari the directory has `renewalInfo` (RFC 9773), whose window is always open.
While there is a file PAUSED, the account is paused for all names; the address where that is lifted is in the file. (Let's Encrypt does
so after more failures in a row than a test can make.)
While there is a file REPLACED, an order for names that have a certificate is taken for a second one that replaces it.
"""

import base64
import datetime
import http.client
import http.server
import json
import pathlib
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

CA = "letsencrypt.org"
PROFILES = {"classic": "the usual one", "tlsserver": "the smaller one"}
ERROR = "urn:ietf:params:acme:error:"
FAILURES, REFILL = 5, 12 * 60
MUST_STAPLE = bytes.fromhex("06082b06010505070118")
P_521 = bytes.fromhex("06052b81040023")

lock = threading.Lock()
# For each name at each server (Let's Encrypt has one for dry runs) the time at which its bucket of failures is full again.
full_at: dict[tuple[str, str], float] = {}
failed: set[str] = set()
# The paths of authorizations that are no longer pending.
used: set[str] = set()
replaced: set[str] = set()
# The names of the order that a certificate's path is of, and the serial number of the newest certificate for names.
ordered: dict[str, str] = {}
serials: dict[str, str] = {}


def now():
    later = pathlib.Path("LATER")
    return time.time() + (float(later.read_text()) if later.exists() else 0)


def problem(status, kind, detail, after=None):
    return status, {"type": ERROR + kind, "detail": detail, "status": status}, after


def names_of(document):
    return " ".join(sorted(identifier["value"] for identifier in document["identifiers"]))


def serial(pem):
    """The serial number of the first certificate: the INTEGER after the version (RFC 5280, section 4.1)."""
    der = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----") + 25])
    at = der.index(bytes.fromhex("a003020102")) + 5
    return der[at + 2 : at + 2 + der[at + 1]].hex()


def caa(name):
    """The `issue` values of a name (RFC 8659), of the name alone: the tests have no records above it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(struct.pack("!6H", 1, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 257, 1), address(DNS))
        answer = sock.recv(4096)
    count, at = struct.unpack("!H", answer[6:8])[0], 12 + len(labels) + 5
    values = []
    for _ in range(count):
        # The owner's name: labels, or a pointer, which ends it.
        while answer[at] and answer[at] < 0xC0:
            at += 1 + answer[at]
        at += 2 if answer[at] else 1
        kind, _, _, length = struct.unpack("!2HIH", answer[at : at + 10])
        data, at = answer[at + 10 : at + 10 + length], at + 10 + length
        if kind == 257 and data[2 : 2 + data[1]] == b"issue":
            values.append(data[2 + data[1] :].decode())
    return values


def order(asked, server):
    """What is refused of a new order."""
    print("order", json.dumps(asked), flush=True)
    paused = pathlib.Path("PAUSED")
    if paused.exists():
        words = f"Your account is temporarily prevented from requesting certificates for {names_of(asked)} and possibly others."
        return problem(429, "rateLimited", f"{words} Please visit: {paused.read_text()}")
    replaces = asked.get("replaces")
    second = serials.get(names_of(asked)) if pathlib.Path("REPLACED").exists() else None
    if replaces in replaced:
        second = base64.urlsafe_b64decode(replaces.split(".")[1] + "==").hex()
    if second:
        words = f'cannot indicate an order replaces certificate with serial "{second}", which already has a replacement order'
        return problem(409, "alreadyReplaced", "Could not validate ARI 'replaces' field :: " + words)
    if replaces:
        replaced.add(replaces)
    profile = asked.get("profile")
    if profile and profile not in PROFILES:
        return problem(400, "invalidProfile", f'profile name "{profile}" not recognized')
    for name in (identifier["value"] for identifier in asked["identifiers"]):
        again = full_at.get((server, name), 0) + REFILL - FAILURES * REFILL
        if again > now():
            date = datetime.datetime.fromtimestamp(int(again) + 1, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
            detail = f'too many failed authorizations ({FAILURES}) for "{name}" in the last 1h0m0s, retry after {date}'
            link = ": see https://letsencrypt.org/docs/rate-limits/#authorization-failures-per-hostname-per-account"
            return problem(429, "rateLimited", detail + link, int(again - now()) + 1)
    return None


def request(asked):
    """What is refused of a certificate request."""
    csr = base64.urlsafe_b64decode(asked["csr"] + "==")
    if MUST_STAPLE in csr:
        words = "OCSP must-staple extension is no longer available: see https://letsencrypt.org/2024/12/05/ending-ocsp"
        return problem(403, "unauthorized", "Error finalizing order :: " + words)
    if P_521 in csr:
        return problem(400, "badCSR", "Error finalizing order :: invalid public key in CSR: ECDSA curve P-521 not allowed")
    return None


def authorization(authz, url, server):
    """Adds the look at CAA to a validation that was good; counts one that was not."""
    name = authz["identifier"]["value"]
    if authz["status"] != "pending":
        used.add(url)
    if authz["status"] == "valid":
        issuers = caa(name)
        if issuers and CA not in issuers:
            authz["status"] = "invalid"
            for challenge in authz["challenges"]:
                if challenge["status"] == "valid":
                    challenge["status"] = "invalid"
                    challenge["error"] = problem(403, "caa", f"CAA record for {name} prevents issuance")[1]
    if authz["status"] == "invalid" and url not in failed:
        failed.add(url)
        full_at[server, name] = max(now(), full_at.get((server, name), 0)) + REFILL


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pebble(self, method, path, body=None):
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding", "content-length")}
        connection = http.client.HTTPSConnection(PEBBLE, context=ssl._create_unverified_context(), timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, document, after):
        response, _ = self.pebble("HEAD", "/nonce-plz")
        headers = [("Content-Type", "application/problem+json"), ("Replay-Nonce", response.headers["Replay-Nonce"])]
        date = datetime.datetime.fromtimestamp(now(), datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers += [("Date", date)] + ([("Retry-After", str(after))] if after else [])
        self.answer(status, headers, json.dumps(document, indent=2).encode())

    def handle_request(self):
        path = urllib.parse.urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if ARI and path.startswith("/renewal-info/"):
            start, end = (datetime.datetime.fromtimestamp(now() + d, datetime.timezone.utc) for d in (-3600, -1800))
            window = {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
            document = json.dumps({"suggestedWindow": window}).encode()
            return self.answer(200, [("Content-Type", "application/json"), ("Retry-After", "21600")], document)
        payload = json.loads(body)["payload"] if body else ""
        asked = json.loads(base64.urlsafe_b64decode(payload + "==")) if payload else {}
        with lock:
            refused = order(asked, self.headers["Host"]) if path == "/order-plz" else request(asked) if "csr" in asked else None
        if refused:
            return self.refuse(*refused)
        response, answered = self.pebble(self.command, "/dir" if path == "/directory" else self.path, body or None)
        if "json" in response.headers.get("Content-Type", "") and self.command != "HEAD":
            document = json.loads(answered)
            if "challenges" in document and "identifier" in document:
                with lock:
                    authorization(document, path, self.headers["Host"])
                answered = json.dumps(document, indent=2).encode()
            elif path in ("/dir", "/directory"):
                document["meta"]["profiles"] = PROFILES
                if ARI:
                    document["renewalInfo"] = f"https://{self.headers['Host']}/renewal-info"
                answered = json.dumps(document, indent=2).encode()
            elif path == "/order-plz" and any(urllib.parse.urlsplit(url).path in used for url in document.get("authorizations") or []):
                # Pebble takes a valid one again in one order of a hundred, even when told not to: another order is asked for.
                return self.refuse(*problem(400, "badNonce", "a used authorization"))
            elif document.get("certificate") and "identifiers" in document:
                ordered[urllib.parse.urlsplit(document["certificate"]).path] = names_of(document)
        elif path in ordered:
            serials[ordered[path]] = serial(answered.decode())
        self.answer(response.status, response.headers.items(), answered)

    do_GET = do_HEAD = do_POST = handle_request


def address(text):
    host, port = re.fullmatch(r"(.*):(\d+)", text).groups()
    return host, int(port)


LISTEN, PEBBLE, DNS, CERTIFICATE, KEY = sys.argv[1:6]
ARI = "--ari" in sys.argv

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server = http.server.ThreadingHTTPServer(address(LISTEN), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(f"listening on {LISTEN}", flush=True)
server.serve_forever()
