//! The unified diff of a plan's source edits, for `patch -p0` and `git apply`, both in the tree's root.
//!
//! Names are written as `./etc/file`: `patch -p0` takes them as they stand, `git apply` takes its usual first component off.
//! Everything is bytes: names and lines need not be UTF-8, and CR LF stays.
//!
//! Links and files that are no text have no form that both tools read; they appear as comment lines, which both skip.

use std::io;

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use crate::{
    base::{Limits, TreePath},
    edit::{Edit, Step},
    host::{NodeKind, ReadError, Tree},
};

/// Lines of context around a change, as `diff -u` has.
const CONTEXT: usize = 3;

/// How much of a file is searched for a NUL before it is called text: as in git (`xdiff-interface.c`, `FIRST_FEW_BYTES`).
const FIRST_BYTES: usize = 8000;

/// The diff of those steps that edit sources; generated outputs are left to the refresh. Empty when there are none.
///
/// # Errors
/// The operating system's, from reading the old content.
pub fn diff(tree: &dyn Tree, steps: &[Step]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for step in steps.iter().filter(|s| !s.generated) {
        let Some(path) = step.edit.path() else { continue };
        // What moves or gives way to a link is not read: it may hold a private key.
        let is_told = matches!(step.edit, Edit::Link { .. } | Edit::Move { .. });
        let old = if is_told { Old::Nothing } else { old_content(tree, path)? };
        match (&step.edit, old) {
            (Edit::Run { .. }, _) => {}
            (Edit::Link { target, .. }, _) => {
                comment(&mut out, &[b"link ", &name(path), b" -> ", &printable(target)]);
            }
            (Edit::Move { to, .. }, _) => comment(&mut out, &[b"move ", &name(path), b" to ", &name(to)]),
            (Edit::Remove { .. }, Old::File(old)) => file(&mut out, path, Some(&old), None),
            (Edit::Remove { .. }, _) => comment(&mut out, &[b"remove ", &name(path)]),
            (Edit::Write { bytes, .. }, Old::File(old)) => file(&mut out, path, Some(&old), Some(bytes)),
            (Edit::Write { bytes, .. }, Old::Nothing) => file(&mut out, path, None, Some(bytes)),
            (Edit::Write { .. }, Old::Link) => comment(&mut out, &[b"replace the link ", &name(path), b" by a file"]),
        }
    }
    Ok(out)
}

/// What a step finds.
enum Old {
    File(Vec<u8>),
    Link,
    Nothing,
}

fn old_content(tree: &dyn Tree, path: &TreePath) -> io::Result<Old> {
    let above = match tree.resolve(&path.parent()) {
        Ok(above) => above.path,
        Err(e) => return Err(into_io(e)),
    };
    let path = above.join(path.name());
    match tree.node_nofollow(&path)?.map(|n| n.kind) {
        None => Ok(Old::Nothing),
        Some(NodeKind::Link(_)) => Ok(Old::Link),
        Some(_) => tree.read_nofollow(&path, Limits::DEFAULT.file).map(|(bytes, _)| Old::File(bytes)).map_err(into_io),
    }
}

fn into_io(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(e) => e,
        other => io::Error::other(other.to_string()),
    }
}

/// One file's part; `None` is a file that is not there.
fn file(out: &mut Vec<u8>, path: &TreePath, old: Option<&[u8]>, new: Option<&[u8]>) {
    let is_text = |bytes: Option<&[u8]>| !bytes.unwrap_or_default().iter().take(FIRST_BYTES).any(|b| *b == 0);
    if !is_text(old) || !is_text(new) {
        return comment(out, &[b"change ", &name(path), b", which is no text"]);
    }
    let (before, after) = (lines(old.unwrap_or_default()), lines(new.unwrap_or_default()));
    let ops = slide_down(capture_diff_slices(Algorithm::Myers, &before, &after), &before, &after);
    let groups = group_diff_ops(ops, CONTEXT);
    if groups.iter().all(Vec::is_empty) {
        if old.is_some() != new.is_some() {
            comment(out, &[if new.is_some() { b"create the empty file " } else { b"remove the empty file " }, &name(path)]);
        }
        return;
    }
    header(out, b"--- ", path, old.is_some());
    header(out, b"+++ ", path, new.is_some());
    for group in groups {
        hunk(out, &group, &before, &after);
    }
}

