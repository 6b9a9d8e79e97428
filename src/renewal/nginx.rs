//! nginx and what shares its grammar: OpenResty, Tengine, NJet.

mod ask;
mod find;
mod include;
mod pair;

use super::{Host, Manager};
use crate::{
    base::{At, Limits, TreePath},
    facts::{
        Renewal,
        renewal::nginx::{Directive, Directory, Instance, LogLine},
    },
    host::{Exec, NodeKind, Tree},
};

/// The manager.
pub(super) static MANAGER: Manager = Manager {
    id: "nginx",
    title: "nginx, OpenResty, Tengine, NJet",
    about: "The main configuration that the running master was told (`-c`, `-p`), if that runs as root or as this program's user, else the \
            usual places; every include as nginx resolves it. \
            Each `ssl_certificate` is loaded with the public half of its key, `[emerg]` lines are taken from the error log, and it is worked out which \
            server and location answer a challenge on port 80. On a live host each TLS socket is asked for the certificate of each of its names.",
    gather,
    asks: ask::asks,
    accepts,
    reload,
};

/// Bytes of the error log that are looked at, from its end.
const LOG: usize = 256 << 10;

/// A larger log is not read: the host's own rotation keeps it smaller.
const LOG_FILE: u64 = 128 << 20;

/// `[emerg]` lines that are kept.
const EMERGENCIES: usize = 20;

/// Whom workers may run as where no directive says it: Debian's, nginx.org's and the project's own default.
const COMPILED_IN: &[&str] = &["www-data", "nginx", "nobody"];

/// Seconds that `nginx -t` may take: it resolves the names of upstreams.
const TEST: u64 = 30;

fn gather(host: &Host<'_>, renewal: &mut Renewal) {
    for mut instance in find::instances(host, &renewal.processes) {
        include::read(host.tree, &mut instance);
        // Nothing is there: no server of this kind.
        if instance.files.is_empty() && instance.master.is_none() {
            continue;
        }
        instance.pairs = pair::load_all(host.tree, &instance);
        instance.emergencies = emergencies(host.tree, &instance);
        let webroots = renewal.challenges.iter().map(|c| c.webroot.clone());
        instance.directories = directories(host.tree, &instance, webroots);
        renewal.nginx.instances.push(instance);
    }
}

