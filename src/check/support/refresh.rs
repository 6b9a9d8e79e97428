//! What the next run of a store's refresh tool would do: advice must not destroy a store or make a key known.

use std::collections::BTreeSet;

use crate::{
    base::{Fingerprint, NameSet, TreePath},
    edit::Applicability,
    facts::{
        CertFile, ConfLine, ConfLineKind, Content, DirectoryEntry, FileState, Quirk, Selection, Source, SourceOwner, Store,
        Upkeep,
    },
    finding::{Intent, Remedy},
    x509::Certificate,
};

use super::{count, refresh};

/// What has been put right before a refresh, as far as its effect depends on it.
#[derive(Clone, Copy, Default)]
pub(in crate::check) struct Mended<'a> {
    /// The carriage returns are out of the configuration.
    pub(in crate::check) line_ends: bool,
    /// The last line of the configuration has its newline.
    pub(in crate::check) last_line: bool,
    /// The deleted and commented lines are back (`true`), or deselect by `!` (`false`).
    pub(in crate::check) lines_back: Option<bool>,
    /// This source is a clean certificate file now.
    pub(in crate::check) file: Option<&'a TreePath>,
    /// These certificates have got a source.
    pub(in crate::check) sourced: &'a [&'a Certificate],
    /// What an interrupted run left is gone.
    pub(in crate::check) leftovers: bool,
}

/// What the next run of a store's refresh tool does.
#[derive(Debug, Default)]
pub(in crate::check) struct Effect<'s> {
    /// What it takes out of the bundle or the hash directory although nobody deselected it.
    pub(in crate::check) vanish: Vec<&'s Certificate>,
    /// What it brings into the bundle.
    pub(in crate::check) appear: Vec<&'s Certificate>,
    /// A source whose private key it copies into the bundle, which everybody can read.
    pub(in crate::check) leaks: Option<&'s TreePath>,
    /// A source, or what an interrupted run left, that must not get into the bundle.
    pub(in crate::check) spoils: Option<&'s TreePath>,
}

impl Effect<'_> {
    /// The harm, in words; `None` when there is none.
    pub(in crate::check) fn harm(&self) -> Option<String> {
        let mut vanish: Vec<String> = self.vanish.iter().map(|c| c.label()).collect();
        vanish.sort();
        match (&vanish[..], self.leaks, self.spoils) {
            (_, Some(path), _) => Some(format!("copies the private key of {path} into the bundle")),
            ([only], ..) => Some(format!("takes {only} out")),
            ([_, _, ..], ..) => Some(format!("takes {} out", count(vanish.len(), "certificate"))),
            (_, _, Some(path)) => Some(format!("puts {path} into the bundle as it is")),
            ([], None, None) => None,
        }
    }
}

