#!/usr/bin/env python3
"""Judge certificate lists with NSS's vfychain; any instant, no network, no host check.

nss_verify.py classic|pkix DIR < cases.tsv
DIR keeps one database for each store: authorities get trust "C,,", other certificates "P,,".
"""
import hashlib
import os
import re
import subprocess
import sys
import time

import cases

mode, directory = sys.argv[1:3]
os.makedirs(directory, exist_ok=True)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def file_of(pem):
    path = os.path.join(directory, digest(pem) + ".pem")
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write(pem)
    return path


def database_of(store):
    anchors = cases.pems(store)
    path = os.path.join(directory, "db-" + digest("".join(anchors)))
    if not os.path.exists(os.path.join(path, "done")):
        os.makedirs(path, exist_ok=True)
        run("certutil", "-N", "-d", "sql:" + path, "--empty-password").check_returncode()
        for number, pem in enumerate(anchors):
            file = file_of(pem)
            authority = "CA:TRUE" in run("openssl", "x509", "-in", file, "-noout", "-ext", "basicConstraints").stdout
            run("certutil", "-A", "-d", "sql:" + path, "-n", "anchor %d" % number, "-t", "C,," if authority else "P,,",
                "-a", "-i", file).check_returncode()
        open(os.path.join(path, "done"), "w").close()
    return "sql:" + path


for case in cases.read():
    command = ["vfychain", "-d", database_of(case.store), "-u", "1", "-v"] + (["-pp"] if mode == "pkix" else [])
    if case.epoch:
        command += ["-b", time.strftime("%y%m%d%H%M%SZ", time.gmtime(case.epoch))]
    # A certificate named twice is an error of its own.
    sent = list(dict.fromkeys(file_of(pem) for pem in cases.pems(case.chain)))
    told = run(*command, "-a", *sent)
    told = told.stdout + told.stderr
    errors = re.findall(r"ERROR (-?\d+): (.*)", told)
    code, text = (int(errors[0][0]), errors[0][1]) if errors else (-1, told[:200])
    cases.write(case, "NSS", "Chain is good!" in told, code, text)
