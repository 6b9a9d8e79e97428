//! lego: its store, the lines that run it, and which major version the program is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Host, Manager};
use crate::{
    base::TreePath,
    facts::{
        Content, Renewal,
        renewal::{
            Ask, Lego, Lineage,
            lego::{LegoLine, LegoStore},
        },
    },
    format::{Interner, pem},
    host::{Exec, NodeKind, Tree},
    x509::Certificate,
};

pub(super) static MANAGER: Manager = Manager {
    id: "lego",
    title: "lego",
    about: "The stores `.lego` in every user's home, `/etc/lego`, `/var/lib/lego`, and where a line names one with `--path`; the lines of cron \
            tables, cron scripts and systemd services that run `lego`; and the major version of the program, by the import paths in it (it \
            is not run). Private keys are not read.",
    gather,
    asks,
    accepts,
    reload: |_, _, _| Ok(false),
};

/// Bytes read of one file of a store, table or unit.
const LIMIT: u64 = 1 << 20;

/// The program is a static Go binary of some 60 MB.
const PROGRAM: u64 = 256 << 20;

/// Names read of one directory.
const NAMES: usize = 10_000;

/// Directories of tables, scripts and units.
const LINES: &[&str] = &[
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
];

const PROGRAMS: &[&str] = &["/usr/local/bin/lego", "/usr/bin/lego", "/opt/lego/lego", "/snap/bin/lego"];

fn gather(host: &Host<'_>, renewal: &mut Renewal) {
    let tree = host.tree;
    let mut lego = Lego { lines: lines(tree), ..Lego::default() };
    let named = lego.lines.iter().filter_map(|line| line.words.first()).filter(|word| word.starts_with('/'));
    let mut programs: Vec<TreePath> = named.map(TreePath::new).chain(PROGRAMS.iter().map(|p| TreePath::from(*p))).collect();
    let mut seen: Vec<TreePath> = Vec::new();
    programs.retain_mut(|program| match tree.resolve(program) {
        Ok(resolved) if resolved.node.is_some() && !seen.contains(&resolved.path) => {
            seen.push(resolved.path);
            true
        }
        _ => false,
    });
    lego.programs = programs.into_iter().filter_map(|p| version(tree, &p).map(|v| (p, v))).collect();
    let mut looked_at = BTreeSet::new();
    for (path, found_by) in places(tree, &lego.lines) {
        if !looked_at.insert(path.clone()) {
            continue;
        }
        match store(tree, path.clone(), found_by, renewal) {
            Ok(Some(store)) if !lego.stores.iter().any(|s| s.path == store.path) => lego.stores.push(store),
            Ok(_) => {}
            Err(why) => lego.unread.push((path, why)),
        }
    }
    lego.stores.sort_by(|a, b| a.path.cmp(&b.path));
    renewal.lego = lego;
}

fn asks(_: &Renewal) -> Vec<Ask> {
    Vec::new()
}

fn accepts(_: &Host<'_>, _: &dyn Exec, _: &[TreePath]) -> Result<(), String> {
    Ok(())
}

/// What a directory holds; nothing when it can't be listed.
fn names(tree: &dyn Tree, directory: &TreePath) -> Vec<TreePath> {
    let Ok(resolved) = tree.resolve(directory) else { return Vec::new() };
    let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
    names.into_iter().take(NAMES).map(|name| resolved.path.join(name)).collect()
}

fn lines(tree: &dyn Tree) -> Vec<LegoLine> {
    let mut files: Vec<TreePath> = vec!["/etc/crontab".into()];
    for directory in LINES {
        let is_unit = directory.contains("systemd");
        files.extend(names(tree, &(*directory).into()).into_iter().filter(|f| !is_unit || f.name().ends_with(b".service")));
    }
    let mut found: Vec<LegoLine> = Vec::new();
    for file in files {
        // Debian's /lib is a link to /usr/lib: a unit is read once.
        let Ok((bytes, resolved)) = tree.read(&file, LIMIT) else { continue };
        if found.iter().any(|line| line.path == resolved.path) || memchr::memmem::find(&bytes, b"lego").is_none() {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut whole = String::new();
        let mut begins = 1;
        for (n, line) in text.lines().enumerate() {
            if whole.is_empty() {
                begins = n + 1;
            }
            whole.push_str(line.strip_suffix('\\').unwrap_or(line));
            if line.ends_with('\\') {
                whole.push(' ');
                continue;
            }
            if let (Some(words), Ok(line)) = (words(&whole), u32::try_from(begins)) {
                found.push(LegoLine { path: resolved.path.clone(), line, words });
            }
            whole.clear();
        }
    }
    found
}

/// The words from `lego` on, up to what ends the command in a shell.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().map(|w| w.strip_prefix("ExecStart=").unwrap_or(w)).collect();
    let is_lego = |w: &&&str| w.trim_start_matches(['-', '@', '+', '!']).rsplit('/').next() == Some("lego");
    let ends = |w: &&str| matches!(*w, "&&" | "||" | ";" | "|" | "&");
    // Each command of the line: a first one may only ask whether the program is there. A word that is only called so
    // (`Description=lego`) runs nothing.
    let found = words.split(ends).find_map(|command| {
        let from = command.iter().position(|w| is_lego(&w))?;
        (from + 1 < command.len()).then(|| &command[from..])
    })?;
    Some(found.iter().map(|w| w.trim_start_matches(['@', '+', '!']).to_owned()).collect())
}

