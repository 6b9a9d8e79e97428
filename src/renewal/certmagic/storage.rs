//! One storage read (`storage.go`, `filestorage.go`, `crypto.go` of CertMagic name the files and what is done when one is bad).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::places::Place;
use crate::{
    base::{At, Fingerprint, TreePath},
    facts::renewal::certmagic::{ASIDE, Account, Defect, File, Lock, Metadata, Site, Storage, Stranger, User},
    format::{
        Interner, pem,
        private_key::{PublicHalf, public_half},
    },
    host::{NodeKind, ReadError, Tree, clock, shape},
    renewal::Host,
    x509::Certificate,
};

/// Bytes read of one file of a storage. The largest real ones are chains of some 10 KB.
const LIMIT: u64 = 1 << 20;

/// Names read of one directory.
const NAMES: usize = 10_000;

/// Folders of certificates and accounts that are read, in all storages.
pub(super) const FOLDERS: usize = 50_000;

/// Folders below one another when owners are looked at.
const DEPTH: usize = 6;

/// A lock's holder writes to it every 5 s, and it counts as left after 10 (`lockFreshnessInterval`, `fileLockPollInterval`).
const LEFT_AFTER: i64 = 15;

/// A lock is looked at again after so many seconds: its holder has written to it twice by then.
const SECOND_LOOK: u64 = 11;

/// The storage at a place; `None` when there is none. `left` folders are read at most.
///
/// # Errors
/// Why it can't be said whether it is one.
pub(super) fn read(host: &Host<'_>, place: Place, left: &mut usize) -> Result<Option<Storage>, String> {
    let tree = host.tree;
    let mut is_storage = false;
    for name in ["certificates", "acme", "locks"] {
        let node = tree.node_nofollow(&place.path.join(name)).map_err(|e| e.to_string())?;
        is_storage |= matches!(node.map(|n| n.kind), Some(NodeKind::Directory | NodeKind::Link(_)));
    }
    if !is_storage {
        return Ok(None);
    }
    let mut storage = Storage::new(place.path, place.found_by, place.user);
    let mut reader = Reader { tree, unlisted: Vec::new() };
    storage.instance = reader.instance(&storage.path);
    for ca in reader.folders(&storage.path.join("certificates")) {
        for folder in reader.folders(&ca) {
            if reader.is_one_more(left, &ca) {
                storage.sites.push(reader.site(&ca, folder));
            }
        }
    }
    for ca in reader.folders(&storage.path.join("acme")) {
        for folder in reader.folders(&ca.join("users")) {
            if reader.is_one_more(left, &ca) {
                storage.accounts.extend(reader.account(&ca, folder));
            }
        }
        storage.tokens.extend(reader.names(&ca.join("challenge_tokens")));
    }
    for path in reader.names(&storage.path.join("locks")) {
        storage.locks.extend(reader.lock(host, path));
    }
    if let Some(user) = storage.user.clone().filter(|user| user.uid != 0) {
        strangers(tree, &mut storage, &user);
    }
    storage.unlisted = reader.unlisted;
    Ok(Some(storage))
}

struct Reader<'a> {
    tree: &'a dyn Tree,
    unlisted: Vec<(TreePath, String)>,
}

