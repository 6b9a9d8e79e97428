//! What `openssl rehash` (apps/rehash.c) and Alpine's `c_rehash`, its forerunner, make of a directory: `hash.N` links.
//!
//! Numbers that links have already are kept; files are taken in the order of the directory. A file counts if its name ends with a
//! known extension and it holds exactly one certificate or CRL; the second copy of a certificate is left out.

use std::collections::BTreeMap;

use super::draft::Draft;
use crate::{
    base::{Fingerprint, TreePath},
    facts::{Content, Entry},
    format::{Interner, pem},
    host::{NodeKind, Tree},
    x509::{Name, read_tlv},
};

const EXTENSIONS: [&[u8]; 4] = [b"pem", b"crt", b"cer", b"crl"];
/// `old_id` of an entry that no link leads to.
const NONE: u16 = u16::MAX;
/// `MAX_COLLISIONS`
const MAX_COLLISIONS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Certificate,
    Crl,
}

/// A file, or the target of a hash link.
struct Candidate {
    filename: Vec<u8>,
    old_id: u16,
    /// Set when the file was read and wants a link.
    digest: Option<Fingerprint>,
}

#[derive(Default)]
struct Buckets(BTreeMap<(u32, Kind), Vec<Candidate>>);

/// Makes, keeps and removes the hash links of the real directory `directory`. Returns whether the tool would report success: it does
/// not for a file that holds a private key alone, and Debian's script stops then.
pub(super) fn run(draft: &mut Draft<'_>, directory: &TreePath) -> bool {
    let mut buckets = Buckets::default();
    let mut well = true;
    let interner = Interner::default();
    for name in draft.names_unsorted_nofollow(directory).unwrap_or_default() {
        let path = directory.child(&name);
        if let Some((hash, kind, id)) = hash_link(&name)
            && let Some(target) = draft.link_target(&path)
        {
            well &= buckets.add(hash, kind, &target, None, id);
            continue;
        }
        match candidate(draft, &path, &name, &interner) {
            Found::Nothing => {}
            Found::Failure => well = false,
            Found::One(hash, kind, digest) => well &= buckets.add(hash, kind, &name, Some(digest), NONE),
        }
    }
    for ((hash, kind), candidates) in buckets.0 {
        link_bucket(draft, directory, hash, kind, candidates);
    }
    well
}

fn link_bucket(draft: &mut Draft<'_>, directory: &TreePath, hash: u32, kind: Kind, candidates: Vec<Candidate>) {
    let suffix = if kind == Kind::Crl { "r" } else { "" };
    let path = |id: usize| directory.join(format!("{hash:08x}.{suffix}{id}"));
    let needed = candidates.iter().filter(|c| c.digest.is_some()).count();
    let kept = |c: &Candidate| usize::from(c.old_id) < needed;
    let mut taken: Vec<usize> = candidates.iter().filter(|c| kept(c)).map(|c| usize::from(c.old_id)).collect();
    for candidate in candidates {
        if kept(&candidate) {
            continue;
        }
        if candidate.digest.is_some() {
            let Some(id) = (0..).find(|id| !taken.contains(id)) else { continue };
            draft.link(path(id), candidate.filename);
            taken.push(id);
        } else {
            draft.remove(path(usize::from(candidate.old_id)));
        }
    }
}

impl Buckets {
    /// `add_entry`; false when a hash has too many certificates.
    fn add(&mut self, hash: u32, kind: Kind, filename: &[u8], digest: Option<Fingerprint>, old_id: u16) -> bool {
        let bucket = self.0.entry((hash, kind)).or_default();
        let needed = bucket.iter().filter(|c| c.digest.is_some()).count();
        if digest.is_some() && bucket.iter().any(|c| c.digest == digest) {
            return true;
        }
        let at = bucket.iter().position(|c| c.filename == filename);
        let candidate = match at {
            Some(at) => &mut bucket[at],
            None if needed >= MAX_COLLISIONS => return false,
            None => {
                bucket.push(Candidate { filename: filename.to_vec(), old_id: NONE, digest: None });
                let Some(last) = bucket.last_mut() else { return false };
                last
            }
        };
        candidate.old_id = candidate.old_id.min(old_id);
        if candidate.digest.is_none() {
            candidate.digest = digest;
        }
        true
    }
}

