# SPDX-License-Identifier: MIT OR Apache-2.0
"""
Runs certdoctor on the minion, and returns what it says.

CLI Example:

.. code-block:: bash

    salt '*' certdoctor.scan
    salt '*' certdoctor.fix anchors="['AddTrust External CA Root']" test=True
"""

import json

try:
    import salt.utils.path
    from salt.exceptions import CommandExecutionError
except ImportError:  # Only when this file is looked at without Salt.
    pass

__virtualname__ = "certdoctor"


def __virtual__():
    # The program may come with a later state of the same run: whether it is there is asked when it is called.
    return __virtualname__


def _run(action, words, binary, test=None):
    program = salt.utils.path.which(binary)
    if program is None:
        raise CommandExecutionError("there is no program {0} on this minion".format(binary))
    line = [program, action, "--format", "salt" if test is not None else "json"]
    if test is not None:
        line.append("--check" if test else "--apply")
    result = __salt__["cmd.run_all"](line + words, python_shell=False, ignore_retcode=True)
    try:
        return json.loads(result["stdout"])
    except ValueError:
        raise CommandExecutionError(result["stderr"].strip() or result["stdout"].strip())


def _words(flags, targets):
    words = []
    for flag, value in flags:
        if value is True:
            words.append(flag)
        elif isinstance(value, (list, tuple)):
            for word in value:
                words += [flag, str(word)]
        elif value not in (None, False, ""):
            words += [flag, str(value)]
    if targets:
        words += ["--"] + [str(target) for target in targets]
    return words


def version(binary="certdoctor"):
    """
    The version of the program on this minion.

    CLI Example:

    .. code-block:: bash

        salt '*' certdoctor.version
    """
    program = salt.utils.path.which(binary)
    if program is None:
        raise CommandExecutionError("there is no program {0} on this minion".format(binary))
    return __salt__["cmd.run_stdout"]([program, "--version"], python_shell=False).split()[-1]


def scan(root=None, at=None, within=None, binary="certdoctor"):
    """
    Every trust store of the minion, or of an unpacked root: the document of ``certdoctor scan --format json``.

    CLI Example:

    .. code-block:: bash

        salt '*' certdoctor.scan
    """
    return _run("scan", _words([("--root", root), ("--at", at), ("--within", within)], []), binary)


def diagnose(targets, root=None, at=None, binary="certdoctor"):
    """
    Why connections fail on the minion: the document of ``certdoctor diagnose --format json``.

    CLI Example:

    .. code-block:: bash

        salt '*' certdoctor.diagnose "['registry.example.com:443']"
    """
    return _run("diagnose", _words([("--root", root), ("--at", at)], targets), binary)


def fix(anchors=None, targets=None, only=None, confirm=None, root=None, at=None, force=False, comment_out=False, backup_dir=None, test=False, binary="certdoctor"):
    """
    Take dead roots out of the minion's trust stores; ``test=True`` plans only. Returns name, changes, result and comment.

    CLI Example:

    .. code-block:: bash

        salt '*' certdoctor.fix anchors="['AddTrust External CA Root']" test=True
    """
    flags = [
        ("--anchor", anchors),
        ("--only", only),
        ("--yes", confirm),
        ("--root", root),
        ("--at", at),
        ("--force", force),
        ("--comment-out", comment_out),
        ("--backup-dir", backup_dir),
    ]
    return _run("fix", _words(flags, targets), binary, test=bool(test))
