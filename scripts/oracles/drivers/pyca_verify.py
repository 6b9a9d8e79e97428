#!/usr/bin/env python3
"""Judge certificate lists with cryptography.x509.verification; any instant, no network."""
import datetime

import cases
import cryptography
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

VERSION = "cryptography " + cryptography.__version__


def load(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificates(f.read())


for case in cases.read():
    try:
        sent, policy = load(case.chain), PolicyBuilder().store(Store(load(case.store)))
        if case.epoch:
            policy = policy.time(datetime.datetime.fromtimestamp(case.epoch, datetime.timezone.utc).replace(tzinfo=None))
        policy.build_server_verifier(x509.DNSName(case.host)).verify(sent[0], sent[1:])
    except Exception as e:  # whatever the library raises is its answer
        cases.write(case, VERSION, False, type(e).__name__, str(e))
    else:
        cases.write(case, VERSION, True)
