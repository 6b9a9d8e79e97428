#!/usr/bin/python
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What certdoctor sees in the host's trust stores, as facts. Changes nothing and fails on no finding."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: trust_facts
short_description: The trust stores of a host, as facts
version_added: 0.1.0
description:
  - Runs C(certdoctor scan) and returns its document as the fact C(certdoctor).
author:
  - The certdoctor authors (@certdoctor)
options:
  at:
    description: Judge as of this instant instead of now (RFC 3339, a date, or Unix seconds).
    type: str
  binary:
    description: The program on the host, by path or by name.
    type: str
    default: certdoctor
  root:
    description: Look at this unpacked root file system instead of the host.
    type: path
  within:
    description: An anchor that expires within this many days is worth a finding.
    type: int
attributes:
  check_mode:
    description: Nothing is changed in any mode.
    support: full
  facts:
    description: The fact C(certdoctor) is set.
    support: full
"""

EXAMPLES = r"""
- name: Look at the stores
  certdoctor.trust.trust_facts:

- name: Name the hosts that trust a dead root
  ansible.builtin.debug:
    msg: "{{ ansible_facts.certdoctor.findings | selectattr('code', 'equalto', 'CD301') | map(attribute='subject') | list }}"
"""

RETURN = r"""
ansible_facts:
  description: The facts.
  returned: always
  type: dict
  contains:
    certdoctor:
      description: The document of C(certdoctor scan --format json).
      type: dict
      returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(
        argument_spec=dict(
            at=dict(type="str"),
            binary=dict(type="str", default="certdoctor"),
            root=dict(type="path"),
            within=dict(type="int"),
        ),
        supports_check_mode=True,
    )
    line = [module.get_bin_path(module.params["binary"], required=True), "scan", "--format", "json"]
    for name in ("at", "root", "within"):
        if module.params[name] is not None:
            line += ["--" + name, str(module.params[name])]
    status, out, err = module.run_command(line)
    try:
        document = json.loads(out)
    except ValueError:
        module.fail_json(msg=err.strip() or "%s gave no result (exit status %s)" % (line[0], status))
    module.exit_json(changed=False, ansible_facts=dict(certdoctor=document))


if __name__ == "__main__":
    main()
