//! What Debian's and Alpine's `ca-certificates` have in common: the same paths, the same configuration file, other rules.

use std::collections::BTreeSet;

use super::{
    hash_directory,
    read::{Reader, text},
};
use crate::{
    base::{Limits, NameSet, PathSet, TreePath},
    facts::{CertFile, ConfLine, ConfLineKind, Configuration, FileState, Selection, Source, SourceOwner, Store, Upkeep},
    host::{NodeKind, Tree, meanwhile},
};

/// Where a tool of this family reads and writes. Directories are text, since links are written with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `CERTSCONF`
    pub conf: Vec<u8>,
    /// `CERTSDIR`, without a slash at the end.
    pub certs: Vec<u8>,
    /// `LOCALCERTSDIR`
    pub local: Vec<u8>,
    /// `ETCCERTSDIR`
    pub etc: Vec<u8>,
    /// `CERTBUNDLE`, a name in `etc`.
    pub bundle: Vec<u8>,
    /// `HOOKSDIR`
    pub hooks: Vec<u8>,
}

impl Layout {
    /// The compiled-in paths, the same on Debian and Alpine.
    #[must_use]
    pub fn standard() -> Self {
        Layout::below("")
    }

    /// The standard paths behind a prefix, as Debian 13's `--sysroot` puts it (`DIR/` before each path, hence two slashes).
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        let at = |path: &str| format!("{prefix}{path}").into_bytes();
        Layout {
            conf: at("/etc/ca-certificates.conf"),
            certs: at("/usr/share/ca-certificates"),
            local: at("/usr/local/share/ca-certificates"),
            etc: at("/etc/ssl/certs"),
            bundle: b"ca-certificates.crt".to_vec(),
            hooks: at("/etc/ca-certificates/update.d"),
        }
    }

    /// The bundle's path.
    #[must_use]
    pub fn bundle_path(&self) -> TreePath {
        TreePath::new(&self.etc).join(&self.bundle)
    }
}

/// Whose tool keeps this tree's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The C program.
    Alpine,
    /// The shell script.
    Debian,
}

/// Recognises the family by files: os-release is asked last, because an image may carry another system's.
#[must_use]
pub fn family(tree: &dyn Tree) -> Option<Family> {
    let layout = Layout::standard();
    let mozilla = TreePath::new(&layout.certs).join("mozilla");
    if !tree.exists(&TreePath::new(&layout.conf)) && !tree.exists(&mozilla) {
        return None;
    }
    match text(tree, "/usr/sbin/update-ca-certificates") {
        Some(tool) if tool.starts_with(b"#!") => return Some(Family::Debian),
        Some(tool) if tool.starts_with(b"\x7fELF") => return Some(Family::Alpine),
        _ => {}
    }
    let names = tree.resolve(&TreePath::new(&layout.etc)).ok().and_then(|r| tree.list_nofollow(&r.path).ok());
    if names.iter().flat_map(|names| names.iter()).any(|(name, _)| name.starts_with(b"ca-cert-"))
        || tree.exists(&"/etc/alpine-release".into())
    {
        return Some(Family::Alpine);
    }
    let release = ["/etc/os-release", "/usr/lib/os-release"].into_iter().find_map(|path| text(tree, path)).unwrap_or_default();
    let id = release.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"ID=")).unwrap_or_default();
    let id = String::from_utf8_lossy(id).trim_matches(['"', '\'', ' ']).to_owned();
    Some(if matches!(id.as_str(), "alpine" | "wolfi" | "chainguard") { Family::Alpine } else { Family::Debian })
}

/// The rules in which the two differ.
pub struct Rules {
    /// The kind's identifier.
    pub kind: &'static str,
    /// The store's name for people.
    pub title: &'static str,
    /// What a configuration line means; the flag says whether a newline ends it.
    pub line: fn(&[u8], bool) -> ConfLineKind,
    /// Whether a file of the local directory is taken, by its path below it.
    pub takes_local: fn(&[u8]) -> bool,
    /// Whether the local directory's folders are entered.
    pub recursive: bool,
    /// Whether a name in `/etc/ssl/certs` was left by an interrupted run.
    pub is_leftover: fn(&[u8]) -> bool,
}

