#!/usr/bin/python
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs certdoctor on the host: parameters in, its result out. What it does is certdoctor's; nothing is decided here."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: trust_store
short_description: Take dead roots out of a host's trust stores, and prove it
version_added: 0.1.0
description:
  - Looks at every trust store of the host, takes out the anchors that break TLS (or those named), runs the distribution's own refresh,
    looks again, and rolls back when the outcome is not what was meant.
  - With I(targets) only what concerns them is changed, and they must verify afterwards by a fresh handshake.
  - The work is done by the C(certdoctor) program, which must be on the host; the role of this collection puts it there. On hosts without
    Python the program itself is a module, with the same parameters but I(binary).
author:
  - The certdoctor authors (@certdoctor)
options:
  action:
    description: What to do. Only C(fix) and C(renewal) change anything, and not in check mode.
    type: str
    choices: [fix, diagnose, renewal, scan, verify]
    default: fix
  allow:
    description: Codes or names of findings that are graded down to notes.
    type: list
    elements: str
    default: []
  anchors:
    description: Take out these anchors and no other, by name, file name or SHA-256.
    type: list
    elements: str
    default: []
  at:
    description: Judge as of this instant instead of now (RFC 3339, a date, or Unix seconds).
    type: str
  backup_dir:
    description: Where the backup is kept; C(/var/lib/certdoctor/backup) unless said otherwise.
    type: path
  binary:
    description: The program on the host, by path or by name.
    type: str
    default: certdoctor
  ca_file:
    description: Trust the certificates of this file instead of the host's stores.
    type: path
  clients:
    description: Only these client profiles count.
    type: list
    elements: str
    default: []
  comment_out:
    description: Comment a section of C(cert.pem) out instead of cutting it.
    type: bool
    default: false
  confirm:
    description: Local anchors, by name or SHA-256, that may be taken out.
    type: list
    elements: str
    default: []
  connect:
    description: Connect to this C(host:port) instead of the target's own.
    type: str
  deny:
    description: Codes or names of findings that are graded as errors.
    type: list
    elements: str
    default: []
  fail_on:
    description: The lowest severity that makes the task fail.
    type: str
    choices: [note, warning, error]
  force:
    description: Go on although a target loses its only valid path.
    type: bool
    default: false
  no_refresh:
    description: Edit the sources only, and leave bundle and links to the next refresh.
    type: bool
    default: false
  only:
    description: Only cure findings of these codes.
    type: list
    elements: str
    default: []
  restart_list:
    description: Return the processes that still hold the old store.
    type: bool
    default: false
  root:
    description: Look at this unpacked root file system instead of the host.
    type: path
  targets:
    description: C(host:port) of servers (for C(renewal) names of certificates) that matter.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds for each target.
    type: int
  warn:
    description: Codes or names of findings that are graded as warnings.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Nothing is written; the plan is made and told.
    support: full
  diff_mode:
    description: The unified diff of the plan is returned.
    support: full
extends_documentation_fragment: []
"""

EXAMPLES = r"""
- name: Take out the root that expired on 30 May 2020
  certdoctor.trust.trust_store:
    anchors:
      - AddTrust External CA Root
    restart_list: true
  become: true
  register: trust
  notify: Restart what holds the old store

- name: Cure what breaks this connection, whatever it is, and prove it
  certdoctor.trust.trust_store:
    targets:
      - registry.example.com:443
  become: true

- name: Only look, and fail on nothing
  certdoctor.trust.trust_store:
    action: scan
  register: scan
  failed_when: false
"""

RETURN = r"""
msg:
  description: The answer in one line.
  returned: always
  type: str
  sample: "fixed: nothing to complain about in 1 store (141 roots)"
findings:
  description: What was found, as in C(certdoctor --format json).
  returned: when a report was made
  type: list
  elements: dict
applied:
  description: What was written, and the identifier for C(certdoctor undo).
  returned: when something was applied
  type: dict
restart:
  description: The processes that started before the change and may hold the old store, with their systemd units.
  returned: with I(restart_list)
  type: list
  elements: dict
verified:
  description: The handshakes that were made.
  returned: when handshakes were made
  type: dict
"""

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule


def words(**more):
    return dict(type="list", elements="str", default=[], **more)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            action=dict(type="str", choices=["fix", "diagnose", "renewal", "scan", "verify"], default="fix"),
            allow=words(),
            anchors=words(),
            at=dict(type="str"),
            backup_dir=dict(type="path"),
            binary=dict(type="str", default="certdoctor"),
            ca_file=dict(type="path"),
            clients=words(),
            comment_out=dict(type="bool", default=False),
            confirm=words(),
            connect=dict(type="str"),
            deny=words(),
            fail_on=dict(type="str", choices=["note", "warning", "error"]),
            force=dict(type="bool", default=False),
            no_refresh=dict(type="bool", default=False),
            only=words(),
            restart_list=dict(type="bool", default=False),
            root=dict(type="path"),
            targets=words(),
            timeout=dict(type="int"),
            warn=words(),
        ),
        supports_check_mode=True,
    )
    binary = module.get_bin_path(module.params["binary"], required=True)
    given = dict((key, value) for key, value in module.params.items() if key != "binary" and value is not None)
    given["_ansible_module_name"] = "trust_store"
    given["_ansible_check_mode"] = module.check_mode
    given["_ansible_diff"] = module._diff
    handle, path = tempfile.mkstemp(dir=module.tmpdir, suffix=".json")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(given, file)
        status, out, err = module.run_command([binary, path])
    finally:
        os.unlink(path)
    try:
        result = json.loads(out)
    except ValueError:
        module.fail_json(msg="%s gave no result (exit status %s): %s" % (binary, status, err.strip() or out.strip()))
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
