//! `dockerfile`: the RUN snippet for an image, or the patch of a Dockerfile.

use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path},
};

use serde_json::json;

use super::{Failure, Outcome, Session, naming};
use crate::{
    base::{Fingerprint, TreePath},
    cli::{DockerfileArgs, Format},
    edit::{Applicability, Edit, Precondition, Step},
    facts,
    host::{DirTree, Tree as _, TreeMut as _, memory::MemoryTree, on_this_host},
    plan::{
        self,
        dockerfile::{Anchor, Decision, Family, Patch, Snippet, patch, snippet},
    },
    render, store,
};

pub(super) fn run(session: &Session<'_>, args: &DockerfileArgs) -> Result<Outcome, Failure> {
    let (anchors, notes) = anchors(session, args)?;
    let family = args
        .family
        .as_deref()
        .map(|name| {
            Family::parse(name).ok_or_else(|| Failure(format!("unknown family `{name}`; debian and alpine have a recipe")))
        })
        .transpose()?;
    let mut outcome = match &args.file {
        Some(file) => patch_file(session, args, file, anchors, family),
        None => print_snippet(session, args, anchors, family),
    }?;
    outcome.err.extend(notes.iter().map(|note| format!("note: {note}\n")));
    Ok(outcome)
}

fn print_snippet(
    session: &Session<'_>,
    args: &DockerfileArgs,
    anchors: Vec<Anchor>,
    family: Option<Family>,
) -> Result<Outcome, Failure> {
    let family = match (family, &args.base, session.root()) {
        (Some(family), ..) => family,
        (None, Some(base), _) => Family::of_image(base).ok_or_else(|| {
            Failure(format!("can't tell which distribution {base} is made of; name it with --family debian or --family alpine"))
        })?,
        (None, None, Some(_)) => {
            of_root(session).ok_or_else(|| Failure("can't tell the distribution of this root; name it with --family".into()))?
        }
        (None, None, None) => {
            return Err(Failure(
                "for which image? give --base IMAGE, --image TAR, --root DIR, --family NAME, or a Dockerfile".into(),
            ));
        }
    };
    let request = Snippet { upgrade: args.upgrade, ..Snippet::new(family, anchors) };
    let text = snippet(&request).map_err(|e| Failure(e.to_string()))?;
    Ok(match session.global.format {
        Format::Json => Outcome::text(render::json::envelope(
            "dockerfile",
            "dockerfile",
            json!({ "family": family.to_string(), "snippet": text }),
        )),
        _ => Outcome::text(text),
    })
}

fn patch_file(
    session: &Session<'_>,
    args: &DockerfileArgs,
    file: &Path,
    anchors: Vec<Anchor>,
    family: Option<Family>,
) -> Result<Outcome, Failure> {
    let is_stdin = file == Path::new("-");
    if is_stdin && args.write {
        return Err(Failure("--write needs a file; standard input can only be shown as a diff".into()));
    }
    // Names in the diff count from where the person stands; patch takes none that leads elsewhere, so then they count from the file.
    let leads_elsewhere = file.is_absolute() || file.components().any(|c| c == Component::ParentDir);
    let directory = file.parent().filter(|_| leads_elsewhere).unwrap_or(Path::new("."));
    let tree = DirTree::new(directory).map_err(|e| Failure(format!("can't open {}: {e}", directory.display())))?;
    let named = if leads_elsewhere { Path::new(file.file_name().unwrap_or_default()) } else { file };
    let place = if is_stdin { TreePath::from("/Dockerfile") } else { TreePath::new(named.as_os_str().as_bytes()) };
    let (text, resolved) = if is_stdin {
        ((session.machine.stdin)()?, place.clone())
    } else {
        let (text, resolved) = tree
            .read(&place, crate::base::Limits::DEFAULT.file)
            .map_err(|e| Failure(format!("can't read {}: {e}", file.display())))?;
        (text, resolved.path)
    };
    let mut build_arguments = BTreeMap::new();
    for argument in &args.build_arg {
        let (name, value) =
            argument.split_once('=').ok_or_else(|| Failure(format!("--build-arg {argument}: write NAME=VALUE")))?;
        build_arguments.insert(name.to_owned(), value.to_owned());
    }
    let request = Patch { anchors, stage: args.stage.clone(), family, build_arguments, upgrade: args.upgrade };
    let patched = patch(&text, &request).map_err(|e| Failure(format!("{}: {e}", file.display())))?;
    let changes = patched.text != text;
    let step = Step {
        edit: Edit::Write { path: place.clone(), bytes: patched.text.clone(), mode: None },
        precondition: Precondition::Content(Fingerprint::of(&text)),
        because: Vec::new(),
        applicability: Applicability::Auto,
        summary: "put the RUN instruction in".into(),
        generated: false,
    };
    let before = MemoryTree::new();
    before.file(place, text.clone());
    let diff = if changes { plan::diff(&before, std::slice::from_ref(&step))? } else { Vec::new() };
    if args.write && changes {
        tree.write(&resolved, &patched.text, None).map_err(|e| Failure(format!("can't write {}: {e}", file.display())))?;
    }
    let status = if args.check && changes { 3 } else { 0 };
    if !matches!(session.global.format, Format::Human | Format::Json) {
        let facts = facts::Dockerfile {
            path: if leads_elsewhere { on_this_host(file)? } else { TreePath::new(named.as_os_str().as_bytes()) },
            name: file.display().to_string(),
            anchors: request.anchors.iter().map(|a| (a.title.clone(), a.fingerprint, a.not_after)).collect(),
            wanting: patched.line.filter(|_| !args.write),
            warnings: patched.warnings,
        };
        let mut report = session.report_on(facts)?;
        // A path that counts from here is what reviewers and their tools know the file by.
        report.root = (!leads_elsewhere).then(|| ".".to_owned());
        let status = if args.check && changes { 3 } else { super::session::status(&report) };
        return Ok(session.finish(&report, status));
    }
    if session.global.format == Format::Json {
        let document = json!({
            "decision": decision(patched.decision), "changed": changes && args.write, "would_change": changes,
            "diff": String::from_utf8_lossy(&diff), "notes": patched.notes, "warnings": patched.warnings,
        });
        let out = render::json::envelope("dockerfile", "dockerfile", document).into_bytes();
        return Ok(Outcome { out, err: String::new(), status });
    }
    let mut err = String::new();
    for (word, lines) in [("note", &patched.notes), ("warning", &patched.warnings)] {
        lines.iter().for_each(|line| err.push_str(&format!("{word}: {line}\n")));
    }
    if changes && leads_elsewhere && !args.write {
        err.push_str(&format!("note: the names in the diff count from {0}: patch -p0 -d {0}\n", directory.display()));
    }
    if !changes {
        err.push_str(&format!("{}: nothing to do\n", file.display()));
    } else if args.write {
        err.push_str(&format!("{}: written\n", file.display()));
    }
    Ok(Outcome { out: diff, err, status })
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::AlreadyDone => "already-done",
        Decision::Inserted => "inserted",
        Decision::NoStore => "no-store",
        Decision::Replaced => "replaced",
    }
}