/// What the refresh tool (on Debian with `--fresh` if `fresh`) does to this store once `mended` is done. Worked out from what was
/// read: a refresh is only advised when it does no harm.
pub(in crate::check) fn refresh_effect<'s>(store: &'s Store, fresh: bool, mended: &Mended<'_>) -> Effect<'s> {
    let mut effect = Effect::default();
    let debian = store.kind == "debian";
    let taken: Vec<&Source> = store.sources.iter().filter(|s| selection(store, s, mended) == Selection::Enabled).collect();
    let held = |sources: &[&'s Source]| -> BTreeSet<Fingerprint> {
        sources.iter().flat_map(|s| s.file.certificates()).map(|(_, c)| c.fingerprint()).collect()
    };
    let after = held(&taken);
    let deselected: Vec<&Source> =
        store.sources.iter().filter(|s| selection(store, s, mended) == Selection::Deselected).collect();
    let deselected = held(&deselected);
    let lost = |c: &&Certificate| {
        let print = c.fingerprint();
        let kept = after.contains(&print) || deselected.contains(&print) || mended.sourced.contains(c);
        !kept && !is_removed_local(store, c)
    };
    let mut vanish: Vec<&Certificate> = Vec::new();
    // Debian's script writes no bundle when it found no file; Alpine's program writes an empty one.
    let rewritten = !debian || taken.iter().any(|s| s.file.is_read()) || !mended.sourced.is_empty();
    if rewritten {
        vanish.extend(store.bundle.iter().flat_map(CertFile::certificates).map(|(_, c)| c).filter(lost));
    }
    // Debian's plain run takes only links away that lead nowhere, unless there is no list, or an empty one.
    let empty = store.configuration.as_ref().is_none_or(|c| c.bytes.is_empty()) && mended.lines_back.is_none();
    if fresh || empty || !debian {
        let folders = ["/usr/share/ca-certificates", "/usr/local/share/ca-certificates"];
        let cleared = |e: &&DirectoryEntry| folders.iter().any(|f| e.link.as_ref().is_some_and(|l| l.starts_with(f.as_bytes())));
        let entries = store.directory.iter().flat_map(|d| &d.entries).filter(|e| e.hash.is_none()).filter(cleared);
        vanish.extend(entries.filter_map(|e| e.file.certificates().next()).map(|(_, c)| c).filter(lost));
    }
    let mut seen = BTreeSet::new();
    effect.vanish = vanish.into_iter().filter(|c| seen.insert(c.fingerprint())).collect();
    let before: BTreeSet<Fingerprint> =
        store.bundle.iter().flat_map(CertFile::certificates).map(|(_, c)| c.fingerprint()).collect();
    let mut seen = before;
    effect.appear =
        taken.iter().flat_map(|s| s.file.certificates()).map(|(_, c)| c).filter(|c| seen.insert(c.fingerprint())).collect();
    let left = taken.iter().filter(|s| mended.file != Some(&s.file.path));
    effect.leaks = left.clone().find(|s| has_key(&s.file)).map(|s| &s.file.path);
    effect.spoils = left.clone().find(|s| is_broken(&s.file)).map(|s| &s.file.path);
    if debian && !mended.leftovers {
        effect.spoils = effect.spoils.or_else(|| store.leftovers.first());
    }
    effect
}

/// What a line means for a source once `mended` is done.
fn selection(store: &Store, source: &Source, mended: &Mended<'_>) -> Selection {
    if source.owner == SourceOwner::Local || !matches!(source.selection, Selection::Commented | Selection::Unlisted) {
        return source.selection;
    }
    if is_taken_out(store, source) {
        return match mended.lines_back {
            Some(true) => Selection::Enabled,
            Some(false) => Selection::Deselected,
            None => source.selection,
        };
    }
    match unseen_line(store, source) {
        Some(Unseen { deselects, last }) if (last && mended.last_line) || (!last && mended.line_ends) => {
            if deselects {
                Selection::Deselected
            } else {
                Selection::Enabled
            }
        }
        _ => source.selection,
    }
}

/// A line that names a source without the tool knowing it.
struct Unseen {
    deselects: bool,
    /// It is the last line, without a newline; otherwise it ends in a carriage return.
    last: bool,
}

fn unseen_line(store: &Store, source: &Source) -> Option<Unseen> {
    let lines = store.configuration.iter().flat_map(|c| &c.lines);
    lines.clone().find_map(|line| match &line.kind {
        ConfLineKind::Enabled(name) if name.strip_suffix(b"\r") == Some(&source.name[..]) => {
            Some(Unseen { deselects: false, last: false })
        }
        ConfLineKind::Deselected(name) if name.strip_suffix(b"\r") == Some(&source.name[..]) => {
            Some(Unseen { deselects: true, last: false })
        }
        ConfLineKind::Unseen(text) => {
            let text = text.trim_ascii();
            let (deselects, name) = text.strip_prefix(b"!").map_or((false, text), |name| (true, name.trim_ascii()));
            (name == source.name).then_some(Unseen { deselects, last: true })
        }
        _ => None,
    })
}

/// Whether a source of the package was taken out by deleting or commenting its line.
pub(in crate::check) fn is_taken_out(store: &Store, source: &Source) -> bool {
    source.owner == SourceOwner::Package
        && store.configuration.is_some()
        && matches!(source.selection, Selection::Commented | Selection::Unlisted)
        && unseen_line(store, source).is_none()
}

