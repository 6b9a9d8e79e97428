#!/usr/bin/env python3
"""Judge live servers on 127.0.0.1 with the Python package curl_cffi (curl on BoringSSL); the code is curl's."""
import curl_cffi

import cases

version = "curl_cffi %s %s" % (curl_cffi.__version__, curl_cffi.__curl_version__)
for case in cases.read():
    try:
        curl_cffi.get("https://%s:%d/" % (case.host, case.port), verify=case.store, timeout=10, proxies={"all": ""})
    except curl_cffi.exceptions.RequestException as e:
        cases.write(case, version, False, int(e.code), str(e).partition(" See https:")[0])
    else:
        cases.write(case, version, True)
