//! Taking one anchor out of the sources of a `ca-certificates` store, so that the next refresh and every upgrade leave it out.

use std::collections::BTreeMap;

use super::{
    Distrust, Refusal, alpine,
    ca_certificates::{Layout, holds},
    debian, edits, single_file,
};
use crate::{
    base::TreePath,
    edit::{Applicability, Edit, Precondition, Step},
    facts::{ConfLineKind, Configuration, DirectoryEntry, FileState, Selection, Source, SourceOwner, Store},
    format::jks,
    host::Tree,
    x509::Certificate,
};

/// The ways in which the two tools differ about it.
pub struct Manner {
    /// The name of the link that the tool makes for a source.
    link_name: fn(&[u8]) -> Vec<u8>,
    /// Links that no line wants go at the next run, whatever the line says; otherwise only `!` takes them away.
    clears_links: bool,
}

/// The shell script: only `!` takes a link away, and not even that when the link's name was mapped.
pub const DEBIAN: Manner =
    Manner { link_name: |name| debian::pem_name(name.strip_suffix(b".crt").unwrap_or(name)), clears_links: false };
/// The C program.
pub const ALPINE: Manner = Manner { link_name: alpine::link_name, clears_links: true };

/// The source edits for `certificate`.
///
/// # Errors
/// [`Refusal`] when the store does not hold it, or a file with it can't be edited.
pub fn distrust(tree: &dyn Tree, store: &Store, certificate: &Certificate, manner: &Manner) -> Result<Vec<Step>, Refusal> {
    let name = edits::name_of(certificate);
    let sources: Vec<&Source> = store.sources.iter().filter(|s| holds(&s.file, certificate)).collect();
    let mut work =
        Work { tree, store, manner, name: &name, conf: ConfEdits::default(), steps: Vec::new(), unlinked: BTreeMap::new() };
    for source in &sources {
        match source.owner {
            SourceOwner::Package => work.deselect(source, certificate),
            SourceOwner::Local if source.selection == Selection::Enabled => work.take_out_local(source, certificate)?,
            SourceOwner::Local => {}
        }
    }
    work.free_standing(certificate);
    let steps = work.finish()?;
    let is_in_an_output = store.bundle.iter().any(|b| holds(b, certificate))
        || store.directory.iter().flat_map(|d| &d.entries).any(|e| holds(&e.file, certificate));
    if steps.is_empty() && !is_in_an_output {
        let why = format!("{name} is not trusted by the store at {}", store.location);
        return Err(Refusal { why, instead: "nothing is to be done here".to_owned() });
    }
    Ok(steps)
}

struct Work<'a> {
    tree: &'a dyn Tree,
    store: &'a Store,
    manner: &'a Manner,
    name: &'a str,
    conf: ConfEdits,
    steps: Vec<Step>,
    /// Links that the refresh would leave behind.
    unlinked: BTreeMap<Vec<u8>, Applicability>,
}

