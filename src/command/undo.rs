//! `undo`: puts back what a fix changed.

use std::path::Path;

use serde_json::json;

use super::{Failure, Outcome, Session};
use crate::{
    base::{TreePath, shell},
    cli::Format,
    plan::{self, ApplyOptions, Backup, Progress, UndoError},
    render::json,
};

/// What is asked for.
pub(super) struct Request<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) list: bool,
    pub(super) backup_dir: Option<&'a Path>,
    pub(super) force: bool,
}

pub(super) fn run(session: &Session<'_>, request: &Request<'_>) -> Result<Outcome, Failure> {
    let options = ApplyOptions::new(session.machine.now, session.is_live());
    let directory: TreePath = match request.backup_dir {
        Some(dir) => super::fix::backup_directory(session, dir)?,
        None => options.backup_directory,
    };
    let backups = plan::list(&*session.tree, &directory)
        .map_err(|e| session.in_root(format!("can't list the backups in {directory}: {e}")))?;
    if request.list {
        return Ok(Outcome::text(listing(&backups, session.global.format)));
    }
    let id = match request.id {
        Some(id) => id.to_owned(),
        None => backups
            .iter()
            .rev()
            .find(|b| !matches!(b.progress, Ok(Progress::RolledBack | Progress::Undone)))
            .map(|b| b.id.clone())
            .ok_or_else(|| session.in_root(format!("nothing to undo: no backup in {directory}")))?,
    };
    let undone = plan::undo(&*session.tree, &directory, &id, &options.lock, request.force).map_err(|error| {
        let later = match &error {
            UndoError::ChangedSince(paths) => later(&backups, &id, paths),
            _ => None,
        };
        match later {
            Some(later) => {
                let root = session.root().map(|r| format!(" --root {}", shell(&r))).unwrap_or_default();
                session.in_root(format!(
                    "the later fix {later} changed the same; undo that one first: certdoctor undo {later}{root}"
                ))
            }
            None => session.in_root(error),
        }
    })?;
    if session.global.format == Format::Json {
        let restored: Vec<String> = undone.restored.iter().map(ToString::to_string).collect();
        return Ok(Outcome::text(format!(
            "{:#}\n",
            json!({ "id": undone.id, "changed": !restored.is_empty(), "restored": restored })
        )));
    }
    let mut out = String::new();
    for path in &undone.restored {
        out.push_str(&format!("put back: {path}\n"));
    }
    let count = undone.restored.len();
    out.push_str(&match count {
        0 => format!("nothing to do: {id} is undone already\n"),
        1 => format!("undone: {id}, 1 path is as it was before\n"),
        n => format!("undone: {id}, {n} paths are as they were before\n"),
    });
    Ok(Outcome::text(out))
}

/// A later fix, still in force, that changed one of these paths.
fn later<'a>(backups: &'a [Backup], id: &str, paths: &[TreePath]) -> Option<&'a str> {
    let after = backups.iter().skip_while(|b| b.id != id).skip(1);
    let in_force = after.filter(|b| !matches!(b.progress, Ok(Progress::RolledBack | Progress::Undone)));
    in_force.filter(|b| b.paths.iter().any(|p| paths.contains(p))).last().map(|b| b.id.as_str())
}

fn listing(backups: &[Backup], format: Format) -> String {
    let word = |b: &Backup| match &b.progress {
        Ok(progress) => format!("{progress:?}").to_lowercase(),
        Err(why) => format!("unreadable: {why}"),
    };
    if format == Format::Json {
        let rows: Vec<_> = backups
            .iter()
            .map(|b| {
                let paths: Vec<String> = b.paths.iter().map(ToString::to_string).collect();
                json!({ "id": b.id, "at": b.at.to_string(), "state": word(b), "summary": b.summary, "paths": paths })
            })
            .collect();
        return json::envelope("undo", "backups", json!(rows));
    }
    if backups.is_empty() {
        return "nothing to undo\n".to_owned();
    }
    backups.iter().map(|b| format!("{}  {:<10}  {}  {}\n", b.id, word(b), b.at, b.summary.join("; "))).collect()
}
