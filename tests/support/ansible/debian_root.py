"""Tasks in an unpacked root: the address of the host is its directory."""

import shutil
import subprocess

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: debian_root
short_description: Run tasks in an unpacked root
description: Runs each command of a task by chroot(1), as the tests need it.
author: certdoctor
options:
  remote_addr:
    description: The directory.
    type: str
    vars:
      - name: inventory_hostname
      - name: ansible_host
"""


class Connection(ConnectionBase):
    transport = "debian_root"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        self._connected = False

    def _path(self, path):
        if not path.startswith("/"):
            raise AnsibleError(f"{path} is no absolute path")
        return self.get_option("remote_addr") + path

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        line = ["chroot", self.get_option("remote_addr"), "/bin/sh", "-c", cmd]
        done = subprocess.run(line, input=in_data or b"", capture_output=True, env=environment, check=False)
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        shutil.copyfile(in_path, self._path(out_path))

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        shutil.copyfile(self._path(in_path), out_path)
