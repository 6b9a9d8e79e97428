//! Certbot: `/etc/letsencrypt`, the programs that are installed, and their logs.

mod installed;
mod log;

use std::collections::BTreeMap;

use super::{Host, Manager};
use crate::{
    base::{At, Fingerprint, TreePath},
    facts::renewal::{
        Certbot, Config, HttpChallenge, Lineage, Renewal,
        certbot::{Credentials, HookFile, KINDS, LiveFile, LiveState, PARAMETERS, RenewalConf},
    },
    format::{config_obj, sniff},
    host::{self, NodeKind, ReadError, Tree},
    x509::Certificate,
};

pub(super) static MANAGER: Manager = Manager {
    id: "certbot",
    title: "Certbot",
    about: "Certbot 1 to 5, from packages, pip or snap: `/etc/letsencrypt` with `renewal/*.conf` (ConfigObj), the links of `live` into \
            `archive`, accounts, hooks and `cli.ini`; the versions and plugins installed (Debian's status file, `dist-info` and `egg-info` \
            folders, snaps); the logs in `/var/log/letsencrypt`, rotated and compressed ones too; and what runs it: timers of systemd \
            with their drop-ins, tables of cron. Private keys are not read.",
    gather,
    asks: |_| Vec::new(),
    accepts: |_, _, _| Ok(()),
    reload: |_, _, _| Ok(false),
};

/// Where certbot keeps everything.
const DIRECTORY: &str = "/etc/letsencrypt";

/// Bytes read of a configuration. Real ones have less than 10 KB.
const CONF: u64 = 128 << 10;

/// Bytes read of certificates.
const PEM: u64 = 1 << 20;

/// The most lineages and accounts.
const LINEAGES: usize = 10_000;

fn gather(host: &Host<'_>, renewal: &mut Renewal) {
    let tree = host.tree;
    let directory = TreePath::from(DIRECTORY);
    let mut certbot = Certbot { installed: installed::read(tree), ..Certbot::default() };
    if !tree.exists(&directory) {
        renewal.certbot = certbot;
        return;
    }
    let confs = directory.join("renewal");
    for name in names(tree, &confs, &mut certbot.unread) {
        let Some(stem) = std::str::from_utf8(&name).ok().and_then(|n| n.strip_suffix(".conf")) else { continue };
        let conf = conf(tree, stem, confs.join(&name), &mut certbot.unread);
        let path = path_of(&conf, "fullchain").unwrap_or_else(|| directory.join(format!("live/{stem}/fullchain.pem")));
        let chain = certificates(tree, &path);
        let lineage = Lineage { manager: MANAGER.id, name: stem.to_owned(), path, chain };
        renewal.challenges.extend(challenges(&conf, &lineage));
        renewal.lineages.push(lineage);
        certbot.confs.push(conf);
    }
    accounts(tree, &directory.join("accounts"), &mut certbot);
    for when in ["pre", "deploy", "post"] {
        let dir = directory.join("renewal-hooks").join(when);
        for name in names(tree, &dir, &mut certbot.unread) {
            let path = dir.join(&name);
            let Some(node) = tree.resolve(&path).ok().and_then(|r| r.node) else { continue };
            if matches!(node.kind, NodeKind::File(_)) && !name.ends_with(b"~") {
                certbot.hooks.push(HookFile { when, path, is_executable: node.mode & 0o111 != 0 });
            }
        }
    }
    certbot.options = options(tree, &directory.join("cli.ini"));
    if host.live {
        certbot.lock_holders = lock_holders(host, renewal);
    }
    let elsewhere =
        certbot.confs.iter().filter_map(|c| c.parameter("logs_dir")).filter(|d| d.starts_with('/')).map(TreePath::from);
    renewal.log = log::read(tree, host.at, &elsewhere.collect());
    renewal.certbot = certbot;
}