/// Moves each removed or added block as far down as its lines allow, as GNU diff and git do: where neighbouring sections begin alike,
/// the hunk is then that of the tools.
fn slide_down(ops: Vec<DiffOp>, before: &[&[u8]], after: &[&[u8]]) -> Vec<DiffOp> {
    let mut slid: Vec<DiffOp> = Vec::with_capacity(ops.len());
    // How far the block before moved into the lines that follow it.
    let mut taken = 0;
    let mut rest = ops.into_iter().peekable();
    while let Some(op) = rest.next() {
        let room = match rest.peek() {
            Some(DiffOp::Equal { len, .. }) => *len,
            _ => 0,
        };
        let fits = |lines: &[&[u8]], start: usize, len: usize| {
            (0..room).take_while(|k| lines.get(start + k) == lines.get(start + len + k)).count()
        };
        match op {
            DiffOp::Equal { old_index, new_index, len } => {
                slid.push(DiffOp::Equal { old_index: old_index + taken, new_index: new_index + taken, len: len - taken });
                taken = 0;
            }
            DiffOp::Delete { old_index, old_len, new_index } => {
                taken = fits(before, old_index, old_len);
                slid.push(DiffOp::Equal { old_index, new_index, len: taken });
                slid.push(DiffOp::Delete { old_index: old_index + taken, old_len, new_index: new_index + taken });
            }
            DiffOp::Insert { old_index, new_index, new_len } => {
                taken = fits(after, new_index, new_len);
                slid.push(DiffOp::Equal { old_index, new_index, len: taken });
                slid.push(DiffOp::Insert { old_index: old_index + taken, new_index: new_index + taken, new_len });
            }
            replace @ DiffOp::Replace { .. } => slid.push(replace),
        }
    }
    joined(slid)
}

/// Equal runs that touch become one, since the context around a change is counted by run.
fn joined(ops: Vec<DiffOp>) -> Vec<DiffOp> {
    let mut out: Vec<DiffOp> = Vec::with_capacity(ops.len());
    for op in ops {
        match (out.last_mut(), op) {
            (_, DiffOp::Equal { len: 0, .. }) => {}
            (Some(DiffOp::Equal { len, .. }), DiffOp::Equal { len: more, .. }) => *len += more,
            (_, op) => out.push(op),
        }
    }
    out
}

/// With a tab after a name that holds a blank, where both tools would else stop reading it or take the rest for a date.
fn header(out: &mut Vec<u8>, mark: &[u8], path: &TreePath, exists: bool) {
    out.extend_from_slice(mark);
    if exists {
        let name = name(path);
        out.extend_from_slice(&name);
        if name.contains(&b' ') && !name.starts_with(b"\"") {
            out.push(b'\t');
        }
    } else {
        out.extend_from_slice(b"/dev/null");
    }
    out.push(b'\n');
}

fn hunk(out: &mut Vec<u8>, group: &[DiffOp], before: &[&[u8]], after: &[&[u8]]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let old = first.old_range().start..last.old_range().end;
    let new = first.new_range().start..last.new_range().end;
    out.extend_from_slice(format!("@@ -{} +{} @@\n", range(&old), range(&new)).as_bytes());
    for op in group {
        let (tag, old, new) = op.as_tag_tuple();
        let mark = if tag == DiffTag::Equal { b' ' } else { b'-' };
        before[old].iter().for_each(|line| content(out, mark, line));
        if tag != DiffTag::Equal {
            after[new].iter().for_each(|line| content(out, b'+', line));
        }
    }
}

/// A range as `diff -u` writes it: an empty one names the line before it, and a length of one is left out.
fn range(lines: &std::ops::Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        n => format!("{},{n}", lines.start + 1),
    }
}

fn content(out: &mut Vec<u8>, mark: u8, line: &[u8]) {
    out.push(mark);
    out.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        out.extend_from_slice(b"\n\\ No newline at end of file\n");
    }
}

fn comment(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend_from_slice(b"# ");
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}

/// Lines with their newlines.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').collect()
}

/// `./etc/file`, in C's quotes when a byte of it would end the name or the line (git's `quote.c`, which GNU patch reads too).
fn name(path: &TreePath) -> Vec<u8> {
    let mut relative = b".".to_vec();
    relative.extend_from_slice(path.as_bytes());
    printable(&relative)
}

fn printable(bytes: &[u8]) -> Vec<u8> {
    if !bytes.iter().any(|b| b.is_ascii_control() || matches!(b, b'"' | b'\\')) {
        return bytes.to_vec();
    }
    let mut quoted = b"\"".to_vec();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', *byte]),
            b if b.is_ascii_control() => quoted.extend_from_slice(format!("\\{b:03o}").as_bytes()),
            b => quoted.push(*b),
        }
    }
    quoted.push(b'"');
    quoted
}
