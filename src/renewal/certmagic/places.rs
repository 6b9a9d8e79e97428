//! Where CertMagic's storages may lie, and who must be able to use them (`dataDir` in certmagic, `AppDataDir` in Caddy's `storage.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    base::TreePath,
    facts::renewal::{Process, Processes, certmagic::User},
    format::caddyfile,
    host::Tree,
};

/// A directory that may be a storage.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: TreePath,
    pub found_by: String,
    pub user: Option<User>,
}

/// Bytes read of a configuration.
const LIMIT: u64 = 4 << 20;

/// Homes that are looked into.
const HOMES: usize = 2000;

/// The environment of a process is read so far.
const ENVIRONMENT: u64 = 1 << 20;

/// Where systemd looks for Caddy's unit, the first one counts; drop-ins are in `.d` beside.
const UNITS: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// An entry of `/etc/passwd`.
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// Every place, the surest first, each directory once; and those that could not be looked at, with the reason.
pub(super) fn find(tree: &dyn Tree, processes: &Processes) -> (Vec<Place>, Vec<(TreePath, String)>) {
    let accounts = accounts(tree);
    let service = service(tree);
    let named = |name: &str, because: String| {
        let account = accounts.iter().find(|a| a.name == name)?;
        Some(User { name: account.name.clone(), uid: account.uid, gid: account.gid, because })
    };
    let user = service.user.as_ref().and_then(|(name, unit)| named(name, format!("User= in {unit}")));
    let mut places: Vec<Place> = Vec::new();
    for process in processes.named("caddy") {
        places.extend(of_process(tree, process, user.clone()));
    }
    if let Some((data, unit)) = &service.data_home {
        places.push(Place { path: path(data, "caddy"), found_by: format!("XDG_DATA_HOME in {unit}"), user: user.clone() });
    }
    for (directory, found_by) in configured(tree, processes, &accounts) {
        places.push(Place { path: directory, found_by, user: user.clone() });
    }
    places.push(Place { path: "/data/caddy".into(), found_by: "the container image's place".into(), user: None });
    for account in accounts.iter().take(HOMES) {
        for below in [".local/share/caddy", ".local/share/certmagic"] {
            let user = match &user {
                // Caddy's service, where its user's home is this one; in other homes nobody is known to run it.
                Some(user) if user.name == account.name => Some(user.clone()),
                _ => None,
            };
            places.push(Place { path: path(&account.home, below), found_by: format!("the home of {}", account.name), user });
        }
    }
    let mut seen: BTreeSet<TreePath> = BTreeSet::new();
    let mut unread: Vec<(TreePath, String)> = Vec::new();
    places.retain_mut(|place| {
        match tree.resolve(&place.path) {
            Ok(resolved) => {
                place.path = resolved.path;
                resolved.node.is_some() && seen.insert(place.path.clone())
            }
            // In most homes there is no storage; that of the service is one.
            Err(e) => {
                if place.user.is_some() && seen.insert(place.path.clone()) {
                    unread.push((place.path.clone(), e.to_string()));
                }
                false
            }
        }
    });
    (places, unread)
}

fn path(directory: &str, below: &str) -> TreePath {
    TreePath::new(directory).join(below)
}

fn text(tree: &dyn Tree, path: &TreePath) -> Option<String> {
    tree.read(path, LIMIT).ok().map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
}

fn accounts(tree: &dyn Tree) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?.to_owned();
        home.starts_with('/').then_some(Account { name, uid, gid, home })
    };
    text(tree, &"/etc/passwd".into()).unwrap_or_default().lines().filter_map(account).collect()
}

/// What `caddy.service` says, each with the file that says it.
#[derive(Default)]
struct Service {
    user: Option<(String, String)>,
    data_home: Option<(String, String)>,
}

fn service(tree: &dyn Tree) -> Service {
    let mut service = Service::default();
    let unit = UNITS.iter().map(|dir| TreePath::from(*dir).join("caddy.service")).find(|unit| tree.exists(unit));
    let mut files: Vec<TreePath> = unit.into_iter().collect();
    for directory in UNITS.iter().rev() {
        let directory = TreePath::from(*directory).join("caddy.service.d");
        let Ok(resolved) = tree.resolve(&directory) else { continue };
        let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
        files.extend(names.iter().filter(|n| n.ends_with(b".conf")).map(|n| resolved.path.join(n)));
    }
    for file in files {
        for line in text(tree, &file).unwrap_or_default().lines() {
            let line = line.trim();
            if let Some(user) = line.strip_prefix("User=").filter(|user| !user.is_empty()) {
                service.user = Some((user.to_owned(), file.to_string()));
            }
            let Some(assignments) = line.strip_prefix("Environment=") else { continue };
            for word in assignments.split_whitespace() {
                let word = word.trim_matches(['"', '\'']);
                if let Some(data) = word.strip_prefix("XDG_DATA_HOME=").filter(|data| data.starts_with('/')) {
                    service.data_home = Some((data.trim_end_matches(['"', '\'']).to_owned(), file.to_string()));
                }
            }
        }
    }
    service
}

/// By the environment of a running Caddy: of it only two variables are looked at.
fn of_process(tree: &dyn Tree, process: &Process, user: Option<User>) -> Option<Place> {
    let directory = TreePath::from(format!("/proc/{}", process.pid).as_str());
    let (environment, _) = tree.read_nofollow(&directory.join("environ"), ENVIRONMENT).ok()?;
    let variable = |name: &str| {
        let mut words = environment.split(|b| *b == 0);
        words.find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).filter(|value| value.starts_with(b"/"))
    };
    let path = match (variable("XDG_DATA_HOME"), variable("HOME")) {
        (Some(data), _) => TreePath::new(data).join("caddy"),
        (None, Some(home)) => TreePath::new(home).join(".local/share/caddy"),
        (None, None) => return None,
    };
    let owner = tree.node_nofollow(&directory).ok().flatten();
    let user = owner.map(|node| {
        let because = format!("process {} runs as it", process.pid);
        let name = user.filter(|u| u.uid == node.uid).map_or_else(|| format!("uid {}", node.uid), |u| u.name);
        User { name, uid: node.uid, gid: node.gid, because }
    });
    Some(Place { path, found_by: format!("the environment of process {}", process.pid), user })
}