/// The sources of the package that were taken out by deleting or commenting their lines. With carriage returns in the list nothing
/// can be said.
pub(in crate::check) fn taken_out(store: &Store) -> Vec<&Source> {
    if has_crlf(store) { Vec::new() } else { store.sources.iter().filter(|s| is_taken_out(store, s)).collect() }
}

/// Whether the list was emptied or cut, rather than edited: it names none of the package's certificates, or less than half of them
/// while the store still has the others.
pub(in crate::check) fn is_list_lost(store: &Store) -> bool {
    let unlisted = taken_out(store).into_iter().filter(|s| s.selection == Selection::Unlisted).count();
    let mut named = store.sources.iter().filter(|s| s.owner == SourceOwner::Package && s.selection != Selection::Unlisted);
    let all = store.sources.iter().filter(|s| s.owner == SourceOwner::Package).count();
    let none_left = named.all(|s| s.selection == Selection::Commented);
    let cut = unlisted * 2 > all && refresh_effect(store, true, &Mended::default()).vanish.len() * 2 > unlisted;
    unlisted > 0 && ((none_left && unlisted > 1) || (cut && unlisted > 4))
}

/// Whether the configuration has Windows line ends.
pub(in crate::check) fn has_crlf(store: &Store) -> bool {
    store.configuration.as_ref().is_some_and(|c| c.bytes.windows(2).any(|pair| pair == b"\r\n"))
}

/// The lines that name a file which is not there. Names that end in a carriage return are another matter.
pub(in crate::check) fn listed_in_vain(store: &Store) -> Vec<(&ConfLine, &[u8])> {
    let is_there = |s: &&Source| s.owner == SourceOwner::Package && s.file.state != FileState::Missing;
    let there: NameSet<'_> = store.sources.iter().filter(is_there).map(|s| &s.name[..]).collect();
    let lines = store.configuration.iter().flat_map(|c| &c.lines);
    let missing = lines.filter_map(|line| match &line.kind {
        ConfLineKind::Enabled(name) if !name.ends_with(b"\r") => (!there.contains(&name[..])).then_some((line, &name[..])),
        _ => None,
    });
    missing.collect()
}

/// Whether a local file with this certificate was there at the last refresh and has been taken away since: its links dangle.
pub(in crate::check) fn is_removed_local(store: &Store, certificate: &Certificate) -> bool {
    if store.sources.iter().any(|s| holds(&s.file, certificate)) {
        return false;
    }
    let mut links = store.directory.iter().flat_map(|d| &d.entries).filter(|e| e.file.state == FileState::Missing);
    let folder = b"/usr/local/share/ca-certificates/";
    let hash = certificate.subject().openssl_hash();
    links.any(|e| e.hash.is_some_and(|(h, _)| h == hash) && e.file.real.as_bytes().starts_with(folder))
}

/// The finding that tells why a certificate is in one part of a store and not in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::check) struct Cause(&'static str, &'static str);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// Why the parts of a store disagree about a certificate, if another check tells it.
pub(in crate::check) fn cause(store: &Store, certificate: &Certificate) -> Option<Cause> {
    let sources: Vec<&Source> = store.sources.iter().filter(|s| holds(&s.file, certificate)).collect();
    let any = |what: &dyn Fn(&Source) -> bool| sources.iter().any(|s| what(s));
    let is_enabled = |s: &Source| s.selection == Selection::Enabled;
    let unread = |s: &Source| is_enabled(s) && !s.file.is_read() && s.file.state != FileState::Missing;
    let cause = if has_crlf(store) {
        Cause("CD405", "crlf")
    } else if emptied(store).is_some() {
        Cause("CD416", "empty-store")
    } else if any(&|s| is_enabled(s) && has_key(&s.file)) {
        Cause("CD412", "private-key-in-store")
    } else if any(&is_enabled) {
        // Selected, yet missing somewhere: for a name that another source has too.
        let names: Vec<&[u8]> = sources.iter().filter(|s| is_enabled(s)).map(|s| s.file.path.name()).collect();
        let shared = |s: &&Source| is_enabled(s) && !holds(&s.file, certificate) && names.contains(&s.file.path.name());
        store.sources.iter().any(|s| shared(&s)).then_some(Cause("CD417", "same-basename"))?
    } else if any(&|s| unseen_line(store, s).is_some()) {
        Cause("CD409", "conf-last-line-without-newline")
    } else if any(&|s| is_taken_out(store, s)) {
        Cause("CD408", "deleted-or-commented-line")
    } else if any(&|s| s.selection == Selection::Deselected && s.name.iter().any(|b| b" ,()".contains(b))) {
        Cause("CD407", "deselect-name-mapped")
    } else if !sources.is_empty() {
        return None;
    } else if is_removed_local(store, certificate) {
        Cause("CD402", "dangling-link")
    } else if !listed_in_vain(store).is_empty() {
        Cause("CD418", "missing-configuration")
    } else if store.sources.iter().any(unread) {
        Cause("CD411", "unreadable-file")
    } else {
        return None;
    };
    Some(cause)
}