impl Reader<'_> {
    /// What a directory holds, but for what was set aside; links to directories are followed inside the tree.
    fn names(&mut self, directory: &TreePath) -> Vec<TreePath> {
        let listed = match self.tree.resolve(directory) {
            Ok(resolved) if resolved.node.is_none() => return Vec::new(),
            Ok(resolved) => self.tree.names_nofollow(&resolved.path).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        match listed {
            Ok(mut names) => {
                if names.len() > NAMES {
                    self.unlisted.push((directory.clone(), format!("holds {} names; {NAMES} were looked at", names.len())));
                    names.truncate(NAMES);
                }
                let names = names.into_iter().filter(|name| memchr::memmem::find(name, ASIDE.as_bytes()).is_none());
                names.map(|name| directory.join(name)).collect()
            }
            Err(why) => {
                self.unlisted.push((directory.clone(), why));
                Vec::new()
            }
        }
    }

    /// Whether one more folder is read.
    fn is_one_more(&mut self, left: &mut usize, above: &TreePath) -> bool {
        let is_one_more = *left > 0;
        *left = left.saturating_sub(1);
        let why = format!("only {FOLDERS} folders of certificates and accounts are read");
        if !is_one_more && !self.unlisted.iter().any(|(path, said)| path == above && *said == why) {
            self.unlisted.push((above.clone(), why));
        }
        is_one_more
    }

    fn folders(&mut self, directory: &TreePath) -> Vec<TreePath> {
        let mut found = self.names(directory);
        found.retain(|path| {
            let node = self.tree.resolve(path).ok().and_then(|r| r.node);
            matches!(node.map(|n| n.kind), Some(NodeKind::Directory))
        });
        found
    }

    fn file(&self, path: &TreePath) -> Result<Vec<u8>, Defect> {
        match self.tree.read(path, LIMIT) {
            Ok((bytes, _)) if bytes.is_empty() => Err(Defect::Empty),
            Ok((bytes, _)) => Ok(bytes),
            Err(ReadError::Missing) => Err(Defect::Missing),
            Err(e) => Err(Defect::Unreadable(e.to_string())),
        }
    }

    fn site(&self, ca: &TreePath, path: TreePath) -> Site {
        let name = String::from_utf8_lossy(path.name()).into_owned();
        let at = |extension: &str| path.join([path.name(), extension.as_bytes()].concat());
        let (crt, key, json) = (at(".crt"), at(".key"), at(".json"));
        let chain = self.file(&crt).and_then(|bytes| chain(&bytes));
        let leaf = chain.as_ref().ok().and_then(|chain| chain.first());
        let key_content = self.file(&key).and_then(|bytes| match public_half(&bytes) {
            PublicHalf::Known(half) => Ok(leaf.map(|leaf| leaf.public_key_octets() == half)),
            PublicHalf::NotAKey(_) => Err(Defect::Malformed("holds no private key in PEM form".to_owned(), None)),
            // A kind of key that we don't know may be one that Go does.
            PublicHalf::Encrypted | PublicHalf::Unknown => Ok(None),
        });
        let metadata = self.file(&json).and_then(|bytes| metadata(&bytes));
        Site {
            shape: shape(self.tree, &path).ok().flatten(),
            ca: String::from_utf8_lossy(ca.name()).into_owned(),
            name,
            certificate: File { path: crt, content: chain },
            key: File { path: key, content: key_content },
            metadata: File { path: json, content: metadata },
            path,
        }
    }

    /// `users/EMAIL/USER.{json,key}`; the folder of no e-mail address is `default`. Several pairs in one folder are several accounts.
    fn account(&mut self, ca: &TreePath, path: TreePath) -> Option<Account> {
        let names = self.names(&path);
        let with = |extension: &[u8]| names.iter().find(|name| name.name().ends_with(extension)).cloned();
        let (key, json) = (with(b".key"), with(b".json"));
        if key.is_none() && json.is_none() {
            return None;
        }
        let or = |found: Option<TreePath>, name: &str| found.unwrap_or_else(|| path.join(name));
        let (key, json) = (or(key, "default.key"), or(json, "default.json"));
        let key_content = self.file(&key).and_then(|bytes| {
            let has = pem::blocks(&bytes).any(|b| b.label.ends_with(b"PRIVATE KEY") && b.body.is_ok());
            if has { Ok(()) } else { Err(Defect::Malformed("holds no private key in PEM form".to_owned(), None)) }
        });
        let registration = self.file(&json).and_then(|bytes| go_json::<Value>(&bytes).map(drop));
        Some(Account {
            shape: shape(self.tree, &key).ok().flatten(),
            ca: String::from_utf8_lossy(ca.name()).into_owned(),
            email: String::from_utf8_lossy(path.name()).into_owned(),
            key: File { path: key, content: key_content },
            registration: File { path: json, content: registration },
            path,
        })
    }

    fn lock(&self, host: &Host<'_>, path: TreePath) -> Option<Lock> {
        let name = String::from_utf8_lossy(path.name().strip_suffix(b".lock")?).into_owned();
        let (content, read, modified) = look_at_lock(self.tree, &path);
        let mut lock = Lock { path, read, name, content, modified, is_left: None };
        // The clock of the machine, not the instant of judgement: files know no other.
        if host.now.0.saturating_sub(modified.0) >= LEFT_AFTER {
            lock.is_left = Some(true);
        }
        Some(lock)
    }

    fn instance(&self, path: &TreePath) -> Option<String> {
        let bytes = self.file(&path.join("last_clean.json")).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        Some(value.pointer("/tls/instance_id")?.as_str()?.to_owned())
    }
}

