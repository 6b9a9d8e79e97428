#!/usr/bin/env python3
"""Judge live servers on 127.0.0.1 with gRPC's Python package (BoringSSL).

The servers agree to speak HTTP/2 (ALPN) and then don't: a call that fails because of that has got past the certificate and past
gRPC's own look at the host. There are no codes, only words.
"""
import os
import re

os.environ["GRPC_VERBOSITY"] = "NONE"
import grpc  # noqa: E402

import cases  # noqa: E402

version = "grpcio " + grpc.__version__


def call(case):
    """What gRPC says when a method is called."""
    with open(case.store, "rb") as store:
        credentials = grpc.ssl_channel_credentials(root_certificates=store.read())
    options = (("grpc.ssl_target_name_override", case.host), ("grpc.enable_http_proxy", 0))
    with grpc.secure_channel("127.0.0.1:%d" % case.port, credentials, options) as channel:
        try:
            channel.unary_unary("/any/Method")(b"", timeout=6)
        except grpc.RpcError as e:
            return e.details() or str(e.code())
    return "answered"


for case in cases.read():
    said = call(case)
    reason = re.search(r"CERTIFICATE_VERIFY_FAILED[^:]*(?:: [^:]*)?|Hostname Verification Check failed\.", said)
    passed = not reason and re.search(r"answered|Socket closed|HTTP/?2|connection attempt timed out before receiving SETTINGS", said)
    cases.write(case, version, bool(passed), "", reason.group().strip() if reason else said[-200:])