/// By the import paths that Go leaves in a program.
fn version(tree: &dyn Tree, program: &TreePath) -> Option<u32> {
    let (bytes, _) = tree.read(program, PROGRAM).ok()?;
    let has = |major: u32| memchr::memmem::find(&bytes, format!("go-acme/lego/v{major}/").as_bytes()).is_some();
    [5, 4, 3].into_iter().find(|major| has(*major))
}

fn places(tree: &dyn Tree, lines: &[LegoLine]) -> Vec<(TreePath, String)> {
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.words.iter();
        while let Some(word) = words.next() {
            let value = match word.strip_prefix("--path").map(|rest| rest.strip_prefix('=')) {
                Some(Some(value)) => Some(value.to_owned()),
                Some(None) if word == "--path" => words.next().cloned(),
                _ => None,
            };
            let value = value.map(|v| v.trim_matches(['"', '\'']).to_owned()).filter(|v| v.starts_with('/'));
            found.extend(value.map(|v| (TreePath::new(v), format!("--path in {}, line {}", line.path, line.line))));
        }
    }
    let passwd = tree.read(&"/etc/passwd".into(), LIMIT).map(|(bytes, _)| bytes).unwrap_or_default();
    for line in String::from_utf8_lossy(&passwd).lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [user, _, _, _, _, home, ..] = fields[..]
            && home.starts_with('/')
        {
            found.push((TreePath::new(home).join(".lego"), format!("the home of {user}")));
        }
    }
    found.extend(["/etc/lego", "/var/lib/lego", "/.lego"].map(|p| (p.into(), "a usual place".to_owned())));
    found
}

/// The certificates that a manager keeps in the form of lego's store.
///
/// # Errors
/// Why it can't be said whether there are some.
pub(super) fn lineages(tree: &dyn Tree, manager: &'static str, path: &TreePath, renewal: &mut Renewal) -> Result<(), String> {
    read(tree, manager, path.clone(), String::new(), renewal).map(drop)
}

fn store(tree: &dyn Tree, path: TreePath, found_by: String, renewal: &mut Renewal) -> Result<Option<LegoStore>, String> {
    read(tree, MANAGER.id, path, found_by, renewal)
}

fn read(
    tree: &dyn Tree,
    manager: &'static str,
    path: TreePath,
    found_by: String,
    renewal: &mut Renewal,
) -> Result<Option<LegoStore>, String> {
    let path = tree.resolve(&path).map_err(|e| e.to_string())?.path;
    let resolved = tree.resolve(&path.join("certificates")).map_err(|e| e.to_string())?;
    if resolved.node.is_none_or(|node| node.kind != NodeKind::Directory) {
        return Ok(None);
    }
    let found = tree.names_nofollow(&resolved.path).map_err(|e| e.to_string())?;
    let mut store = LegoStore { path, found_by, old: Vec::new(), new: 0 };
    for file in found.into_iter().take(NAMES).map(|name| resolved.path.join(name)) {
        let name = String::from_utf8_lossy(file.name()).into_owned();
        if let Some(stem) = name.strip_suffix(".crt").filter(|stem| !stem.ends_with(".issuer")) {
            let is_known = renewal.lineages.iter().any(|l| l.manager == manager && l.path == file);
            let chain = tree.read(&file, LIMIT).map(|(bytes, _)| chain(&bytes)).unwrap_or_default();
            if !is_known {
                renewal.lineages.push(Lineage { manager, name: stem.to_owned(), path: file, chain });
            }
        } else if name.ends_with(".json") {
            let value = tree.read(&file, LIMIT).ok().and_then(|(bytes, _)| serde_json::from_slice::<Value>(&bytes).ok());
            match value {
                Some(value) if value.get("id").is_some() => store.new += 1,
                Some(value) if value.get("domain").is_some() => store.old.push(file),
                _ => {}
            }
        }
    }
    Ok(Some(store))
}

fn chain(bytes: &[u8]) -> Vec<Certificate> {
    let entries = pem::scan(bytes, &Interner::default()).entries;
    entries.into_iter().filter_map(|e| if let Content::Certificate(c) = e.content { Some(c) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_in_tables_and_units() {
        let of = |line: &str| words(line).map(|w| w.join(" "));
        let cron = "17 3 * * * root /usr/local/bin/lego --path /etc/lego --email a@b --domains a.test renew --days 30 && systemctl reload nginx";
        assert_eq!(
            of(cron).as_deref(),
            Some("/usr/local/bin/lego --path /etc/lego --email a@b --domains a.test renew --days 30")
        );
        assert_eq!(of("ExecStart=/usr/bin/lego run").as_deref(), Some("/usr/bin/lego run"));
        let asked = "17 3 * * * root test -x /usr/bin/lego && /usr/bin/lego --path /x renew ; true";
        assert_eq!(of(asked).as_deref(), Some("/usr/bin/lego --path /x renew"));
        assert_eq!(of("# lego renew"), None);
        assert_eq!(of("Description=lego"), None);
        assert_eq!(of("ls /etc/lego"), None);
    }
}
