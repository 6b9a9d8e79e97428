//! Debian, Ubuntu and their kin: `update-ca-certificates`, a shell script.
//!
//! The refresh follows the script line by line, odd ones included: it is to leave what the script would have left. Where its versions
//! differ in quoting, the newer one (20250419) is followed. `sort` is taken to sort by bytes, as in the C locale.

use std::io;

use super::{
    Kind,
    ca_certificates::{self, Family, Layout, Rules, family, full_directories, lines},
    deselect,
    draft::Draft,
    read::files_below,
    rehash,
};
use crate::{
    base::{Limits, TreePath},
    edit::Step,
    facts::{ConfLineKind, Store},
    format::jks,
    host::{NodeKind, ReadError, Tree},
};

/// The shell script's store.
pub const KIND: Kind = Kind {
    id: "debian",
    title: "Debian, Ubuntu: ca-certificates",
    about: "/etc/ca-certificates.conf selects among the certificates below /usr/share/ca-certificates; every .crt below \
            /usr/local/share/ca-certificates is taken too. update-ca-certificates makes from them the bundle \
            /etc/ssl/certs/ca-certificates.crt, a link for each certificate beside it, hash links to those, and through a hook Java's \
            cacerts. An anchor is taken out by a `!` before its line: only that survives upgrades and reaches all outputs. A local file \
            is removed, or the certificate is cut out of it when it holds others.",
    load,
    distrust: |tree, store, certificate, _| deselect::distrust(tree, store, certificate, &deselect::DEBIAN),
    refresh: |tree, fresh| refresh(tree, &Layout::standard(), fresh),
    refresh_command: |fresh| Some(if fresh { vec!["update-ca-certificates", "--fresh"] } else { vec!["update-ca-certificates"] }),
};

const RULES: Rules = Rules {
    kind: "debian",
    title: "Debian system store",
    line,
    takes_local: |name| name.ends_with(b".crt"),
    recursive: true,
    is_leftover: |name| name == b"ca-certificates.crt.new",
};

/// The hook of ca-certificates-java.
const JAVA_HOOK: &str = "jks-keystore";

fn load(tree: &dyn Tree) -> Option<Store> {
    (family(tree)? == Family::Debian).then(|| ca_certificates::load(tree, &Layout::standard(), &RULES))
}

/// A line as the script's `sed` and `read` take it: blanks at both ends don't count, and a last line without newline is never seen.
fn line(text: &[u8], ended: bool) -> ConfLineKind {
    match text {
        [] => ConfLineKind::Blank,
        [b'#', ..] => ConfLineKind::Comment,
        _ if !ended => ConfLineKind::Unseen(text.to_vec()),
        [b'!', name @ ..] => ConfLineKind::Deselected(trim(name).to_vec()),
        _ => match trim(text) {
            [] => ConfLineKind::Blank,
            name => ConfLineKind::Enabled(name.to_vec()),
        },
    }
}

/// What `read` leaves of a line.
fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |b: &&u8| matches!(b, b' ' | b'\t');
    let start = text.iter().take_while(is_blank).count();
    let end = text.len() - text[start..].iter().rev().take_while(is_blank).count();
    &text[start..end]
}

/// What `update-ca-certificates`, with `--fresh` if `fresh`, would do to the tree, as edits.
///
/// # Errors
/// A stale `ca-certificates.crt.new` that is no regular file: the script would write through it.
pub fn refresh(tree: &dyn Tree, layout: &Layout, fresh: bool) -> io::Result<Vec<Step>> {
    let Ok(etc) = tree.resolve(&TreePath::new(&layout.etc)) else { return Ok(Vec::new()) };
    if !matches!(etc.node.map(|n| n.kind), Some(NodeKind::Directory)) {
        return Ok(Vec::new());
    }
    let conf = match tree.read(&TreePath::new(&layout.conf), Limits::DEFAULT.file) {
        Ok((bytes, _)) => bytes,
        Err(ReadError::Io(e)) => return Err(e),
        Err(_) => Vec::new(),
    };
    let mut run = Run { draft: Draft::new(tree), layout, etc: etc.path, bundle: None, added: 0, removed: Vec::new() };
    run.draft.look_ahead(&full_directories(tree, layout));
    run.begin()?;
    if fresh || conf.is_empty() {
        run.clear_links();
    }
    // sed prints a last line without newline as it is, and `read` fails on it.
    let ended = || lines(&conf).filter(|(_, ended)| *ended).map(|(span, _)| &conf[span]).filter(|line| !line.is_empty());
    for name in ended().filter_map(|line| line.strip_prefix(b"!")) {
        run.remove(trim(name));
    }
    for name in ended().filter(|line| !matches!(line, [b'#' | b'!', ..])) {
        let certificate = [&layout.certs, &b"/"[..], trim(name)].concat();
        if matches!(run.draft.leads_to(&TreePath::new(&certificate)), Some(NodeKind::File(_))) && !certificate.ends_with(b"/") {
            run.add(&certificate);
        }
    }
    for path in files_below(tree, &TreePath::new(&layout.local)) {
        if path.name().ends_with(b".crt") {
            let below = &path.as_bytes()[TreePath::new(&layout.local).as_bytes().len()..];
            run.add(&[&layout.local, below].concat());
        }
    }
    Ok(run.finish())
}