/// The locks that look wrong and were changed a moment ago are looked at again: their holder may have been writing.
pub(super) fn look_again(host: &Host<'_>, storages: &mut [Storage]) {
    let is_doubtful = |lock: &&mut Lock| lock.is_left.is_none() && is_wrong(lock, host.at);
    let mut doubtful: Vec<&mut Lock> = storages.iter_mut().flat_map(|s| &mut s.locks).filter(is_doubtful).collect();
    if doubtful.is_empty() {
        return;
    }
    clock::pause(Duration::from_secs(SECOND_LOOK));
    for lock in &mut doubtful {
        let (content, read, modified) = look_at_lock(host.tree, &lock.path);
        lock.is_left = Some(read.is_some() && read == lock.read && modified == lock.modified);
        (lock.content, lock.read, lock.modified) = (content, read, modified);
    }
}

/// Whether a lock would make others wait for ever (or for longer than anybody should).
fn is_wrong(lock: &Lock, at: At) -> bool {
    match &lock.content {
        Ok(updated) => updated.0 > at.0.saturating_add(Lock::AHEAD),
        Err(Defect::Malformed(..)) => true,
        // An empty one is taken for stale after some looks.
        Err(_) => false,
    }
}

fn look_at_lock(tree: &dyn Tree, path: &TreePath) -> (Result<At, Defect>, Option<Fingerprint>, At) {
    match tree.read(path, LIMIT) {
        Ok((bytes, resolved)) => {
            let modified = resolved.node.map_or(At(0), |node| node.modified);
            (lock(&bytes), Some(Fingerprint::of(&bytes)), modified)
        }
        Err(ReadError::Missing) => (Err(Defect::Missing), None, At(0)),
        Err(e) => (Err(Defect::Unreadable(e.to_string())), None, At(0)),
    }
}

/// `{"created","updated"}`, RFC 3339.
fn lock(bytes: &[u8]) -> Result<At, Defect> {
    #[derive(Deserialize)]
    struct Meta {
        created: Option<String>,
        updated: Option<String>,
    }
    if bytes.is_empty() {
        return Err(Defect::Empty);
    }
    // Read by a `json.Decoder`, which does not look at what follows the first value.
    let text = String::from_utf8_lossy(bytes);
    let first = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next();
    let first = first.unwrap_or(Ok(Value::Null)).map_err(|e| malformed(&e, bytes))?;
    let meta: Option<Meta> = serde_json::from_value(first).map_err(|e| malformed(&e, bytes))?;
    let (created, updated) = meta.map_or((None, None), |m| (m.created, m.updated));
    // Go's time without a value is of year 1, and such a lock is stale.
    let Some(text) = updated.or(created) else { return Ok(At(0)) };
    At::parse(&text).map_err(|e| Defect::Malformed(e.to_string(), None))
}

/// JSON as Go reads it: bytes that are no UTF-8 become U+FFFD there.
fn go_json<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, Defect> {
    serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|e| malformed(&e, bytes))
}

fn malformed(e: &serde_json::Error, bytes: &[u8]) -> Defect {
    let why = if e.is_eof() { "is cut off in the middle" } else { "is not the JSON that it should be" };
    let zeros = if bytes.contains(&0) { ", and holds NUL bytes" } else { "" };
    Defect::Malformed(format!("{why}{zeros} ({e})"), u32::try_from(e.line()).ok().filter(|line| *line > 0))
}

/// Every CERTIFICATE block.
fn chain(bytes: &[u8]) -> Result<Vec<Certificate>, Defect> {
    use crate::facts::Content;
    let scan = pem::scan(bytes, &Interner::default());
    let mut chain = Vec::new();
    for entry in scan.entries {
        match entry.content {
            Content::Certificate(certificate) => chain.push(certificate),
            // `tls.X509KeyPair` passes over blocks of other kinds.
            Content::Other(_) | Content::PrivateKey | Content::Crl => {}
            Content::Opaque(_) if chain.is_empty() => {
                return Err(Defect::Malformed("its first block is no certificate that can be read".to_owned(), Some(entry.line)));
            }
            // What follows the leaf does not keep a server from loading it.
            Content::Opaque(_) => {}
        }
    }
    if chain.is_empty() { Err(Defect::Malformed("holds no certificate in PEM form".to_owned(), None)) } else { Ok(chain) }
}