/// Whether a file holds a certificate.
pub(in crate::check) fn holds(file: &CertFile, certificate: &Certificate) -> bool {
    file.certificates().any(|(_, c)| c == certificate)
}

/// Whether a file holds a private key.
pub(in crate::check) fn has_key(file: &CertFile) -> bool {
    file.entries.iter().any(|e| e.content == Content::PrivateKey)
}

/// Whether OpenSSL refuses every bundle that this file is copied into.
pub(in crate::check) fn is_broken(file: &CertFile) -> bool {
    file.entries.iter().any(|e| matches!(e.content, Content::Opaque(_)))
        || file.quirks.contains(&Quirk::JoinedBlocks)
        || file.quirks.contains(&Quirk::Unterminated)
}

/// Whether a part of the store that clients read holds nothing although sources are there: its path, and what is wrong.
pub(in crate::check) fn emptied(store: &Store) -> Option<(&TreePath, &'static str)> {
    let has_sources = store.sources.iter().any(|s| s.file.certificates().next().is_some());
    match &store.bundle {
        // A block that can't be read is told by another check.
        Some(bundle) if bundle.is_read() && bundle.entries.is_empty() => return Some((&bundle.real, "holds no anchor")),
        Some(bundle) if bundle.state == FileState::Missing && matches!(store.upkeep, Upkeep::Generated { .. }) => {
            return Some((&bundle.path, "is missing"));
        }
        _ => {}
    }
    let directory = store.directory.as_ref().filter(|d| d.state.is_ok())?;
    let wanted = if store.bundle.is_some() { store.kind == "debian" && has_sources } else { true };
    (wanted && directory.reachable().is_empty()).then_some((&directory.path, "holds no hash link"))
}

/// A repair of a store and the refresh that makes it count, in one command; without the refresh where that would do harm, and then
/// the text says which.
pub(in crate::check) fn repair(
    store: &Store,
    place: &TreePath,
    text: &str,
    command: Option<String>,
    fresh: bool,
    mended: &Mended<'_>,
) -> Remedy {
    let can_be_typed = std::str::from_utf8(place.as_bytes()).is_ok_and(|name| !name.chars().any(char::is_control));
    if command.is_some() && !can_be_typed {
        let text = format!("{text}; its name has bytes that can't be shown in a command");
        return Remedy::new(Intent::Repair(place.clone()), Applicability::Manual, text, None);
    }
    let (text, command) = match (refresh(store, fresh), refresh_effect(store, fresh, mended).harm()) {
        (None, _) => (text.to_owned(), command),
        (Some(_), Some(harm)) => (format!("{text}, but don't refresh yet: that {harm}"), command),
        (Some(refresh), None) => {
            let command = command.map_or(refresh.clone(), |command| format!("{command} && {refresh}"));
            (format!("{text} and refresh"), Some(command))
        }
    };
    Remedy::new(Intent::Repair(place.clone()), Applicability::Manual, text, command)
}

/// The sources that the refresh tool takes once `mended` is done.
pub(in crate::check) fn selected<'s>(store: &'s Store, mended: &Mended<'_>) -> impl Iterator<Item = &'s Source> {
    let mended = *mended;
    store.sources.iter().filter(move |s| selection(store, s, &mended) == Selection::Enabled)
}
