//! What Caddy's JSON logs (zap) say about renewals. Messages are told by the words that CertMagic and the CA put into `error`.

use serde::Deserialize;

use crate::{
    base::{At, TreePath},
    facts::renewal::certmagic::{LogEvent, LogLine},
    host::Tree,
};

/// Where Caddy's package and most configurations write.
const DIRECTORY: &str = "/var/log/caddy";

/// Bytes of a file's end that are looked at.
const END: usize = 4 << 20;

/// A larger file is not read: the host's own rotation keeps them smaller (Caddy rolls at 100 MiB).
const LIMIT: u64 = 128 << 20;

/// The most files, the last by name.
const FILES: usize = 20;

/// The most lines that are kept of all files.
const LINES: usize = 1000;

/// Every telling line, oldest first.
pub(super) fn read(tree: &dyn Tree) -> Vec<LogLine> {
    let Ok(resolved) = tree.resolve(&DIRECTORY.into()) else { return Vec::new() };
    let names = tree.names_nofollow(&resolved.path).unwrap_or_default();
    let logs = names.iter().rev().filter(|n| [&b".log"[..], b".json", b".jsonl"].iter().any(|e| n.ends_with(e)));
    let mut found = Vec::new();
    for path in logs.take(FILES).map(|name| resolved.path.join(name)) {
        let Ok((bytes, _)) = tree.read(&path, LIMIT) else { continue };
        found.extend(telling(&path, &bytes));
    }
    found.sort_by_key(|line| line.at);
    let old = found.len().saturating_sub(LINES);
    found.split_off(old)
}

fn telling(path: &TreePath, bytes: &[u8]) -> Vec<LogLine> {
    let from = bytes.len().saturating_sub(END);
    let mut found = Vec::new();
    for (n, line) in bytes[from..].split(|b| *b == b'\n').enumerate() {
        // Most lines are requests: only those with a telling word are taken apart.
        if TELLING.iter().any(|word| memchr::memmem::find(line, word.as_bytes()).is_some())
            && let Some((at, name, event)) = event(line)
        {
            let line = if from == 0 { u32::try_from(n + 1).ok() } else { None };
            found.push(LogLine { path: path.clone(), line, at, name, event });
        }
    }
    found
}

const ALREADY: &str = "already has a replacement order";
const UNKNOWN: &str = "no information found to solve challenge";
const ALPN: &str = "tls-alpn-01";
const LOCK: &str = "decoding lockfile contents";

const TELLING: &[&str] = &[ALREADY, UNKNOWN, ALPN, LOCK];

fn event(line: &[u8]) -> Option<(At, Option<String>, LogEvent)> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        ts: f64,
        msg: String,
        error: Option<String>,
        challenge_type: Option<String>,
        identifier: Option<String>,
        server_name: Option<String>,
        problem: Option<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        detail: Option<String>,
    }
    let line: Line = serde_json::from_slice(line).ok()?;
    if line.level == "debug" {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "seconds, of which no log has 2^53")]
    let at = At(line.ts as i64);
    let error = line.error.or_else(|| line.problem.and_then(|p| p.detail)).unwrap_or_default();
    let before = |words: &str| words.split_once(": ").map(|(name, _)| name.to_owned()).filter(|name| !name.contains(' '));
    let name = line.identifier.or(line.server_name).or_else(|| before(&error));
    let event = if error.contains(ALREADY) {
        let serial = error.split_once("serial ").map(|(_, rest)| rest.trim_start_matches(['"', '\\']));
        let serial = serial.map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
        LogEvent::AlreadyReplaced(serial.filter(|serial| !serial.is_empty()).map(|s| s.to_ascii_lowercase()))
    } else if error.contains(UNKNOWN) {
        LogEvent::UnknownChallenge
    } else if error.contains(LOCK) {
        LogEvent::LockUnreadable(error)
    } else if line.msg == "challenge failed" && (line.challenge_type.as_deref() == Some(ALPN) || error.contains(ALPN)) {
        LogEvent::AlpnRefused(error)
    } else {
        return None;
    };
    Some((at, name, event))
}