/// The storages that configurations name: directory, and file with line.
fn configured(tree: &dyn Tree, processes: &Processes, accounts: &[Account]) -> Vec<(TreePath, String)> {
    let mut files: Vec<TreePath> = vec!["/etc/caddy/Caddyfile".into()];
    if let Ok(resolved) = tree.resolve(&"/etc/caddy".into()) {
        let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
        files.extend(names.iter().filter(|n| n.ends_with(b".json") || n.ends_with(b".caddyfile")).map(|n| resolved.path.join(n)));
    }
    for process in processes.named("caddy") {
        let mut arguments = process.arguments.iter();
        if arguments.any(|word| word == "--config" || word == "-c") {
            files.extend(arguments.next().filter(|file| file.starts_with('/')).map(TreePath::new));
        }
    }
    files.extend(accounts.iter().take(HOMES).map(|account| path(&account.home, ".config/caddy/autosave.json")));
    files.push("/config/caddy/autosave.json".into());
    let mut found = Vec::new();
    for file in files {
        let Some(text) = text(tree, &file) else { continue };
        if file.name().ends_with(b".json") {
            let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
            let storage = value.get("storage").filter(|s| s.get("module").and_then(Value::as_str) == Some("file_system"));
            if let Some(root) = storage.and_then(|s| s.get("root")).and_then(Value::as_str).filter(|root| root.starts_with('/')) {
                found.push((TreePath::new(root), file.to_string()));
            }
        } else if let Some((root, line)) = caddyfile_root(&text) {
            found.push((TreePath::new(root), format!("{file}, line {line}")));
        }
    }
    found
}

/// `storage file_system PATH`, or with `root PATH` in its block, in the global options.
fn caddyfile_root(text: &str) -> Option<(String, u32)> {
    let directives = caddyfile::parse(text);
    let global = directives.first().filter(|d| d.words.is_empty())?;
    let storage = global.block.iter().find(|d| d.words.first().is_some_and(|w| w.text == "storage"))?;
    if storage.words.get(1).is_none_or(|w| w.text != "file_system") {
        return None;
    }
    let in_block =
        || storage.block.iter().find(|d| d.words.first().is_some_and(|w| w.text == "root")).and_then(|d| d.words.get(1));
    let root = storage.words.get(2).or_else(in_block)?;
    // A placeholder (`{$DIR}`) is not known here.
    root.text.starts_with('/').then(|| (root.text.clone(), root.line)).filter(|(root, _)| !root.contains('{'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\ncaddy:x:998:997::/var/lib/caddy:/usr/sbin/nologin\n";

    fn found(tree: &MemoryTree) -> Vec<(String, String, Option<String>)> {
        let (places, unread) = find(tree, &Processes::default());
        assert_eq!(unread, []);
        places.into_iter().map(|p| (p.path.to_string(), p.found_by, p.user.map(|u| u.name))).collect()
    }

    #[test]
    fn debians_caddy_is_found_with_its_user() {
        let tree = MemoryTree::new();
        tree.file("/etc/passwd", PASSWD);
        tree.file("/lib/systemd/system/caddy.service", "[Service]\nUser=caddy\n");
        tree.directory("/var/lib/caddy/.local/share/caddy");
        let expected = ("/var/lib/caddy/.local/share/caddy".into(), "the home of caddy".into(), Some("caddy".into()));
        assert_eq!(found(&tree), [expected]);
    }

    #[test]
    fn configurations_and_a_drop_in_name_other_places() {
        let tree = MemoryTree::new();
        tree.file("/etc/passwd", PASSWD);
        tree.file("/lib/systemd/system/caddy.service", "[Service]\nUser=caddy\n");
        tree.file("/etc/systemd/system/caddy.service.d/x.conf", "[Service]\nEnvironment=\"XDG_DATA_HOME=/srv/data\"\n");
        tree.file("/etc/caddy/Caddyfile", "{\n\tstorage file_system /srv/a\n}\nx.test\n");
        tree.file("/etc/caddy/other.json", r#"{"storage":{"module":"file_system","root":"/srv/b"}}"#);
        for place in ["/srv/data/caddy", "/srv/a", "/srv/b", "/root/.local/share/certmagic"] {
            tree.directory(place);
        }
        let found: Vec<String> = found(&tree).into_iter().map(|(path, by, _)| format!("{path}: {by}")).collect();
        let expected = [
            "/srv/data/caddy: XDG_DATA_HOME in /etc/systemd/system/caddy.service.d/x.conf",
            "/srv/a: /etc/caddy/Caddyfile, line 2",
            "/srv/b: /etc/caddy/other.json",
            "/root/.local/share/certmagic: the home of root",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_placeholder_or_another_module_names_nothing() {
        assert_eq!(caddyfile_root("{\n storage file_system {$DIR}\n}\n"), None);
        assert_eq!(caddyfile_root("{\n storage redis {\n root /x\n }\n}\n"), None);
        assert_eq!(caddyfile_root("a.test {\n storage file_system /x\n}\n"), None);
        assert_eq!(caddyfile_root("{\n storage file_system {\n  root /x\n }\n}\n"), Some(("/x".into(), 3)));
    }
}