fn metadata(bytes: &[u8]) -> Result<Metadata, Defect> {
    #[derive(Deserialize)]
    struct Resource {
        sans: Option<Vec<String>>,
        issuer_data: Option<Value>,
    }
    let resource: Option<Resource> = go_json(bytes)?;
    let Some(resource) = resource else { return Ok(Metadata { read: Some(Fingerprint::of(bytes)), ..Metadata::default() }) };
    let data = resource.issuer_data.unwrap_or_default();
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
    let time = |pointer: &str| text(pointer).and_then(|text| At::parse(text).ok());
    let window = "/renewal_info/suggestedWindow";
    let ca_span = text("/ca").and_then(|ca| ca_span(bytes, ca));
    let ca_line = ca_span.as_ref().map(|span| bytes[..span.start].iter().filter(|b| **b == b'\n').count() + 1);
    Ok(Metadata {
        read: Some(Fingerprint::of(bytes)),
        sans: resource.sans.unwrap_or_default(),
        ca: text("/ca").map(str::to_owned),
        ca_span,
        ca_line: ca_line.and_then(|line| u32::try_from(line).ok()),
        selected: time("/renewal_info/_selectedTime"),
        window: time(&format!("{window}/start")).zip(time(&format!("{window}/end"))),
        ari_id: text("/renewal_info/_uniqueIdentifier").map(str::to_owned),
    })
}

/// The bytes without which the document is the same but for `issuer_data.ca`: proved by reading what is left.
fn ca_span(bytes: &[u8], ca: &str) -> Option<std::ops::Range<usize>> {
    let mut wanted: Value = serde_json::from_slice(bytes).ok()?;
    wanted.get_mut("issuer_data")?.as_object_mut()?.remove("ca")?;
    let value = serde_json::to_string(ca).ok()?;
    // Each is tried by reading all that is left.
    for start in memchr::memmem::find_iter(bytes, b"\"ca\"").take(16) {
        let rest = &bytes[start + 4..];
        let blanks = |rest: &[u8]| rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let colon = blanks(rest);
        let Some(after) = rest.get(colon..).and_then(|r| r.strip_prefix(b":")) else { continue };
        let Some(after) = after.get(blanks(after)..).and_then(|r| r.strip_prefix(value.as_bytes())) else { continue };
        let Some(after) = after.get(blanks(after)..).and_then(|r| r.strip_prefix(b",")) else { continue };
        let mut span = start..bytes.len() - after.len();
        // A line of its own leaves whole.
        let indent = bytes[..start].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if after.first() == Some(&b'\n') && (start == indent || bytes[start - indent - 1] == b'\n') {
            span = start - indent..span.end + 1;
        }
        let left = [&bytes[..span.start], &bytes[span.end..]].concat();
        if serde_json::from_slice::<Value>(&left).is_ok_and(|left| left == wanted) {
            return Some(span);
        }
    }
    None
}

