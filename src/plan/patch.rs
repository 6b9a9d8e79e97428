//! From the changes that findings propose to the steps of a plan: the changes of one file are joined into one write.

use std::{collections::BTreeMap, io, ops::Range};

use super::{Plan, Refused};
use crate::{
    base::{At, Fingerprint, Limits, TreePath},
    edit::{Applicability, Change, Edit, Precondition, Step},
    host::Tree,
};

/// What one finding wants changed.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// The finding's code.
    pub code: &'static str,
    /// One line for people.
    pub summary: &'a str,
    /// How freely.
    pub applicability: Applicability,
    /// The changes, in order.
    pub changes: &'a [Change],
}

/// The splices of one file: range, replacement, and the proposal that wants it.
type Splices<'a> = Vec<(Range<usize>, &'a [u8], &'a Proposal<'a>)>;

/// Joins the proposals into a plan. A proposal that contradicts an earlier one is left out whole and told.
///
/// # Errors
/// A file that can't be read.
pub fn patch(tree: &dyn Tree, proposals: &[Proposal<'_>], at: At) -> io::Result<Plan> {
    let mut plan = Plan { id: super::solve::identifier(at), ..Plan::default() };
    let mut files: BTreeMap<&TreePath, (Fingerprint, Splices<'_>)> = BTreeMap::new();
    let mut whole: Vec<(&TreePath, Step)> = Vec::new();
    for proposal in proposals {
        if let Some(path) = proposal.changes.iter().find_map(|change| clash(change, &files, &whole)) {
            plan.refusals.push(Refused {
                subject: path.to_string(),
                why: format!("{} would change what another finding's remedy changes too: {}", proposal.code, proposal.summary),
                instead: "run the command again after this plan is applied".to_owned(),
            });
            continue;
        }
        for change in proposal.changes {
            match change {
                Change::Splice { path, read, at, with } => {
                    let splices = &mut files.entry(path).or_insert_with(|| (*read, Vec::new())).1;
                    if !splices.iter().any(|(range, bytes, _)| range == at && bytes == with) {
                        splices.push((at.clone(), with, proposal));
                    }
                }
                Change::Create { path, bytes, mode } => {
                    let edit = Edit::Write { path: path.clone(), bytes: bytes.clone(), mode: Some(*mode) };
                    add(&mut whole, path, step(proposal, edit, Precondition::Absent));
                }
                Change::Move { path, was, to } => {
                    let edit = Edit::Move { path: path.clone(), to: to.clone() };
                    add(&mut whole, path, step(proposal, edit, was.clone()));
                }
                Change::Link { path, was, target } => {
                    let edit = Edit::Link { path: path.clone(), target: target.clone() };
                    add(&mut whole, path, step(proposal, edit, was.clone()));
                }
            }
        }
    }
    for (path, (read, mut splices)) in files {
        let (bytes, _) = tree.read(path, Limits::DEFAULT.file).map_err(|e| io::Error::other(format!("{path}: {e}")))?;
        splices.sort_by_key(|(range, ..)| (range.start, range.end));
        let bytes = Some(bytes).filter(|bytes| Fingerprint::of(bytes) == read).and_then(|bytes| spliced(&bytes, &splices));
        let bytes =
            bytes.ok_or_else(|| io::Error::other(format!("{path} was changed while it was read; run the command again")))?;
        let Some((_, _, first)) = splices.first() else { continue };
        let mut step = step(first, Edit::Write { path: path.clone(), bytes, mode: None }, Precondition::Content(read));
        for (_, _, proposal) in &splices[1..] {
            if !step.because.contains(&proposal.code) {
                step.because.push(proposal.code);
            }
            if !step.summary.contains(proposal.summary) {
                step.summary = format!("{}; {}", step.summary, proposal.summary);
            }
            step.applicability = step.applicability.max(proposal.applicability);
        }
        plan.steps.push(step);
    }
    plan.steps.extend(whole.into_iter().map(|(_, step)| step));
    Ok(plan)
}

fn step(proposal: &Proposal<'_>, edit: Edit, precondition: Precondition) -> Step {
    Step {
        edit,
        precondition,
        because: vec![proposal.code],
        applicability: proposal.applicability,
        summary: proposal.summary.to_owned(),
        generated: false,
    }
}

fn add<'a>(whole: &mut Vec<(&'a TreePath, Step)>, path: &'a TreePath, step: Step) {
    match whole.iter_mut().find(|(_, known)| known.edit == step.edit) {
        Some((_, known)) => {
            known.because.extend(step.because.iter().filter(|code| !known.because.contains(code)).copied().collect::<Vec<_>>())
        }
        None => whole.push((path, step)),
    }
}