impl Work<'_> {
    fn deselect(&mut self, source: &Source, certificate: &Certificate) {
        let link = (self.manner.link_name)(last_component(&source.name));
        let is_linked = self.entry(&link).is_some_and(|e| e.link.is_some() && holds(&e.file, certificate));
        let shared = source.file.certificates().any(|(_, other)| other != certificate);
        let applicability = if shared { Applicability::Ask } else { Applicability::Auto };
        match source.selection {
            Selection::Enabled => self.conf.edit(Change::Deselect(source.line.unwrap_or(0)), applicability),
            Selection::Commented | Selection::Unlisted if is_linked && !self.manner.clears_links => {
                let change = match source.line {
                    Some(line) => Change::Replace(line, source.name.clone()),
                    None => Change::Append(source.name.clone()),
                };
                self.conf.edit(change, applicability);
            }
            Selection::Deselected if is_linked => {}
            _ => return,
        }
        // remove() of the script looks for the name without mapping it.
        let plain = [last_component(&source.name).strip_suffix(b".crt").unwrap_or_default(), b".pem"].concat();
        if is_linked && !self.manner.clears_links && plain != link {
            self.unlinked.insert(link, applicability);
        }
    }

    fn take_out_local(&mut self, source: &Source, certificate: &Certificate) -> Result<(), Refusal> {
        let path = edits::place(self.tree, &source.file.path);
        let others = source.file.certificates().any(|(_, other)| other != certificate);
        if !others {
            let summary = format!("remove the local file of {}", self.name);
            self.steps.push(edits::step(self.tree, Edit::Remove { path }, Applicability::Ask, summary));
            if !self.manner.clears_links {
                self.unlinked.insert((self.manner.link_name)(last_component(&source.name)), Applicability::Ask);
            }
            return Ok(());
        }
        let mut step = single_file::cut(self.tree, &source.file, certificate, &Distrust::default())?;
        step.applicability = Applicability::Ask;
        if let Edit::Write { path: written, .. } = &mut step.edit {
            // Behind a link lies a file that may serve others: the link gives way to a file of its own.
            step.precondition = edits::found(self.tree, &path);
            *written = path;
        }
        self.steps.push(step);
        Ok(())
    }

    /// Files and links in the hash directory that no source accounts for: somebody put them there.
    fn free_standing(&mut self, certificate: &Certificate) {
        let layout = Layout::standard();
        let bundle = self.store.bundle.as_ref().map(|b| b.path.clone());
        for entry in self.store.directory.iter().flat_map(|d| &d.entries) {
            let of_a_source = entry.link.as_ref().is_some_and(|t| t.starts_with(&layout.certs) || t.starts_with(&layout.local));
            let only = entry.file.certificates().all(|(_, c)| c == certificate);
            if entry.hash.is_none()
                && !of_a_source
                && only
                && bundle.as_ref() != Some(&entry.file.path)
                && holds(&entry.file, certificate)
            {
                self.unlinked.insert(entry.name.clone(), Applicability::Ask);
            }
        }
    }

    fn entry(&self, name: &[u8]) -> Option<&DirectoryEntry> {
        self.store.directory.iter().flat_map(|d| &d.entries).find(|e| e.name == name)
    }

    fn finish(mut self) -> Result<Vec<Step>, Refusal> {
        let summary = format!("deselect {}", self.name);
        let conf = match &self.store.configuration {
            Some(conf) => self.conf.step(self.tree, conf, &summary)?,
            None => None,
        };
        let mut steps: Vec<Step> = conf.into_iter().collect();
        steps.append(&mut self.steps);
        let unlinked = &self.unlinked;
        let summary = format!("unlink {}", self.name);
        steps.extend(edits::unlink(self.tree, self.store, |entry| unlinked.get(&entry.name).copied(), &summary));
        steps.extend(self.java());
        Ok(steps)
    }

    /// The script tells its hooks only of links that it removed itself, so those that we remove must leave Java's keystore too.
    fn java(&self) -> Option<Step> {
        if !debian::java_follows(self.tree) {
            return None;
        }
        let keystore = self.store.derived.iter().find(|d| matches!(d.state, FileState::Read { .. }))?;
        let (bytes, _) = self.tree.read_nofollow(&keystore.real, crate::base::Limits::DEFAULT.file).ok()?;
        let present = jks::entries(&bytes)?;
        let aliases: Vec<String> = self.unlinked.keys().map(|pem| debian::java_alias(pem)).collect();
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).filter(|a| present.iter().any(|e| e.alias == *a)).collect();
        if aliases.is_empty() {
            return None;
        }
        let path: TreePath = keystore.real.clone();
        let applicability = self.unlinked.values().max().copied().unwrap_or(Applicability::Ask);
        let summary = format!("remove {} from Java's keystore", self.name);
        Some(match jks::remove(&bytes, &aliases) {
            Ok(bytes) => edits::step(self.tree, Edit::Write { path, bytes, mode: None }, applicability, summary),
            Err(_) => {
                let mut argv: Vec<String> = ["keytool", "-delete", "-keystore"].map(str::to_owned).to_vec();
                argv.extend([path.to_string(), "-alias".to_owned(), aliases.join(" ")]);
                Step {
                    edit: Edit::Run { argv },
                    precondition: Precondition::None,
                    because: Vec::new(),
                    applicability: Applicability::Manual,
                    summary,
                    generated: false,
                }
            }
        })
    }
}

fn last_component(name: &[u8]) -> &[u8] {
    name.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// One change of the configuration; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// `!` before the line as it stands.
    Deselect(u32),
    /// The line becomes `!name`.
    Replace(u32, Vec<u8>),
    /// `!name` as a new line.
    Append(Vec<u8>),
}

#[derive(Default)]
struct ConfEdits {
    changes: Vec<Change>,
    applicability: Option<Applicability>,
}

impl ConfEdits {
    fn edit(&mut self, change: Change, applicability: Applicability) {
        self.applicability = self.applicability.max(Some(applicability));
        self.changes.push(change);
    }

    /// All changes as one write that keeps every other byte, and the state of the last newline.
    fn step(&self, tree: &dyn Tree, conf: &Configuration, summary: &str) -> Result<Option<Step>, Refusal> {
        let Some(applicability) = self.applicability else { return Ok(None) };
        let resolved = tree
            .resolve(&conf.path)
            .map_err(|e| Refusal { why: format!("{}: {e}", conf.path), instead: "repair the configuration first".to_owned() })?;
        let edit = Edit::Write { path: resolved.path, bytes: self.apply(conf), mode: None };
        Ok(Some(edits::step(tree, edit, applicability, summary.to_owned())))
    }

    fn apply(&self, conf: &Configuration) -> Vec<u8> {
        let mut out = Vec::with_capacity(conf.bytes.len() + 64);
        let mut appended: Vec<&[u8]> = Vec::new();
        for change in &self.changes {
            if let Change::Append(name) = change {
                appended.push(name);
            }
        }
        let append = |out: &mut Vec<u8>| {
            for name in &appended {
                out.extend_from_slice(&[b"!", *name, b"\n"].concat());
            }
        };
        let ended = conf.bytes.last().is_none_or(|b| *b == b'\n');
        for line in &conf.lines {
            let is_last_without_newline = !ended && line.span.end == conf.bytes.len();
            // What the tool never saw must not be seen because of a newline of ours.
            if is_last_without_newline {
                append(&mut out);
            }
            let newline = if is_last_without_newline { &b""[..] } else { b"\n" };
            let text = &conf.bytes[line.span.clone()];
            let change =
                self.changes.iter().find(|c| matches!(c, Change::Deselect(n) | Change::Replace(n, _) if *n == line.number));
            match change {
                Some(Change::Deselect(_)) => out.extend_from_slice(&[b"!", text, newline].concat()),
                Some(Change::Replace(_, name)) => {
                    let newline = if matches!(line.kind, ConfLineKind::Unseen(_)) { &b"\n"[..] } else { newline };
                    out.extend_from_slice(&[b"!", &name[..], newline].concat());
                }
                _ => out.extend_from_slice(&[text, newline].concat()),
            }
        }
        if ended {
            append(&mut out);
        }
        out
    }
}