/// `handle_symlink`: eight hexadecimal digits of either case, a dot, `r` for a CRL, a number.
fn hash_link(name: &[u8]) -> Option<(u32, Kind, u16)> {
    let (hash, rest) = name.split_at_checked(8)?;
    let rest = rest.strip_prefix(b".")?;
    if !hash.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let hash = u32::from_str_radix(std::str::from_utf8(hash).ok()?, 16).ok()?;
    let (kind, digits) = match rest {
        [b'r' | b'R', digits @ ..] => (Kind::Crl, digits),
        digits => (Kind::Certificate, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // strtoul reads nothing as 0.
    let id = if digits.is_empty() { 0 } else { std::str::from_utf8(digits).ok()?.parse().unwrap_or(NONE) };
    Some((hash, kind, id))
}

enum Found {
    /// The tool looks elsewhere or skips with a warning.
    Nothing,
    /// The tool counts an error.
    Failure,
    One(u32, Kind, Fingerprint),
}

/// `do_file`
fn candidate(draft: &Draft<'_>, path: &TreePath, name: &[u8], interner: &Interner) -> Found {
    let Some(dot) = memchr::memrchr(b'.', name) else { return Found::Nothing };
    if !EXTENSIONS.iter().any(|e| name[dot + 1..].eq_ignore_ascii_case(e)) {
        return Found::Nothing;
    }
    let bytes = match draft.file_at(path) {
        Ok(bytes) => bytes,
        // A directory can be opened, and then holds nothing.
        Err(Some(NodeKind::Directory)) => return Found::Nothing,
        Err(_) => return Found::Failure,
    };
    // Of a bundle no certificate needs to be decoded to know that it holds more than one.
    if pem::blocks(&bytes).filter(pem::Block::is_certificate).nth(1).is_some() {
        return Found::Nothing;
    }
    let scan = pem::scan(&bytes, interner);
    let unreadable = |e: &Entry| matches!(e.content, Content::Opaque(_));
    if scan.quirks.contains(&crate::facts::Quirk::JoinedBlocks) || scan.entries.iter().any(unreadable) {
        return Found::Nothing;
    }
    // PEM_X509_INFO_read_bio gathers one certificate, one CRL and one key in each X509_INFO.
    let mut infos = [0usize; 3];
    for entry in &scan.entries {
        let kind = match &entry.content {
            Content::Certificate(_) => 0,
            Content::Crl => 1,
            Content::PrivateKey => 2,
            Content::Opaque(_) | Content::Other(_) => continue,
        };
        // A second one of a kind begins the next X509_INFO, and then no file is taken any more.
        infos[kind] += 1;
        if infos[kind] > 1 {
            return Found::Nothing;
        }
    }
    let certificate = scan.entries.iter().find_map(|e| match &e.content {
        Content::Certificate(c) => Some(c),
        _ => None,
    });
    match (certificate, infos) {
        (Some(certificate), _) => Found::One(certificate.subject().openssl_hash(), Kind::Certificate, certificate.fingerprint()),
        (None, [_, 1, _]) => crl(&bytes).unwrap_or(Found::Nothing),
        (None, [_, _, 1]) => Found::Failure,
        _ => Found::Nothing,
    }
}

/// The first CRL of a file: hashed by its issuer.
fn crl(bytes: &[u8]) -> Option<Found> {
    let block = pem::blocks(bytes).find(|b| b.label == b"X509 CRL")?;
    let mut der = Vec::new();
    pem::decode(block.body.ok()?, &mut der).ok()?;
    let (list, _) = read_tlv(&der)?;
    let (tbs, _) = read_tlv(list.value)?;
    // TBSCertList ::= SEQUENCE { version INTEGER OPTIONAL, signature, issuer, … }
    let (mut element, mut rest) = read_tlv(tbs.value)?;
    if element.tag == 0x02 {
        (element, rest) = read_tlv(rest)?;
    }
    if element.tag != 0x30 {
        return None;
    }
    let (issuer, _) = read_tlv(rest)?;
    Some(Found::One(Name::new(issuer.whole).openssl_hash(), Kind::Crl, Fingerprint::of(list.whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    fn single(name: &str) -> Vec<u8> {
        let path = format!("{}/fixtures/bundles/single/{name}.crt", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).expect("a fixture")
    }

    fn links(tree: &MemoryTree) -> Vec<(String, String)> {
        let mut draft = Draft::new(tree);
        assert!(run(&mut draft, &"/c".into()));
        let names = draft.names_nofollow(&"/c".into()).expect("listed");
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let target = |name: &Vec<u8>| draft.link_target(&TreePath::from("/c").join(name));
        names.iter().filter_map(|name| Some((text(name), text(&target(name)?)))).collect()
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn keeps_numbers_and_drops_links_without_need() {
        let tree = MemoryTree::new();
        tree.file("/c/a.pem", single("DST_Root_CA_X3"));
        tree.file("/c/b.PEM", single("DST_Root_CA_X3"));
        tree.file("/c/c.txt", single("ISRG_Root_X1"));
        tree.symlink("/c/deadbeef.0", "nowhere");
        assert_eq!(links(&tree), [pair("2e5ac55d.0", "a.pem")]);
        tree.symlink("/c/2e5ac55d.3", "a.pem");
        assert_eq!(links(&tree), [pair("2e5ac55d.0", "a.pem"), pair("2e5ac55d.3", "a.pem")]);
    }

    #[test]
    fn counts_as_the_tool_does() {
        let tree = MemoryTree::new();
        let key = "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n";
        tree.file("/c/both.pem", [&single("DST_Root_CA_X3"), key.as_bytes()].concat());
        tree.file("/c/two.pem", [single("DST_Root_CA_X3"), single("ISRG_Root_X1")].concat());
        assert_eq!(links(&tree), [pair("2e5ac55d.0", "both.pem")]);
        tree.file("/c/key.pem", key);
        assert!(!run(&mut Draft::new(&tree), &"/c".into()));
    }
}