/// Loads the whole store.
#[must_use]
pub fn load(tree: &dyn Tree, layout: &Layout, rules: &Rules) -> Store {
    let mut reader = Reader::new(tree);
    let configuration = configuration(tree, layout, rules);
    let etc = TreePath::new(&layout.etc);
    let (ahead, sources) = meanwhile(reader.ahead(&etc, &layout.bundle), || {
        let mut sources = package_sources(&mut reader, layout, configuration.as_ref());
        sources.extend(local_sources(tree, &mut reader, layout, rules));
        sources
    });
    if let Some(seen) = ahead.flatten() {
        reader.take(seen);
    }
    // Before the directory, in which it lies: so it is read once.
    let bundle = Some(reader.bundle(&layout.bundle_path()));
    let directory = hash_directory::load(&mut reader, &etc);
    let names = directory.iter().flat_map(|d| &d.entries).map(|e| &e.name);
    let leftovers = names.filter(|name| (rules.is_leftover)(name)).map(|name| etc.join(name)).collect();
    let java = reader.file(&etc.join("java/cacerts"));
    Store {
        kind: rules.kind,
        title: rules.title.to_owned(),
        location: etc,
        upkeep: Upkeep::Generated { by: "update-ca-certificates" },
        unread: configuration
            .is_none()
            .then(|| reader.file(&TreePath::new(&layout.conf)))
            .filter(|f| f.state != FileState::Missing),
        configuration,
        sources,
        bundle,
        directory,
        derived: Some(java).filter(|file| file.state != FileState::Missing).into_iter().collect(),
        leftovers,
        seen: Default::default(),
    }
}

/// The two real directories in which nearly everything of a store lies: the package's certificates and the hash directory.
pub(super) fn full_directories(tree: &dyn Tree, layout: &Layout) -> Vec<TreePath> {
    let named = [TreePath::new(&layout.certs).join("mozilla"), TreePath::new(&layout.etc)];
    let real: BTreeSet<TreePath> = named.iter().filter_map(|d| tree.resolve(d).ok()).map(|r| r.path).collect();
    real.into_iter().collect()
}

fn configuration(tree: &dyn Tree, layout: &Layout, rules: &Rules) -> Option<Configuration> {
    let path = TreePath::new(&layout.conf);
    let (bytes, _) = tree.read(&path, Limits::DEFAULT.file).ok()?;
    let parked = path.parent().join([path.name(), b".apk-new"].concat());
    let parked = tree.exists(&parked).then_some(parked);
    let lines = lines(&bytes).zip(1..).map(|((span, ended), number)| ConfLine {
        number,
        kind: (rules.line)(&bytes[span.clone()], ended),
        span,
    });
    let lines = lines.collect();
    Some(Configuration { path, lines, bytes, parked })
}

/// Each line without its newline, and whether it has one.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = (std::ops::Range<usize>, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let newline = memchr::memchr(b'\n', &bytes[at..]).map(|n| at + n);
        let line = at..newline.unwrap_or(bytes.len());
        at = line.end + 1;
        Some((line, newline.is_some()))
    })
}

