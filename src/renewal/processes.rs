//! `/proc` as facts: what runs, what listens, and which process holds which listening socket (`proc(5)`).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    base::{At, Limits, TreePath},
    facts::renewal::{BoundFile, Listener, Process, Processes},
    host::{Tree, processes},
};

/// Bytes read of one file of `/proc`. `tcp` has 150 bytes a socket.
const LIMIT: u64 = 16 << 20;

/// The state of a listening socket, in hex (`TCP_LISTEN`, include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Reads `/proc` of this tree.
pub(super) fn read(tree: &dyn Tree) -> Processes {
    let text = |path: &str| tree.read_nofollow(&path.into(), LIMIT).map(|(bytes, _)| bytes).unwrap_or_default();
    let mut found = Processes::default();
    let Some(boot) = processes::boot_time(&text("/proc/stat")) else { return found };
    let mut sockets: BTreeMap<u64, Listener> = BTreeMap::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // `/proc/net` is a link to `self/net`.
        let table = tree.read(&file.into(), LIMIT).map(|(bytes, _)| bytes).unwrap_or_default();
        sockets.extend(listening(&String::from_utf8_lossy(&table)));
    }
    let names = tree.names_nofollow(&"/proc".into()).unwrap_or_default();
    let mut pids: Vec<u32> = names.iter().filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok()).collect();
    pids.sort_unstable();
    // The owner of the directory is the effective user, whatever else the process does (`task_dump_owner` in fs/proc/base.c).
    let owner = |dir: &TreePath| tree.resolve(dir).ok().and_then(|r| r.node).map(|node| node.uid);
    let own = owner(&"/proc/self".into());
    for pid in pids.into_iter().take(Limits::DEFAULT.names) {
        let dir = TreePath::from(format!("/proc/{pid}").as_str());
        let Some(process) = process(tree, &dir, pid, boot) else { continue };
        found.all.push(process);
        if owner(&dir).is_none_or(|uid| uid != 0 && Some(uid) != own) {
            found.foreign.insert(pid);
        }
        if sockets.is_empty() {
            continue;
        }
        let fds = dir.join("fd");
        match tree.names_nofollow(&fds) {
            Ok(names) => {
                for name in names {
                    let target = tree.link_nofollow(&fds.join(name)).ok().flatten();
                    if let Some(socket) = target.and_then(|t| inode(&t)).and_then(|inode| sockets.get_mut(&inode))
                        && !socket.pids.contains(&pid)
                    {
                        socket.pids.push(pid);
                    }
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => found.not_permitted += 1,
            // It ended meanwhile.
            Err(_) => {}
        }
    }
    mounts(tree, &mut found);
    found.listeners = sockets.into_values().collect();
    found.listeners.sort_by_key(|l| (l.port, l.address));
    found
}

fn process(tree: &dyn Tree, dir: &TreePath, pid: u32, boot: i64) -> Option<Process> {
    let text = |name: &str| tree.read_nofollow(&dir.join(name), LIMIT).map(|(bytes, _)| bytes).unwrap_or_default();
    let stat = text("stat");
    let (comm, parent) = comm_and_parent(&stat)?;
    let started = At(boot + processes::start_ticks(&stat)? / processes::TICKS);
    let exe = tree.link_nofollow(&dir.join("exe")).ok().flatten().map(TreePath::new);
    let arguments = text("cmdline").split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect::<Vec<_>>();
    let arguments = arguments.into_iter().filter(|word| !word.is_empty()).collect();
    let unit = processes::unit(&String::from_utf8_lossy(&text("cgroup")));
    Some(Process { pid, parent, comm, exe, arguments, started, unit })
}

/// Who sees another file system than this process, and which certificates are mounted into it one by one. Of each mount namespace only one
/// process is asked for its mounts.
fn mounts(tree: &dyn Tree, found: &mut Processes) {
    let dir = |pid: &[u8]| TreePath::from("/proc").join(pid);
    let namespace = |pid: &[u8]| tree.link_nofollow(&dir(pid).join("ns/mnt")).ok().flatten();
    let own = tree.link_nofollow(&"/proc/self".into()).ok().flatten().and_then(|pid| namespace(&pid));
    let mut seen = BTreeSet::new();
    for process in &found.all {
        let pid = process.pid.to_string();
        let Some(there) = namespace(pid.as_bytes()) else { continue };
        if own.as_ref().is_some_and(|own| *own != there) {
            found.elsewhere.insert(process.pid);
        }
        if seen.insert(there) {
            let table =
                tree.read_nofollow(&dir(pid.as_bytes()).join("mountinfo"), LIMIT).map(|(bytes, _)| bytes).unwrap_or_default();
            let bound = bound_files(&table).into_iter();
            found.bound.extend(bound.map(|(root, point)| BoundFile { pid: process.pid, newer: newer(tree, &root), root, point }));
        }
    }
}

/// The mounts of `mountinfo` whose root is a file of certificates or keys, by its name: root, mount point (`proc(5)`).
fn bound_files(table: &[u8]) -> Vec<(TreePath, TreePath)> {
    let is_pem = |path: &[u8]| [b".pem".as_slice(), b".crt", b".cer", b".key"].iter().any(|end| path.ends_with(end));
    let mount = |line: &[u8]| {
        let mut fields = line.split(|b| *b == b' ').skip(3).map(unescaped);
        let (root, point) = (fields.next()?, fields.next()?);
        is_pem(&root).then(|| (TreePath::new(root), TreePath::new(point)))
    };
    table.split(|b| *b == b'\n').filter_map(mount).collect()
}

/// The file beside this one whose name ends in a higher number, if there is one: certbot's archive (`fullchain4.pem`).
fn newer(tree: &dyn Tree, path: &TreePath) -> Option<TreePath> {
    let (kind, number) = version(path.name())?;
    let names = tree.names_nofollow(&path.parent()).ok()?;
    let (highest, name) = names.iter().filter_map(|n| version(n).filter(|(k, _)| *k == kind).map(|(_, v)| (v, n))).max()?;
    (highest > number).then(|| path.parent().join(name))
}

/// `fullchain3.pem` is version 3 of `fullchain`.
fn version(name: &[u8]) -> Option<(&str, u32)> {
    let stem = std::str::from_utf8(name).ok()?.strip_suffix(".pem")?;
    let kind = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((kind, stem[kind.len()..].parse().ok()?))
}

/// Blanks and backslashes are written in octal there.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, more)) = rest.split_first() {
        let octal =
            more.get(..3).filter(|_| byte == b'\\').and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &more[3..] } else { more };
    }
    out
}