/// The names in a directory; why it can't be listed goes to `unread`, unless it is not there.
fn names(tree: &dyn Tree, path: &TreePath, unread: &mut Vec<(TreePath, String)>) -> Vec<Vec<u8>> {
    let listed = match tree.resolve(path) {
        Ok(resolved) if resolved.node.is_none() => return Vec::new(),
        Ok(resolved) => tree.names_nofollow(&resolved.path).map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    match listed {
        Ok(mut names) => {
            names.truncate(LINEAGES);
            names
        }
        Err(why) => {
            unread.push((path.clone(), why));
            Vec::new()
        }
    }
}

fn certificates(tree: &dyn Tree, path: &TreePath) -> Vec<Certificate> {
    tree.read(path, PEM).map(|(bytes, _)| sniff::certificates(&bytes).certificates).unwrap_or_default()
}

/// The path that the configuration gives for a kind.
fn path_of(conf: &RenewalConf, kind: &str) -> Option<TreePath> {
    conf.config.text(&[], kind).filter(|p| p.starts_with('/')).map(TreePath::from)
}

fn conf(tree: &dyn Tree, name: &str, path: TreePath, unread: &mut Vec<(TreePath, String)>) -> RenewalConf {
    let (read, modified, config) = match tree.read(&path, CONF) {
        Ok((bytes, resolved)) => {
            (Ok(Fingerprint::of(&bytes)), resolved.node.map_or(At(0), |n| n.modified), config_obj::parse(&bytes))
        }
        Err(e) => (Err(e.to_string()), At(0), Config::default()),
    };
    let archive = config.text(&[], "archive_dir").filter(|p| p.starts_with('/')).map(TreePath::from);
    let archive = archive.unwrap_or_else(|| TreePath::from(DIRECTORY).join(format!("archive/{name}")));
    let mut conf = RenewalConf {
        name: name.to_owned(),
        path,
        read,
        modified,
        config,
        live: Vec::new(),
        unnamed: Vec::new(),
        previous: Vec::new(),
        archive,
        versions: BTreeMap::new(),
        newest: None,
        credentials: Vec::new(),
    };
    for file in names(tree, &conf.archive, unread) {
        let found = std::str::from_utf8(&file).ok().and_then(kind_and_version);
        if let Some((kind, version)) = found.filter(|_| tree.exists(&conf.archive.join(&file))) {
            conf.versions.entry(version).or_default().insert(kind);
        }
    }
    for kind in KINDS {
        let (Some(path), Some(setting)) = (path_of(&conf, kind), conf.config.get(&[], kind)) else { continue };
        match live_state(tree, &path, &conf.archive, kind) {
            Ok(state) => conf.live.push(LiveFile { kind, path, line: setting.line, state }),
            Err(why) => unread.push((path, why)),
        }
    }
    let directory = conf.live.first().map(|live| live.path.parent());
    let usual = directory.clone().unwrap_or_else(|| TreePath::from(DIRECTORY).join("live").join(name));
    let unnamed = KINDS.into_iter().filter(|kind| conf.config.get(&[], kind).is_none());
    conf.unnamed = unnamed.map(|kind| (kind, usual.join(format!("{kind}.pem")))).filter(|(_, path)| tree.exists(path)).collect();
    if let Some(directory) = directory {
        let previous =
            names(tree, &directory, unread).into_iter().filter(|n| n.starts_with(b"previous_") && n.ends_with(b".pem"));
        conf.previous = previous.map(|n| directory.join(n)).collect();
    }
    conf.newest =
        conf.newest_whole().and_then(|v| certificates(tree, &conf.archive.join(format!("cert{v}.pem"))).into_iter().next());
    let named = conf.config.settings.iter().filter(|s| s.key.starts_with("dns_") && s.key.ends_with("_credentials"));
    let credentials = named.filter_map(|setting| {
        let path = setting.value.strings().first().filter(|p| p.starts_with('/')).map(|p| TreePath::from(*p))?;
        match tree.resolve(&path) {
            Ok(resolved) => {
                let mode = resolved.node.map(|n| n.mode);
                Some(Credentials { key: setting.key.clone(), line: setting.line, path, mode })
            }
            // What this user may not see may be there.
            Err(e) => {
                unread.push((path, e.to_string()));
                None
            }
        }
    });
    conf.credentials = credentials.collect();
    conf
}

/// Where it puts the challenges' files: for each name of the certificate the entry of `webroot_map`, else the last `webroot_path`
/// (certbot, plugins/webroot.py, `_set_webroots`). What the map says of other names is not asked for.
fn challenges(conf: &RenewalConf, lineage: &Lineage) -> Vec<HttpChallenge> {
    if conf.parameter("authenticator") != Some("webroot") {
        return Vec::new();
    }
    let map: &[&str] = &[PARAMETERS, "webroot_map"];
    let port = conf.http01_port();
    let mut names = lineage.names();
    names.retain(|name| name.parse::<std::net::IpAddr>().is_err());
    if names.is_empty() {
        names = conf.config.all(map).map(|s| s.key.clone()).collect();
    }
    let challenge = |name: String| {
        let setting = conf.config.get(map, &name).or_else(|| conf.config.get(&[PARAMETERS], "webroot_path"))?;
        let webroot = setting.value.strings().last().filter(|p| p.starts_with('/')).map(|p| TreePath::from(*p))?;
        let said = (conf.path.clone(), Some(setting.line));
        Some(HttpChallenge { lineage: (lineage.manager, lineage.name.clone()), name, port, webroot, said })
    };
    names.into_iter().filter(|name| !name.contains('*')).filter_map(challenge).collect()
}

/// `privkey12.pem`.
fn kind_and_version(name: &str) -> Option<(&'static str, u32)> {
    let stem = name.strip_suffix(".pem")?;
    let digits = stem.find(|c: char| c.is_ascii_digit())?;
    let kind = KINDS.into_iter().find(|k| *k == &stem[..digits])?;
    Some((kind, stem[digits..].parse().ok()?))
}

/// What lies at a path in `live`, or why that can't be seen (both folders are root's alone).
fn live_state(tree: &dyn Tree, path: &TreePath, archive: &TreePath, kind: &str) -> Result<LiveState, String> {
    // The directories above may be links themselves (`/etc/letsencrypt` on a volume).
    let directory = tree.resolve(&path.parent()).map_err(|e| e.to_string())?;
    if directory.node.is_none() {
        return Ok(LiveState::Missing);
    }
    let place = directory.path.join(path.name());
    let target = match tree.node_nofollow(&place).map_err(|e| e.to_string())?.map(|n| n.kind) {
        None => return Ok(LiveState::Missing),
        Some(NodeKind::Link(target)) => target,
        Some(_) => {
            let Some(shape) = host::shape(tree, &place).map_err(|e| e.to_string())? else { return Ok(LiveState::Missing) };
            let holds_certificates = kind == "cert" || kind == "fullchain";
            let leaf = if holds_certificates { certificates(tree, &place).into_iter().next() } else { None };
            return Ok(LiveState::Copied { shape, leaf });
        }
    };
    let written = String::from_utf8_lossy(&target).into_owned();
    let resolved = match tree.resolve(&place) {
        Ok(resolved) => resolved,
        Err(ReadError::Io(e)) if e.kind() == std::io::ErrorKind::PermissionDenied => return Err(e.to_string()),
        Err(_) => return Ok(LiveState::Elsewhere(written)),
    };
    if resolved.node.is_none() {
        return Ok(LiveState::Dangling(written));
    }
    let archive = tree.resolve(archive).map_or_else(|_| archive.clone(), |r| r.path);
    let named = std::str::from_utf8(resolved.path.name()).ok().and_then(kind_and_version);
    Ok(match named {
        Some((k, version)) if k == kind && resolved.path.parent() == archive => LiveState::Linked(written, version),
        _ => LiveState::Elsewhere(written),
    })
}

/// The account directories: those with a `regr.json` or a key, below the server's path. Links between servers' directories are certbot's
/// own (ACMEv1 to v2), so that one may be reached by several paths; one that leads back up is not followed.
fn accounts(tree: &dyn Tree, path: &TreePath, certbot: &mut Certbot) {
    let mut looked_into = 0;
    // Each with the directories above it.
    let mut open: Vec<(TreePath, Vec<TreePath>)> = vec![(path.clone(), Vec::new())];
    while let Some((path, mut above)) = open.pop() {
        let resolved = tree.resolve(&path).ok().filter(|r| r.node.as_ref().is_some_and(|n| n.kind == NodeKind::Directory));
        let Some(real) = resolved.map(|r| r.path).filter(|real| !above.contains(real)) else { continue };
        looked_into += 1;
        if looked_into > LINEAGES {
            certbot.unread.push((path, format!("more than {LINEAGES} directories of accounts")));
            return;
        }
        let names = names(tree, &path, &mut certbot.unread);
        if names.iter().any(|n| n == b"regr.json" || n == b"private_key.json") {
            certbot.accounts.insert(path);
        } else if above.len() < 5 {
            above.push(real);
            open.extend(names.into_iter().rev().map(|name| (path.join(name), above.clone())));
        }
    }
}

/// The options of `cli.ini` in configargparse's form: a key, then `=`, `:` or a blank and the value, in quotes or not; a key alone is true.
fn options(tree: &dyn Tree, path: &TreePath) -> Vec<(String, String, u32)> {
    let Ok((bytes, _)) = tree.read(path, CONF) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (1..).zip(text.lines()).filter_map(|(number, line)| option(line).map(|(key, value)| (key, value, number))).collect()
}

/// One line; keys with `-` for `_`.
fn option(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';', '[']) || line.starts_with("---") {
        return None;
    }
    let (key, rest) = line.split_at(line.find(|c: char| "=:;#".contains(c) || c.is_whitespace()).unwrap_or(line.len()));
    if key.is_empty() {
        return None;
    }
    // A comment begins behind a blank.
    let marks = rest.match_indices(['#', ';']).map(|(at, _)| at);
    let comment = marks.into_iter().find(|at| rest[..*at].ends_with(char::is_whitespace)).unwrap_or(rest.len());
    let rest = rest[..comment].trim();
    let (assigned, value) = match rest.strip_prefix(['=', ':']) {
        Some(value) => (true, value.trim()),
        None => (false, rest),
    };
    let unquoted = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q)?.strip_suffix(q));
    let value = if value.is_empty() && !assigned { "true" } else { unquoted.unwrap_or(value) };
    Some((key.replace('_', "-"), value.to_owned()))
}