/// First what the lines name, in their order, then what lies in the package's directory and no line names.
fn package_sources(reader: &mut Reader<'_>, layout: &Layout, configuration: Option<&Configuration>) -> Vec<Source> {
    let certs = TreePath::new(&layout.certs);
    let files = reader.files_below(&certs);
    let mut named = PathSet::default();
    let mut sources = Vec::with_capacity(files.len());
    let lines = configuration.map(|c| c.lines.as_slice()).unwrap_or_default();
    let enabled: NameSet<'_> = lines
        .iter()
        .filter_map(|l| match &l.kind {
            ConfLineKind::Enabled(name) => Some(&name[..]),
            _ => None,
        })
        .collect();
    for line in lines {
        let (name, selection) = match &line.kind {
            ConfLineKind::Enabled(name) => (name.clone(), Selection::Enabled),
            ConfLineKind::Deselected(name) if !enabled.contains(&name[..]) => (name.clone(), Selection::Deselected),
            ConfLineKind::Unseen(text) => (text.trim_ascii().to_vec(), Selection::Unlisted),
            ConfLineKind::Comment => {
                let text = configuration.map(|c| &c.bytes[line.span.clone()]).unwrap_or_default();
                (text.trim_ascii_start().trim_prefix_bytes(b'#').trim_ascii().to_vec(), Selection::Commented)
            }
            ConfLineKind::Blank | ConfLineKind::Deselected(_) => continue,
        };
        let path = certs.join(name.trim_start_slashes());
        // A missing file matters only where the tool looks for it; a comment is a comment unless it names a certificate.
        if selection != Selection::Enabled && (name.is_empty() || files.binary_search(&path).is_err()) {
            continue;
        }
        if selection == Selection::Commented && enabled.contains(&name[..]) {
            continue;
        }
        named.insert(path.clone());
        let file = reader.file(&path);
        sources.push(Source { name, owner: SourceOwner::Package, selection, line: Some(line.number), file });
    }
    for path in files.iter().filter(|p| !named.contains(*p) && p.name().ends_with(b".crt")) {
        let name = below(&certs, path);
        let file = reader.file(path);
        sources.push(Source { name, owner: SourceOwner::Package, selection: Selection::Unlisted, line: None, file });
    }
    sources
}

fn local_sources(tree: &dyn Tree, reader: &mut Reader<'_>, layout: &Layout, rules: &Rules) -> Vec<Source> {
    let local = TreePath::new(&layout.local);
    let mut paths = reader.files_below(&local);
    // What is no file under a name that promises one: somebody wanted it trusted, and Alpine's tool stumbles over it.
    if let Some(real) = tree.resolve(&local).ok().map(|r| r.path) {
        for (name, _) in reader.list(&real).iter().flat_map(|names| names.iter()) {
            let (path, place) = (local.join(name), real.join(name));
            let kind = |found: Option<crate::host::Node>| found.map(|n| n.kind);
            let is_odd = match kind(tree.node_nofollow(&place).ok().flatten()) {
                Some(NodeKind::Link(_)) => {
                    let end = tree.resolve(&place).ok().and_then(|r| kind(r.node));
                    end.is_none() || matches!(end, Some(NodeKind::Other(_)))
                }
                Some(NodeKind::Other(_)) => true,
                Some(NodeKind::Directory) => (rules.takes_local)(name),
                _ => false,
            };
            if is_odd {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let sources = paths.into_iter().map(|path| {
        let name = below(&local, &path);
        let nested = name.contains(&b'/');
        let file = reader.file(&path);
        // `find -L -type f` of Debian's script lists files only.
        let listed = !rules.recursive || !matches!(file.state, FileState::NotAFile(_));
        let taken = listed && (rules.takes_local)(&name) && (rules.recursive || !nested);
        let selection = if taken { Selection::Enabled } else { Selection::Ignored };
        Source { name, owner: SourceOwner::Local, selection, line: None, file }
    });
    sources.collect()
}

/// The path of `path` below `directory`.
fn below(directory: &TreePath, path: &TreePath) -> Vec<u8> {
    path.as_bytes().get(directory.as_bytes().len() + 1..).unwrap_or_default().to_vec()
}

/// Whether a file holds the certificate.
#[must_use]
pub fn holds(file: &CertFile, certificate: &crate::x509::Certificate) -> bool {
    file.certificates().any(|(_, c)| c == certificate)
}

/// Trimming that the standard library has for text only.
trait Trim {
    fn trim_prefix_bytes(&self, byte: u8) -> &[u8];
    fn trim_start_slashes(&self) -> &[u8];
}

impl Trim for [u8] {
    fn trim_prefix_bytes(&self, byte: u8) -> &[u8] {
        let n = self.iter().take_while(|b| **b == byte).count();
        &self[n..]
    }

    fn trim_start_slashes(&self) -> &[u8] {
        self.trim_prefix_bytes(b'/')
    }
}