/// Fields 2 and 4 of `/proc/PID/stat`. The name stands in parentheses and may hold some itself.
fn comm_and_parent(stat: &[u8]) -> Option<(String, u32)> {
    let text = String::from_utf8_lossy(stat);
    let (_, rest) = text.split_once('(')?;
    let (comm, rest) = rest.rsplit_once(')')?;
    Some((comm.to_owned(), rest.split_ascii_whitespace().nth(1)?.parse().ok()?))
}

/// The listening sockets of `/proc/net/tcp` or `tcp6`, by inode.
fn listening(table: &str) -> Vec<(u64, Listener)> {
    let socket = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (address, port) = words.nth(1)?.split_once(':')?;
        let state = words.nth(1)?;
        let inode = words.nth(5)?.parse().ok()?;
        let listener = Listener { address: self::address(address)?, port: u16::from_str_radix(port, 16).ok()?, pids: Vec::new() };
        (state == LISTEN).then_some((inode, listener))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// An address in hex: 32-bit words, each in the machine's order, which is little-endian wherever this runs.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |i: usize| u32::from_str_radix(hex.get(i * 8..i * 8 + 8)?, 16).ok().map(u32::swap_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let number = words.iter().fold(0_u128, |n, w| n << 32 | u128::from(*w));
            Some(Ipv6Addr::from(number).into())
        }
        _ => None,
    }
}

/// The number in `socket:[103211]`.
fn inode(target: &[u8]) -> Option<u64> {
    std::str::from_utf8(target).ok()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::host::DirTree;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103211 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 20 4 30 10 -1
";

    #[test]
    fn only_listening_sockets_are_taken() {
        let sockets = listening(TABLE);
        assert_eq!(sockets.len(), 1);
        assert_eq!((sockets[0].0, sockets[0].1.port, sockets[0].1.address), (103_211, 80, IpAddr::from([0, 0, 0, 0])));
        assert_eq!(address("0100007F"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(address("00000000000000000000000001000000"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(address("010000"), None);
        assert_eq!(inode(b"socket:[7]"), Some(7));
        assert_eq!(inode(b"pipe:[7]"), None);
        assert_eq!(comm_and_parent(b"7 (a) (b) S 3 7 7"), Some(("a) (b".into(), 3)));
    }

    #[test]
    fn a_newer_version_beside_it_is_seen() {
        let tree = crate::host::memory::MemoryTree::default();
        for n in [2, 9, 10] {
            tree.file(format!("/le/archive/a/fullchain{n}.pem").as_str(), "");
        }
        tree.file("/le/archive/a/cert99.pem", "");
        assert_eq!(newer(&tree, &"/le/archive/a/fullchain9.pem".into()), Some("/le/archive/a/fullchain10.pem".into()));
        assert_eq!(newer(&tree, &"/le/archive/a/fullchain10.pem".into()), None);
    }

    #[test]
    fn a_certificate_that_is_mounted_alone_is_seen() {
        let table = b"36 35 98:0 / / rw - ext4 /dev/a rw\n\
            37 36 98:0 /etc/le/archive/a\\040b/fullchain3.pem /etc/nginx/cert.pem ro - ext4 /dev/a rw\n38";
        assert_eq!(bound_files(table), [("/etc/le/archive/a b/fullchain3.pem".into(), "/etc/nginx/cert.pem".into())]);
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "a real listening socket of this process")]
    fn this_process_holds_its_own_socket() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("an address").port();
        let found = read(&DirTree::new(std::path::Path::new("/")).expect("this host"));
        let listener = found.on_port(port).next().expect("a listener");
        let me = found.get(std::process::id()).expect("this process");
        assert_eq!(listener.pids, [me.pid]);
        assert!(!found.foreign.contains(&me.pid), "its own are no strangers");
        assert_eq!(found.holder(listener), Some(me));
        assert!(me.parent > 0 && me.exe.is_some() && !me.arguments.is_empty(), "{me:?}");
    }
}