/// The script's variables.
struct Run<'a> {
    draft: Draft<'a>,
    layout: &'a Layout,
    /// ETCCERTSDIR with links followed.
    etc: TreePath,
    /// The content of TEMPBUNDLE, once it exists.
    bundle: Option<Vec<u8>>,
    added: usize,
    /// The names of the links that `remove` took away.
    removed: Vec<Vec<u8>>,
}

impl Run<'_> {
    fn new_bundle_path(&self) -> TreePath {
        self.etc.join([&self.layout.bundle[..], b".new"].concat())
    }

    /// What an interrupted run left in TEMPBUNDLE is appended to.
    fn begin(&mut self) -> io::Result<()> {
        let path = self.new_bundle_path();
        match self.draft.node_nofollow(&path)?.map(|n| n.kind) {
            None => Ok(()),
            Some(NodeKind::File(_)) => {
                let (bytes, _) = self.draft.read_nofollow(&path, Limits::DEFAULT.file).map_err(io::Error::other)?;
                self.bundle = Some(bytes);
                Ok(())
            }
            Some(_) => Err(io::Error::other(format!("{path} is no regular file; remove it first"))),
        }
    }

    /// `--fresh`: links into the two source directories go, and then every link that leads to no file.
    fn clear_links(&mut self) {
        let mut links = Vec::new();
        links_below(&self.draft, &self.etc, &mut links);
        for (path, target) in &links {
            if target.starts_with(&self.layout.certs) || target.starts_with(&self.layout.local) {
                self.draft.remove(path.clone());
            }
        }
        for (path, _) in links {
            let is_there = self.draft.link_target(&path).is_some();
            if is_there && !matches!(self.draft.leads_to(&path), Some(NodeKind::File(_))) {
                self.draft.remove(path);
            }
        }
    }

    /// `remove`: without the mapping of characters that `add` does, so a name with a blank or parenthesis is not found.
    fn remove(&mut self, name: &[u8]) {
        let certificate = [&self.layout.certs, &b"/"[..], name].concat();
        let pem = [basename(&certificate), b".pem"].concat();
        let path = self.etc.join(&pem);
        if self.draft.link_target(&path).is_some() {
            self.draft.remove(path);
            self.removed.push(pem);
        }
    }

    fn add(&mut self, certificate: &[u8]) {
        let path = self.etc.join(pem_name(basename(certificate)));
        let exists = self.draft.leads_to(&path).is_some();
        if !exists || self.draft.link_target(&path).is_none_or(|target| target != certificate) {
            self.draft.link(path, certificate.to_vec());
            self.added += 1;
        }
        let Some(content) = self.draft.content(&TreePath::new(certificate)) else { return };
        let bundle = self.bundle.get_or_insert_default();
        bundle.extend_from_slice(&content);
        // sed '$a\'
        if content.last().is_some_and(|b| *b != b'\n') {
            bundle.push(b'\n');
        }
    }

    fn finish(mut self) -> Vec<Step> {
        let mut well = true;
        if self.added > 0 || !self.removed.is_empty() {
            let mut links = Vec::new();
            links_below(&self.draft, &self.etc, &mut links);
            for (path, _) in links {
                if self.draft.leads_to(&path).is_none() {
                    self.draft.remove(path);
                }
            }
            let etc = self.etc.clone();
            well = rehash::run(&mut self.draft, &etc);
        }
        // The trap takes TEMPBUNDLE away, and `set -e` ends the script before the bundle and the hooks when rehash fails.
        let new = self.new_bundle_path();
        self.draft.remove(new);
        if well {
            if let Some(bundle) = self.bundle.take() {
                self.draft.write(self.etc.join(&self.layout.bundle), bundle, 0o644);
            }
            self.tell_java();
        }
        self.draft.steps("update-ca-certificates")
    }

    /// The hook of ca-certificates-java removes the aliases of the links that are gone.
    fn tell_java(&mut self) {
        let hook = TreePath::new(&self.layout.hooks).join(JAVA_HOOK);
        if !java_follows(&self.draft) {
            return;
        }
        let executable = self.draft.resolve(&hook).ok().and_then(|r| r.node).is_some_and(|n| n.mode & 0o111 != 0);
        let Ok(keystore) = self.draft.resolve(&self.etc.join("java/cacerts")) else { return };
        let Some(bytes) = self.draft.content(&keystore.path).filter(|_| executable) else { return };
        let present = jks::entries(&bytes).unwrap_or_default();
        let aliases: Vec<String> = self.removed.iter().map(|pem| java_alias(pem)).collect();
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).filter(|a| present.iter().any(|e| e.alias == *a)).collect();
        if aliases.is_empty() {
            return;
        }
        // With a password of the administrator's own the hook knows more than we do, and the entry stays.
        if let Ok(bytes) = jks::remove(&bytes, &aliases) {
            let mode = keystore.node.map_or(0o644, |n| n.mode);
            self.draft.write(keystore.path, bytes, mode);
        }
    }
}