/// The anchors that are asked for; without a name, those that have expired: in the tree of `--root`, else of the known ones. And notes on
/// those that the policy keeps.
///
/// # Errors
/// A name that nobody knows, or that the policy protects.
fn anchors(session: &Session<'_>, args: &DockerfileArgs) -> Result<(Vec<Anchor>, Vec<String>), Failure> {
    let stores = match session.is_live() {
        false => store::load_all(&*session.tree),
        true => Vec::new(),
    };
    let mut held: Vec<Anchor> = Vec::new();
    for store in &stores {
        for anchor in store.anchors() {
            let print = anchor.certificate.fingerprint();
            if held.iter().all(|a| a.fingerprint != print) {
                held.extend(Anchor::from_store(store, print));
            }
        }
    }
    let known = if stores.is_empty() { Anchor::known() } else { held };
    let protection =
        |a: &Anchor| naming::protection(session, &|name| naming::known_as(a.fingerprint, &a.title, a.entry.as_deref(), name));
    if args.anchor.is_empty() {
        let (mut dead, mut notes) = (Vec::new(), Vec::new());
        for anchor in known.into_iter().filter(|a| a.not_after.is_some_and(|end| session.at > end)) {
            match protection(&anchor) {
                None => dead.push(anchor),
                Some((why, instead)) => notes.push(format!("{} stays: {why}; {instead}", anchor.title)),
            }
        }
        return Ok((dead, notes));
    }
    let mut chosen: Vec<Anchor> = Vec::new();
    for name in &args.anchor {
        let is_meant = |a: &&Anchor| naming::known_as(a.fingerprint, &a.title, a.entry.as_deref(), name);
        let found: Vec<Anchor> = known.iter().filter(is_meant).cloned().collect();
        if found.is_empty() {
            let names: Vec<&str> = known.iter().map(|a| a.title.as_str()).take(5).collect();
            return Err(Failure(format!(
                "no anchor is known as `{name}`; known here: {}{}; give --image or --root with the image's tree for any other",
                names.join(", "),
                if known.len() > 5 { ", …" } else { "" }
            )));
        }
        for anchor in found {
            if let Some((why, instead)) = protection(&anchor) {
                return Err(Failure(format!("{}: {why}; {instead}", anchor.title)));
            }
            if !chosen.contains(&anchor) {
                chosen.push(anchor);
            }
        }
    }
    Ok((chosen, Vec::new()))
}

/// The family of the tree of `--root`, by os-release, else by its store.
fn of_root(session: &Session<'_>) -> Option<Family> {
    let id = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| {
        let (bytes, _) = session.tree.read(&(*path).into(), crate::base::Limits::DEFAULT.file).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = text.lines().find_map(|l| l.strip_prefix("ID="))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    });
    id.and_then(|id| Family::parse(&id)).or_else(|| {
        let kinds: Vec<&str> = store::ALL.iter().filter(|k| (k.load)(&*session.tree).is_some()).map(|k| k.id).collect();
        kinds.iter().find_map(|kind| Family::parse(kind))
    })
}