/// What belongs to somebody else and is not open to the storage's user.
fn strangers(tree: &dyn Tree, storage: &mut Storage, user: &User) {
    let mut left = NAMES;
    // Only its own names: a Caddyfile may name a directory that holds other things too.
    let own = Storage::OWN.iter().rev().map(|name| (storage.path.join(name), DEPTH));
    let mut pending: Vec<(TreePath, usize)> = own.chain([(storage.path.clone(), 0)]).collect();
    while let Some((path, depth)) = pending.pop() {
        let Ok(Some(node)) = tree.node_nofollow(&path) else { continue };
        let needs = match node.kind {
            // Its own names are there already.
            NodeKind::Directory if path == storage.path => 0o5,
            NodeKind::Directory => 0o7,
            NodeKind::File(_) => 0o4,
            NodeKind::Link(_) | NodeKind::Other(_) => continue,
        };
        let has = |bits: u32| bits & needs == needs;
        let is_open = if node.uid == user.uid {
            has(node.mode >> 6)
        } else {
            // Of what groups somebody is besides the main one is not known here; root's is hardly one of them.
            has(node.mode) || (has(node.mode >> 3) && (node.gid == user.gid || node.gid != 0))
        };
        if !is_open && memchr::memmem::find(path.name(), ASIDE.as_bytes()).is_none() {
            storage.strangers_in_all += 1;
            if storage.strangers.len() < Storage::STRANGERS {
                storage.strangers.push(Stranger { path: path.clone(), owner: (node.uid, node.gid), mode: node.mode });
            }
        }
        if node.kind == NodeKind::Directory && depth > 0 {
            let names = tree.names_nofollow(&path).unwrap_or_default();
            left = left.saturating_sub(names.len());
            if left == 0 {
                return;
            }
            pending.extend(names.into_iter().rev().map(|name| (path.join(name), depth - 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{LiveDial, memory::MemoryTree};

    fn host(tree: &MemoryTree) -> Host<'_> {
        let dial = Box::leak(Box::new(LiveDial::new()));
        Host { tree, dial, live: false, public: false, at: At(0), now: At(1_800_000_000), timeout: 1, jobs: 1 }
    }

    fn place(user: Option<User>) -> Place {
        Place { path: "/s".into(), found_by: "a test".into(), user }
    }

    #[test]
    fn a_lock_is_read_as_by_gos_decoder() {
        let whole = lock(br#"{"created":"2026-11-22T01:00:00Z","updated":"2026-11-22T01:00:05.123456789+01:00"}"#);
        assert_eq!(whole, Ok(At::parse("2026-11-22T00:00:05Z").expect("a time")));
        let longer_before = br#"{"created":"2026-11-22T01:00:00Z","updated":"2026-11-22T01:00:05Z"}:05Z"}"#;
        assert!(lock(longer_before).is_ok(), "what follows the first value is not looked at");
        for bad in [&b"{\"created\""[..], b"\0\0\0", b"{\"updated\":\"yesterday\"}", b"[1]"] {
            assert!(matches!(lock(bad), Err(Defect::Malformed(..))), "{bad:?}");
        }
        assert_eq!(lock(b""), Err(Defect::Empty));
    }

    #[test]
    fn other_blocks_before_the_leaf_are_passed_over() {
        let own = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate").cert.pem();
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        assert_eq!(chain(format!("{parameters}{own}").as_bytes()).map(|c| c.len()), Ok(1));
        let cut = format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{own}");
        assert!(chain(cut.as_bytes()).is_err());
    }

    #[test]
    fn a_hostile_document_is_read_in_no_time() {
        let many = r#""ca":"x","#.repeat(100_000);
        let text = format!("{{\"a\":\"{}\",\"issuer_data\":{{\"ca\":\"x\",\"url\":\"u\"}}}}", many.replace('"', "\\\""));
        let found = metadata(text.as_bytes()).expect("JSON");
        assert_eq!(found.ca.as_deref(), Some("x"));
        let deep = "[".repeat(100_000);
        assert!(metadata(deep.as_bytes()).is_err() && lock(deep.as_bytes()).is_err());
    }

    #[test]
    fn what_lies_beside_a_storage_is_no_stranger() {
        let tree = MemoryTree::new();
        tree.put("/s/certificates", NodeKind::Directory, 0o777, Vec::new());
        tree.put("/s/database/private", NodeKind::File(1), 0o600, vec![0]);
        let user = User { name: "caddy".into(), uid: 998, gid: 997, because: "x".into() };
        let found = read(&host(&tree), place(Some(user.clone())), &mut 10).expect("looked at").expect("a storage");
        assert_eq!(found.strangers, []);
        tree.put("/s/certificates/ca/a.test/a.test.key", NodeKind::File(1), 0o600, vec![0]);
        let found = read(&host(&tree), place(Some(user)), &mut 10).expect("looked at").expect("a storage");
        let paths: Vec<String> = found.strangers.iter().map(|s| s.path.to_string()).collect();
        assert!(paths.contains(&"/s/certificates/ca/a.test/a.test.key".to_owned()), "{paths:?}");
    }

    #[test]
    fn more_folders_than_are_read_are_told() {
        let tree = MemoryTree::new();
        for n in 0..5 {
            tree.directory(format!("/s/certificates/ca/{n}.test").as_str());
        }
        let mut left = 3;
        let found = read(&host(&tree), place(None), &mut left).expect("looked at").expect("a storage");
        assert_eq!((found.sites.len(), found.unlisted.len(), left), (3, 1, 0));
    }
}
