//! The files that `ssl_certificate` and `ssl_certificate_key` name, read as `ngx_ssl_certificate` does (src/event/ngx_event_openssl.c).

use std::collections::BTreeSet;

use crate::{
    base::{Fingerprint, Limits, TreePath},
    facts::{
        Content, Quirk,
        renewal::nginx::{Directive, Instance, Key, KeyState, Leaves, Pair, PemFile, PemState},
    },
    format::{
        Interner, pem,
        private_key::{PublicHalf, public_half},
    },
    host::{ReadError, Tree},
    nginx::Model,
};

/// Pairs that are loaded.
const PAIRS: usize = 10_000;

/// Every pair of the instance's servers, each directive once.
pub(super) fn load_all(tree: &dyn Tree, instance: &Instance) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut known = BTreeSet::new();
    let interner = Interner::default();
    let model = Model::new(instance);
    for server in instance.servers().into_iter().chain(instance.other_servers()) {
        let keys = model.inherited(server, "ssl_certificate_key");
        let phrase = !model.inherited(server, "ssl_password_file").is_empty();
        for (n, directive) in model.inherited(server, "ssl_certificate").into_iter().enumerate() {
            let is_new = pairs.len() < PAIRS && known.insert((directive.file, directive.span.start));
            let Some(path) = path(instance, directive).filter(|_| is_new) else { continue };
            let key = keys.get(n).and_then(|d| self::path(instance, d));
            // An engine's or a variable's key is nothing to look at.
            let key = key.map(|path| Key { state: key_state(tree, &path, phrase), path });
            pairs.push(Pair {
                file: directive.file,
                start: directive.span.start,
                certificate: certificate(tree, path, &interner),
                key,
            });
        }
    }
    pairs
}

/// The file that is named, if one is: a variable (`$acme_certificate` of ngx_http_acme_module among them), `data:`, `engine:` and
/// `store:` are none.
fn path(instance: &Instance, directive: &Directive) -> Option<TreePath> {
    let text = directive.argument(0)?;
    let is_file =
        !text.contains('$') && !text.contains('\u{fffd}') && !["data:", "engine:", "store:"].iter().any(|p| text.starts_with(p));
    is_file.then(|| instance.from_conf(text))
}

fn certificate(tree: &dyn Tree, path: TreePath, interner: &Interner) -> PemFile {
    let real = tree.resolve(&path).map_or_else(|_| path.clone(), |r| r.path);
    let state = match tree.read(&path, Limits::DEFAULT.file) {
        Ok((bytes, resolved)) => {
            let scan = pem::scan(&bytes, interner);
            let mut chain = Vec::new();
            for entry in &scan.entries {
                if let Content::Certificate(certificate) = &entry.content {
                    chain.push(certificate.clone());
                }
            }
            let bad = scan.entries.iter().any(|e| matches!(e.content, Content::Opaque(_)));
            let refused = match () {
                () if chain.is_empty() && !begins(&bytes) => Some("no start line"),
                () if scan.quirks.contains(&Quirk::JoinedBlocks) || scan.quirks.contains(&Quirk::Unterminated) => {
                    Some("bad end line")
                }
                () if bad => Some("a block that OpenSSL can't decode"),
                () if chain.is_empty() => Some("no start line"),
                () => None,
            };
            let modified = resolved.node.map_or(crate::base::At(0), |n| n.modified);
            PemState::Read(Leaves { chain, refused, read: Fingerprint::of(&bytes), modified })
        }
        Err(e) => match missing(&e) {
            true => PemState::Missing,
            false if is_directory(&e) => PemState::Read(Leaves {
                chain: Vec::new(),
                refused: Some("no start line"),
                read: Fingerprint::of(b""),
                modified: crate::base::At(0),
            }),
            false => PemState::Unreadable(e.to_string()),
        },
    };
    PemFile { path, real, state }
}

/// Whether a line is the beginning of a block and nothing else, as OpenSSL demands (`get_name` in crypto/pem/pem_lib.c).
fn begins(bytes: &[u8]) -> bool {
    let is_begin = |line: &[u8]| {
        let label = line.trim_ascii_end().strip_prefix(b"-----BEGIN ").and_then(|l| l.strip_suffix(b"-----"));
        label.is_some_and(|label| memchr::memmem::find(label, b"-----").is_none() && label.ends_with(b"CERTIFICATE"))
    };
    bytes.split(|b| *b == b'\n').any(is_begin)
}

/// `fopen` opens a directory, and then nothing can be read.
fn is_directory(error: &ReadError) -> bool {
    matches!(error, ReadError::NotAFile("directory"))
}

fn missing(error: &ReadError) -> bool {
    matches!(error, ReadError::Missing)
}

fn key_state(tree: &dyn Tree, path: &TreePath, phrase: bool) -> KeyState {
    match tree.read(path, Limits::DEFAULT.file) {
        Ok((bytes, _)) => match public_half(&bytes) {
            PublicHalf::Encrypted if phrase => KeyState::Unknown,
            PublicHalf::Encrypted => KeyState::Encrypted,
            PublicHalf::Known(half) => KeyState::Public(half),
            PublicHalf::NotAKey(why) => KeyState::Refused(why),
            PublicHalf::Unknown => KeyState::Unknown,
        },
        Err(e) if missing(&e) => KeyState::Missing,
        Err(e) if is_directory(&e) => KeyState::Refused("no start line"),
        Err(e) => KeyState::Unreadable(e.to_string()),
    }
}