/// The path at which a change contradicts what is planned already.
fn clash<'a>(
    change: &'a Change,
    files: &BTreeMap<&TreePath, (Fingerprint, Splices<'_>)>,
    whole: &[(&TreePath, Step)],
) -> Option<&'a TreePath> {
    // What lies in a folder that moves is not changed by the way.
    let moves = |path: &TreePath| {
        let above = |known: &&TreePath| path.starts_with(known) && path != *known;
        whole.iter().filter(|(_, step)| matches!(step.edit, Edit::Move { .. })).any(|(known, _)| above(known))
    };
    let same_place = |path: &TreePath| whole.iter().find(|(known, _)| *known == path).map(|(_, step)| &step.edit);
    match change {
        Change::Splice { path, read, at, with } => {
            let overlaps = |(known, bytes, _): &(Range<usize>, &[u8], &Proposal<'_>)| {
                let same = known == at && bytes == with;
                // Two insertions at one place have no order.
                let meet = known.start < at.end && at.start < known.end || known.start == at.start;
                meet && !same
            };
            let known = files.get(path).is_some_and(|(print, splices)| print != read || splices.iter().any(overlaps));
            (known || moves(path) || same_place(path).is_some()).then_some(path)
        }
        Change::Create { path, bytes, .. } => {
            let differs = same_place(path).is_some_and(|edit| !matches!(edit, Edit::Write { bytes: b, .. } if b == bytes));
            (differs || files.contains_key(path) || moves(path)).then_some(path)
        }
        Change::Link { path, target, .. } => {
            let differs = same_place(path).is_some_and(|edit| !matches!(edit, Edit::Link { target: t, .. } if t == target));
            (differs || files.contains_key(path) || moves(path)).then_some(path)
        }
        Change::Move { path, to, .. } => {
            let differs = same_place(path).is_some_and(|edit| !matches!(edit, Edit::Move { to: t, .. } if t == to));
            let below = |known: &TreePath| known.starts_with(path) && known != path;
            let used = files.keys().any(|known| known.starts_with(path)) || whole.iter().any(|(known, _)| below(known));
            (differs || used || moves(path)).then_some(path)
        }
    }
}

/// The text with the splices made; they are sorted and do not overlap. `None` when one lies outside.
fn spliced(bytes: &[u8], splices: &Splices<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (range, with, _) in splices {
        out.extend_from_slice(bytes.get(done..range.start)?);
        out.extend_from_slice(with);
        done = range.end;
    }
    out.extend_from_slice(bytes.get(done..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    const AT: At = At(1_590_835_718);

    fn splice(text: &str, at: Range<usize>, with: &str) -> Change {
        Change::Splice { path: "/etc/a".into(), read: Fingerprint::of(text.as_bytes()), at, with: with.into() }
    }

    fn proposal<'a>(code: &'static str, changes: &'a [Change]) -> Proposal<'a> {
        Proposal { code, summary: code, applicability: Applicability::Auto, changes }
    }

    #[test]
    fn changes_of_one_file_become_one_write() {
        let text = "one two three\n";
        let tree = MemoryTree::default();
        tree.file("/etc/a", text);
        let first = [splice(text, 0..3, "1")];
        let second = [splice(text, 8..13, "3"), splice(text, 0..3, "1")];
        let third = [splice(text, 2..5, "x")];
        let plan = patch(&tree, &[proposal("CD701", &first), proposal("CD702", &second), proposal("CD703", &third)], AT);
        let plan = plan.expect("a plan");
        assert_eq!(plan.steps.len(), 1);
        assert!(matches!(&plan.steps[0].edit, Edit::Write { bytes, .. } if bytes == b"1 two 3\n"), "{:?}", plan.steps);
        assert_eq!(plan.steps[0].because, ["CD701", "CD702"]);
        assert_eq!(plan.refusals.len(), 1, "{:?}", plan.refusals);
    }

    #[test]
    fn a_file_that_became_shorter_is_told() {
        let tree = MemoryTree::default();
        tree.file("/etc/a", "x");
        let change = [splice("one two three\n", 8..13, "3")];
        assert!(patch(&tree, &[proposal("CD701", &change)], AT).is_err());
        // As long as before, and another text.
        tree.file("/etc/a", "one two thr33\n");
        let error = patch(&tree, &[proposal("CD701", &change)], AT).expect_err("another text").to_string();
        assert_eq!(error, "/etc/a was changed while it was read; run the command again");
    }

    #[test]
    fn what_lies_in_a_folder_that_moves_is_not_changed_by_the_way() {
        let tree = MemoryTree::default();
        tree.file("/etc/a", "one");
        let aside = [Change::Move { path: "/etc".into(), was: Precondition::None, to: "/etc.aside".into() }];
        let elsewhere = [Change::Move { path: "/etc".into(), was: Precondition::None, to: "/etc.old".into() }];
        let inner = [splice("one", 0..1, "O")];
        let steps = |first: &[Change], second: &[Change]| {
            let plan = patch(&tree, &[proposal("CD701", first), proposal("CD702", second)], AT).expect("a plan");
            (plan.steps.len(), plan.refusals.len())
        };
        assert_eq!(steps(&aside, &inner), (1, 1));
        assert_eq!(steps(&inner, &aside), (1, 1));
        assert_eq!(steps(&aside, &elsewhere), (1, 1));
        assert_eq!(steps(&aside, &aside), (1, 0));
        let created = [Change::Create { path: "/etc/b".into(), bytes: b"x".to_vec(), mode: 0o644 }];
        assert_eq!(steps(&aside, &created), (1, 1));
        let linked = [Change::Link { path: "/etc/l".into(), was: Precondition::Absent, target: b"x".to_vec() }];
        assert_eq!(steps(&aside, &linked), (1, 1));
    }

    #[test]
    fn two_links_at_one_place_contradict() {
        let link = |target: &str| Change::Link { path: "/l".into(), was: Precondition::Absent, target: target.into() };
        let (a, b) = ([link("a")], [link("b")]);
        let plan = patch(&MemoryTree::default(), &[proposal("CD701", &a), proposal("CD702", &a), proposal("CD703", &b)], AT);
        let plan = plan.expect("a plan");
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].because, ["CD701", "CD702"]);
        assert_eq!(plan.refusals.len(), 1);
    }
}
