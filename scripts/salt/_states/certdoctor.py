# SPDX-License-Identifier: MIT OR Apache-2.0
"""
Trust stores without dead roots.

.. code-block:: yaml

    no dead roots:
      certdoctor.anchors_absent:
        - anchors:
          - AddTrust External CA Root
        - targets:
          - registry.example.com:443
"""

__virtualname__ = "certdoctor"


def __virtual__():
    if "certdoctor.fix" in __salt__:
        return __virtualname__
    return False, "the execution module certdoctor is missing: run saltutil.sync_all"


def anchors_absent(name, anchors=None, targets=None, only=None, confirm=None, root=None, at=None, force=False, comment_out=False, backup_dir=None, binary="certdoctor"):
    """
    No trust store of the minion holds these anchors (without any: the ones that a finding wants out), and the targets verify.

    anchors
        Names, file names or SHA-256 of anchors.
    targets
        ``host:port`` of servers that must verify afterwards.
    only
        Codes of findings: nothing else is cured.
    confirm
        Local anchors that may be taken out, by name or SHA-256.
    root
        An unpacked root file system to look at instead of the minion.
    at
        Judge as of this instant instead of now.
    """
    result = __salt__["certdoctor.fix"](
        anchors=anchors,
        targets=targets,
        only=only,
        confirm=confirm,
        root=root,
        at=at,
        force=force,
        comment_out=comment_out,
        backup_dir=backup_dir,
        test=__opts__["test"],
        binary=binary,
    )
    result["name"] = name
    if result["result"] and not result["changes"]:
        result["comment"] = "already in order: {0}".format(result["comment"])
    return result