/// Whether the administrator lets Java's keystore follow: the hook reads `cacerts_updates` of `/etc/default/cacerts`, which comes with it.
pub(super) fn java_follows(tree: &dyn Tree) -> bool {
    let Ok((settings, _)) = tree.read(&"/etc/default/cacerts".into(), Limits::DEFAULT.file) else { return true };
    let mut values = settings.split(|b| *b == b'\n').filter_map(|line| line.trim_ascii().strip_prefix(b"cacerts_updates="));
    values.next_back().is_some_and(|value| matches!(value, b"yes" | b"'yes'" | b"\"yes\""))
}

/// The alias that the Java hook gives to the certificate of a link.
pub(super) fn java_alias(pem: &[u8]) -> String {
    format!("debian:{}", String::from_utf8_lossy(pem)).to_lowercase()
}

/// `basename "$CERT" .crt`
fn basename(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |n| n + 1);
    let name = path[..end].rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.strip_suffix(b".crt").filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// The link's name for a stem: blank and comma become `_`, parentheses `=`.
pub(super) fn pem_name(stem: &[u8]) -> Vec<u8> {
    let mapped = stem.iter().map(|b| match b {
        b' ' | b',' => b'_',
        b'(' | b')' => b'=',
        other => *other,
    });
    mapped.chain(*b".pem").collect()
}

/// Every link in `directory` and the directories below it, as `find -type l` shows them.
fn links_below(tree: &Draft<'_>, directory: &TreePath, found: &mut Vec<(TreePath, Vec<u8>)>) {
    for name in tree.names_nofollow(directory).unwrap_or_default() {
        let path = directory.child(&name);
        match tree.node_nofollow(&path).ok().flatten().map(|n| n.kind) {
            Some(NodeKind::Link(target)) => found.push((path, target)),
            Some(NodeKind::Directory) => links_below(tree, &path, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_as_the_script() {
        let names = |text: &[u8]| line(text, true);
        assert_eq!(names(b"  mozilla/X.crt\t"), ConfLineKind::Enabled(b"mozilla/X.crt".to_vec()));
        assert_eq!(names(b"! mozilla/X.crt"), ConfLineKind::Deselected(b"mozilla/X.crt".to_vec()));
        assert_eq!(names(b" #x"), ConfLineKind::Enabled(b"#x".to_vec()));
        assert_eq!(names(b"x.crt\r"), ConfLineKind::Enabled(b"x.crt\r".to_vec()));
        assert_eq!(names(b" \t"), ConfLineKind::Blank);
        assert_eq!(line(b"x.crt", false), ConfLineKind::Unseen(b"x.crt".to_vec()));
    }

    #[test]
    fn java_follows_where_it_may() {
        let tree = crate::host::memory::MemoryTree::new();
        assert!(java_follows(&tree));
        for (settings, follows) in
            [("# cacerts_updates=no\ncacerts_updates=yes\n", true), ("cacerts_updates=no\n", false), ("storepass=x\n", false)]
        {
            tree.file("/etc/default/cacerts", settings);
            assert_eq!(java_follows(&tree), follows, "{settings}");
        }
    }

    #[test]
    fn names_links_as_the_script() {
        assert_eq!(basename(b"/a/b.crt"), b"b");
        assert_eq!(basename(b"/a/.crt"), b".crt");
        assert_eq!(basename(b"/usr/share/ca-certificates/"), b"ca-certificates");
        assert_eq!(pem_name(b"My Root (1), x"), b"My_Root_=1=__x.pem");
    }
}