/// The processes that have a lock file of certbot open. (`/proc/locks` names inodes, which a tree does not.)
fn lock_holders(host: &Host<'_>, renewal: &Renewal) -> Vec<(u32, TreePath)> {
    let mut holders = Vec::new();
    for process in renewal.processes.all.iter().filter(|p| p.arguments.iter().any(|a| a.contains("certbot"))) {
        let fds = TreePath::from(format!("/proc/{}/fd", process.pid).as_str());
        for fd in host.tree.names_nofollow(&fds).unwrap_or_default() {
            let target = host.tree.link_nofollow(&fds.join(fd)).ok().flatten();
            if let Some(lock) = target.filter(|t| t.ends_with(b"/.certbot.lock")) {
                holders.push((process.pid, TreePath::new(lock)));
            }
        }
    }
    holders.dedup_by_key(|(pid, _)| *pid);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    /// As configargparse 1.5 reads them (`DefaultConfigFileParser`).
    #[test]
    fn options_are_read_as_certbot_reads_them() {
        for (line, read) in [
            ("deploy-hook = systemctl reload nginx", Some(("deploy-hook", "systemctl reload nginx"))),
            ("deploy-hook systemctl reload nginx", Some(("deploy-hook", "systemctl reload nginx"))),
            ("renew_hook: \"nginx -s reload\"  # or so", Some(("renew-hook", "nginx -s reload"))),
            ("email=", Some(("email", ""))),
            ("agree-tos", Some(("agree-tos", "true"))),
            ("quiet ; so", Some(("quiet", "true"))),
            ("pre-hook = a#b", Some(("pre-hook", "a#b"))),
            ("# x = 1", None),
            ("= 1", None),
            ("", None),
        ] {
            let found = option(line);
            assert_eq!(found.as_ref().map(|(k, v)| (k.as_str(), v.as_str())), read, "{line}");
        }
    }

    #[test]
    fn links_among_accounts_are_not_followed_for_ever() {
        let tree = MemoryTree::new();
        tree.file("/a/acme.test/directory/0123/regr.json", "{}");
        tree.symlink("/a/b.test", "acme.test");
        for n in 0..40 {
            tree.symlink(format!("/a/up{n}").as_str(), ".");
            for depth in 0..5 {
                tree.symlink(format!("/a/d{depth}/l{n}").as_str(), format!("../d{}", depth + 1));
            }
        }
        tree.file("/a/d5/x", "x");
        let mut certbot = Certbot::default();
        accounts(&tree, &"/a".into(), &mut certbot);
        let found: Vec<String> = certbot.accounts.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["/a/acme.test/directory/0123", "/a/b.test/directory/0123"]);
        assert_eq!(certbot.unread.len(), 1);
    }
}