/// Has running servers load what was changed.
fn reload(exec: &dyn Exec, renewal: &Renewal, changed: &[TreePath]) -> Result<bool, String> {
    let running = renewal.nginx.instances.iter().filter(|i| i.master.is_some());
    let mut any = false;
    for instance in running.filter(|i| i.reads(changed)) {
        // The command that tests it, with another word.
        let argv: Vec<String> = instance.test_command();
        let argv: Vec<&str> = argv.iter().flat_map(|w| if w == "-t" { vec!["-s", "reload"] } else { vec![w.as_str()] }).collect();
        let output = exec.run(&argv, b"", &[("LC_ALL", Some("C"))], TEST).map_err(|e| format!("`{}`: {e}", argv.join(" ")))?;
        if output.status != Some(0) {
            return Err(format!("`{}` failed: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
        }
        any = true;
    }
    Ok(any)
}

fn accepts(host: &Host<'_>, exec: &dyn Exec, changed: &[TreePath]) -> Result<(), String> {
    let mut renewal = Renewal { processes: super::processes::read(host.tree), ..Renewal::default() };
    gather(host, &mut renewal);
    for instance in &renewal.nginx.instances {
        if !instance.reads(changed) {
            continue;
        }
        let argv = instance.test_command();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let output = exec.run(&argv, b"", &[("LC_ALL", Some("C"))], TEST).map_err(|e| format!("`{}`: {e}", argv.join(" ")))?;
        if output.status != Some(0) {
            let said = String::from_utf8_lossy(&output.stderr);
            let reason =
                said.lines().find(|l| l.contains("[emerg]")).or_else(|| said.lines().last()).unwrap_or("it said nothing");
            return Err(format!("`{}` refuses: {reason}", argv.join(" ")));
        }
    }
    Ok(())
}

/// The newest `[emerg]` lines of the main error log.
fn emergencies(tree: &dyn Tree, instance: &Instance) -> Vec<LogLine> {
    let named = instance.directives.iter().rev().find(|d| d.name() == "error_log").and_then(|d| d.argument(0));
    let path = match named {
        Some(path) => instance.from_prefix(path),
        None => Some(TreePath::from("/var/log/nginx/error.log")),
    };
    let Some(path) = path else { return Vec::new() };
    let Ok((bytes, resolved)) = tree.read(&path, LOG_FILE) else { return Vec::new() };
    let from = bytes.len().saturating_sub(LOG);
    let mut number = u32::try_from(memchr::memchr_iter(b'\n', &bytes[..from]).count()).unwrap_or(u32::MAX);
    let (mut found, mut newest) = (Vec::new(), None);
    for line in bytes[from..].split(|b| *b == b'\n') {
        number = number.saturating_add(1);
        let text = String::from_utf8_lossy(line);
        let Some(time) = text.get(..19) else { continue };
        let Some(written) = as_utc(time) else { continue };
        newest = Some(written);
        if let Some((_, said)) = text.split_once("[emerg] ") {
            found.push(LogLine {
                path: resolved.path.clone(),
                line: number,
                time: time.to_owned(),
                at: Some(written),
                pid: said.split_once('#').and_then(|(pid, _)| pid.parse().ok()),
                text: format!("[emerg] {said}"),
            });
        }
    }
    let off = newest.zip(resolved.node).and_then(|(newest, node)| zone(node.modified.0 - newest.0));
    for line in &mut found {
        line.at = line.at.zip(off).map(|(at, off)| At(at.0 + off));
    }
    found.split_off(found.len().saturating_sub(EMERGENCIES))
}

/// `2026/11/22 00:28:50`, as if it were UTC.
fn as_utc(time: &str) -> Option<At> {
    let (date, time) = time.split_once(' ')?;
    At::parse(&format!("{}T{time}Z", date.replace('/', "-"))).ok()
}

/// The zone that is meant by a newest line so many seconds before its file was written, if one is: zones differ by quarters of an hour, and
/// a line is written at once.
fn zone(seconds: i64) -> Option<i64> {
    const QUARTER: i64 = 900;
    let off = (seconds + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
    (off.abs() <= 14 * 3600 && (seconds - off).abs() <= 2).then_some(off)
}

/// The directories that files are served from, and whether the workers can enter them.
fn directories(tree: &dyn Tree, instance: &Instance, webroots: impl Iterator<Item = TreePath>) -> Vec<Directory> {
    let mut paths: Vec<TreePath> = Vec::new();
    collect_roots(instance, &instance.directives, &mut paths);
    paths.extend(webroots);
    paths.sort();
    paths.dedup();
    let user = instance.directives.iter().find(|d| d.name() == "user");
    let users: Vec<(u32, Vec<u32>)> = match user {
        Some(d) => d.argument(0).and_then(|user| ids(tree, user, d.argument(1))).into_iter().collect(),
        None => COMPILED_IN.iter().filter_map(|user| ids(tree, user, None)).collect(),
    };
    let look = |path: TreePath| {
        let found: Vec<Directory> = users.iter().map(|ids| directory(tree, path.clone(), Some(ids))).collect();
        // Closed is what is closed to each of them.
        let open = found.iter().find(|d| d.closed.is_none()).or(found.first()).cloned();
        open.unwrap_or_else(|| directory(tree, path, None))
    };
    paths.into_iter().take(1000).map(look).collect()
}

fn collect_roots(instance: &Instance, directives: &[Directive], out: &mut Vec<TreePath>) {
    for directive in directives {
        if let ("root" | "alias", Some(value)) = (directive.name(), directive.argument(0))
            && !value.contains('$')
        {
            out.extend(instance.from_prefix(value));
        }
        collect_roots(instance, directive.children(), out);
    }
}

/// The user's number, and its groups: with a group of its own in the directive, that one in the place of the user's main one.
fn ids(tree: &dyn Tree, user: &str, group: Option<&str>) -> Option<(u32, Vec<u32>)> {
    let text =
        |path: &str| tree.read(&path.into(), Limits::DEFAULT.file).map(|(b, _)| String::from_utf8_lossy(&b).into_owned()).ok();
    let passwd = text("/etc/passwd")?;
    let fields: Vec<&str> = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == user)?;
    let (uid, mut gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
    let groups = text("/etc/group").unwrap_or_default();
    if let Some(group) = group {
        gid = groups.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(':')?.split(':').nth(1)?.parse().ok())?;
    }
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        fields.get(3)?.split(',').any(|m| m == user).then(|| fields.get(2)?.parse().ok()).flatten()
    };
    Some((uid, groups.lines().filter_map(member).chain([gid]).collect()))
}

fn directory(tree: &dyn Tree, path: TreePath, ids: Option<&(u32, Vec<u32>)>) -> Directory {
    let mut way = TreePath::root();
    let mut closed = None;
    let resolved = tree.resolve(&path).ok();
    let real = resolved.as_ref().map_or(path.clone(), |r| r.path.clone());
    let exists = resolved.is_some_and(|r| r.node.is_some_and(|n| n.kind == NodeKind::Directory));
    for part in real.components() {
        way = way.join(part);
        let Ok(Some(node)) = tree.node_nofollow(&way) else { break };
        let may_enter = match ids {
            _ if node.kind != NodeKind::Directory => true,
            Some((0, _)) | None => true,
            Some((uid, _)) if node.uid == *uid => node.mode & 0o100 != 0,
            Some((_, gids)) if gids.contains(&node.gid) => node.mode & 0o010 != 0,
            Some(_) => node.mode & 0o001 != 0,
        };
        if !may_enter {
            closed = Some((way.clone(), node.mode));
            break;
        }
    }
    Directory { path, real, exists, closed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    #[test]
    fn a_directory_that_workers_may_not_enter_is_told() {
        let tree = MemoryTree::default();
        tree.file("/etc/passwd", "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n");
        tree.put("/srv/acme", NodeKind::Directory, 0o700, Vec::new());
        tree.directory("/srv/acme/webroot");
        tree.file("/etc/group", "root:x:0:\nwww-data:x:33:\nacme:x:900:certbot\n");
        assert_eq!(super::ids(&tree, "www-data", Some("acme")), Some((33, vec![900])));
        let ids = ids(&tree, "www-data", None);
        assert_eq!(ids, Some((33, vec![33])));
        let found = directory(&tree, "/srv/acme/webroot".into(), ids.as_ref());
        assert_eq!((found.exists, found.closed), (true, Some(("/srv/acme".into(), 0o700))));
        assert!(!directory(&tree, "/srv/none".into(), ids.as_ref()).exists);
        // Whom the workers run as is not said here: it is closed to each whom it may be.
        let instance = Instance::new("nginx", "/etc/nginx/nginx.conf".into(), None);
        let closed = || directories(&tree, &instance, ["/srv/acme/webroot".into()].into_iter())[0].closed.is_some();
        assert!(closed());
        tree.file("/etc/passwd", "www-data:x:33:33::/:/bin/sh\nnginx:x:101:0::/:/bin/sh\n");
        tree.put("/srv/acme", NodeKind::Directory, 0o710, Vec::new());
        assert!(!closed());
    }

    #[test]
    fn the_files_own_time_tells_the_zone_of_its_lines() {
        assert_eq!(as_utc("2026/11/22 00:28:51"), At::parse("2026-11-22T00:28:51Z").ok());
        assert_eq!([0, 1, -1, 3600, 7201, -18_001, 20_699].map(zone), [0, 0, 0, 3600, 7200, -18_000, 20_700].map(Some));
        assert_eq!([450, 600, 60_000, -86_400].map(zone), [None; 4]);
    }

    #[test]
    fn the_log_tells_of_refused_configurations() {
        let tree = MemoryTree::default();
        tree.file(
            "/var/log/nginx/error.log",
            "2026/11/22 00:28:50 [notice] 1#1: signal\n2026/11/22 00:28:51 [emerg] 1#1: cannot load certificate \"/a\"\nx\n",
        );
        let found = emergencies(&tree, &Instance::new("nginx", "/etc/nginx/nginx.conf".into(), None));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].time.as_str()), (2, "2026/11/22 00:28:51"));
        assert_eq!(found[0].text, "[emerg] 1#1: cannot load certificate \"/a\"");
        assert_eq!(found[0].pid, Some(1));
    }
}
