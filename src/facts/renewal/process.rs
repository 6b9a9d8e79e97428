//! What runs and listens on this host, from `/proc`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::base::{At, TreePath};

/// The processes and listening sockets of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// The processes, by number; empty for an unpacked root and where there is no `/proc`.
    pub all: Vec<Process>,
    /// The listening TCP sockets, by port and address.
    pub listeners: Vec<Listener>,
    /// The processes that run in another mount namespace than this one: their paths are not those of this tree.
    pub elsewhere: BTreeSet<u32>,
    /// The processes of users other than root and the one that this program runs as. What they say of themselves (their arguments are
    /// theirs to write) is no reason to run a program.
    pub foreign: BTreeSet<u32>,
    /// Single files that are bind-mounted into a process's view of the file system.
    pub bound: Vec<BoundFile>,
    /// How many processes' open files could not be looked at for want of permission: a listener without process may be theirs.
    pub not_permitted: usize,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// Its name as the kernel keeps it (at most 15 bytes).
    pub comm: String,
    /// Its program; `None` for want of permission.
    pub exe: Option<TreePath>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// When it started.
    pub started: At,
    /// The systemd service, or the scope of a container, that it belongs to.
    pub unit: Option<String>,
}

/// One listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; unspecified (`0.0.0.0`, `::`) for all.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The processes that hold it, by number: a master and its workers share it.
    pub pids: Vec<u32>,
}

/// A single file that is mounted over a path (`docker run -v FILE:FILE`, a Kubernetes `subPath`): the mount keeps the file that was there
/// then, whatever takes its name later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundFile {
    /// A process that sees it.
    pub pid: u32,
    /// The file, from the root of its file system.
    pub root: TreePath,
    /// Where the process sees it.
    pub point: TreePath,
    /// The newest version beside it, if that is another one (`fullchain4.pem` beside `fullchain3.pem`).
    pub newer: Option<TreePath>,
}

impl Listener {
    /// Where it is reached from here: loopback, where it listens on all addresses.
    #[must_use]
    pub fn reachable(&self) -> IpAddr {
        reachable(self.address)
    }
}

/// Where a socket that listens on this address is reached from here.
#[must_use]
pub fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(a) if a.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(a) if a.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Processes {
    /// The process of this number.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.all.binary_search_by_key(&pid, |p| p.pid).ok().map(|i| &self.all[i])
    }

    /// The sockets that listen on this port.
    pub fn on_port(&self, port: u16) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(move |l| l.port == port)
    }

    /// Who is to be named for a socket that several processes share: the one whose parent does not hold it (nginx's master).
    #[must_use]
    pub fn holder(&self, listener: &Listener) -> Option<&Process> {
        let mut holders = listener.pids.iter().filter_map(|pid| self.get(*pid));
        holders.find(|p| !listener.pids.contains(&p.parent))
    }

    /// The processes whose program or own name is this: `nginx`.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Process> {
        self.all.iter().filter(move |p| p.program() == name || p.comm == name)
    }
}

impl Process {
    /// The file name of its program, without ` (deleted)`, which the kernel adds after an upgrade; else its own name.
    #[must_use]
    pub fn program(&self) -> &str {
        let name = self.exe.as_ref().and_then(|exe| std::str::from_utf8(exe.name()).ok());
        name.map_or(&self.comm, |n| n.strip_suffix(" (deleted)").unwrap_or(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, exe: &str) -> Process {
        Process { pid, parent, comm: "x".into(), exe: Some(exe.into()), arguments: Vec::new(), started: At(0), unit: None }
    }

    #[test]
    fn the_master_is_named_and_not_its_worker() {
        let all = vec![process(10, 1, "/usr/sbin/nginx (deleted)"), process(11, 10, "/usr/sbin/nginx (deleted)")];
        let listener = Listener { address: IpAddr::from([0, 0, 0, 0]), port: 80, pids: vec![10, 11] };
        let processes = Processes { all, listeners: vec![listener.clone()], ..Processes::default() };
        assert_eq!(processes.holder(&listener).map(|p| p.pid), Some(10));
        assert_eq!(processes.named("nginx").count(), 2);
        assert_eq!(processes.on_port(80).count(), 1);
        assert_eq!(processes.on_port(443).count(), 0);
    }
}
