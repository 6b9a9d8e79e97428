//! Certbot's logs: `YYYY-MM-DD HH:MM:SS,mmm:LEVEL:module:text`, with bodies and tracebacks on lines of their own.
//!
//! Certbot itself begins a new file at every run (`.1` to `.1000`); Debian's appends, and logrotate packs. Both are read, the newest
//! files first, within bounds.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
};

use crate::{
    base::{At, TreePath},
    facts::renewal::{Event, EventKind, Log},
    host::Tree,
};

const DIRECTORY: &str = "/var/log/letsencrypt";

/// The most directories that configurations may name.
const DIRECTORIES: usize = 20;

/// The most files, and the most bytes of one, counted from its end, and of all.
const FILES: usize = 200;
const FILE: usize = 16 << 20;
const ALL: usize = 64 << 20;

/// The most events, and characters kept of one.
const EVENTS: usize = 50_000;
const WORDS: usize = 600;

/// Reads the logs of the usual directory and of those that renewal configurations name (`logs_dir`).
pub(super) fn read(tree: &dyn Tree, now: At, elsewhere: &BTreeSet<TreePath>) -> Log {
    let usual = TreePath::from(DIRECTORY);
    let mut log = Log::default();
    let mut run = 0;
    let mut known = BTreeSet::new();
    for directory in [&usual].into_iter().chain(elsewhere.iter().filter(|d| **d != usual).take(DIRECTORIES)) {
        directory_of_logs(tree, directory, now, &mut run, &mut known, &mut log);
    }
    log.events.sort_by_key(|e| e.at);
    drop_oldest(&mut log);
    log.ca_dates.sort_by_key(|(theirs, ..)| *theirs);
    log
}

/// A file by its name, its time and a digest of its text. One directory may be met twice, by a link or a bind mount: what it says is told
/// once, for failures are counted.
type Known = BTreeSet<(Vec<u8>, At, u64)>;

fn directory_of_logs(tree: &dyn Tree, path: &TreePath, now: At, run: &mut usize, known: &mut Known, log: &mut Log) {
    let Ok(directory) = tree.resolve(path) else { return };
    let names = match tree.names_nofollow(&directory.path) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            log.unread.push((path.clone(), e.to_string()));
            return;
        }
        Err(_) => return,
    };
    let mut files: Vec<(u32, Vec<u8>)> = names.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    files.sort();
    let before = *run;
    let mut left = ALL;
    let mut texts = Vec::new();
    for (_, name) in files.into_iter().take(FILES) {
        let path = directory.path.join(&name);
        match content(tree, &path, left) {
            Ok((text, modified)) => {
                left = left.saturating_sub(text.len());
                let mut digest = DefaultHasher::new();
                text.hash(&mut digest);
                if known.insert((name, modified, digest.finish())) {
                    texts.push((path, text, modified));
                }
            }
            Err(why) => log.unread.push((path, why)),
        }
        if left == 0 {
            break;
        }
    }
    for (path, text, modified) in texts.into_iter().rev() {
        if log.events.len() > 2 * EVENTS {
            drop_oldest(log);
        }
        Reader {
            path,
            log: &mut *log,
            run: &mut *run,
            lineage: None,
            at: None,
            modified,
            from: 0,
            is_dry: false,
            acme: None,
            ca_date: None,
        }
        .read(&text, now);
    }
    // What was written by a clock that was ahead is moved back to before what follows it: else a renewal of that time would hide every
    // failure since.
    let (mut next, mut ahead) = (now, 0);
    for event in log.events.iter_mut().rev().take_while(|e| e.run > before) {
        if event.at > now.plus_days(1) {
            ahead = if ahead == 0 { event.at.0 - next.0 } else { ahead };
            event.at = At(event.at.0 - ahead).min(next);
        } else {
            ahead = 0;
        }
        next = event.at;
    }
}

/// The newest events are kept.
fn drop_oldest(log: &mut Log) {
    let surplus = log.events.len().saturating_sub(EVENTS);
    if let Some(event) = log.events.drain(..surplus).next_back() {
        log.unread.push((event.path, format!("more than {EVENTS} events; those before {} are left out", event.at)));
    }
}

/// `letsencrypt.log` is 0, `letsencrypt.log.3` and `letsencrypt.log.3.gz` are 3; others are none.
fn number(name: &[u8]) -> Option<u32> {
    let rest = std::str::from_utf8(name).ok()?.strip_prefix("letsencrypt.log")?;
    match rest.strip_suffix(".gz").unwrap_or(rest) {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    }
}

fn content(tree: &dyn Tree, path: &TreePath, left: usize) -> Result<(String, At), String> {
    let limit = ALL.min(left);
    let (mut bytes, resolved) = tree.read(path, limit as u64).map_err(|e| e.to_string())?;
    let modified = resolved.node.map_or(At(0), |n| n.modified);
    if path.as_bytes().ends_with(b".gz") {
        let mut text = Vec::new();
        // What can be unpacked of a damaged file is read.
        let outcome = flate2::read::GzDecoder::new(bytes.as_slice()).take(limit as u64).read_to_end(&mut text);
        match outcome {
            Err(e) if text.is_empty() => return Err(e.to_string()),
            _ => bytes = text,
        }
    }
    // What was written last counts.
    let start = bytes.len().saturating_sub(FILE);
    Ok((String::from_utf8_lossy(&bytes[start..]).into_owned(), modified))
}

struct Reader<'l> {
    path: TreePath,
    log: &'l mut Log,
    run: &'l mut usize,
    lineage: Option<String>,
    at: Option<At>,
    modified: At,
    /// The first event of this file.
    from: usize,
    /// Whether this run is a `--dry-run`.
    is_dry: bool,
    /// The type of an error whose detail is still to come.
    acme: Option<String>,
    /// The last `Date` of an answer: by the CA, by this host, and its line.
    ca_date: Option<(At, At, u32)>,
}

impl Reader<'_> {
    fn read(mut self, text: &str, now: At) {
        self.from = self.log.events.len();
        for (number, line) in (1..).zip(text.lines()) {
            match head(line) {
                Some((at, level, module, words)) => {
                    self.at = Some(at);
                    self.acme = None;
                    self.record(number, level, module, words);
                }
                None => self.body(number, line),
            }
        }
        // The file was last written when its last line was: how far that time is off is the zone, if it is off by whole quarters. (A
        // copy has the time at which it was made, which hits a quarter by chance once in 300 times.)
        let off = self.at.map_or(0, |last| self.modified.0 - last.0);
        let quarter = (off + 450).div_euclid(900) * 900;
        if (0..=2).contains(&(off - quarter)) && quarter.abs() <= 14 * 3600 && self.modified <= At(now.0.saturating_add(60)) {
            for event in &mut self.log.events[self.from..] {
                event.at = At(event.at.0 + quarter);
            }
            self.ca_date = self.ca_date.map(|(theirs, ours, line)| (theirs, At(ours.0 + quarter), line));
        }
        if let Some((theirs, ours, line)) = self.ca_date {
            self.log.ca_dates.push((theirs, ours, self.path.clone(), line));
        }
    }

    fn record(&mut self, number: u32, level: &str, module: &str, words: &str) {
        if let Some(version) = words.strip_prefix("certbot version: ") {
            *self.run += 1;
            (self.lineage, self.is_dry) = (None, false);
            self.push(number, EventKind::Run(version.trim().to_owned(), String::new()));
        } else if words.strip_prefix("Arguments: [").is_some_and(|given| given.contains("'--dry-run'")) {
            // It asks another server and keeps nothing: neither a failure nor a success tells about renewals.
            let run = *self.run;
            self.log
                .events
                .truncate(self.log.events.iter().rposition(|e| e.run != run).map_or(0, |last| last + 1).max(self.from));
            self.is_dry = true;
        } else if let Some(program) = words.strip_prefix("Location of certbot entry point: ") {
            let last = self.log.events[self.from..].last_mut();
            if let Some(Event { kind: EventKind::Run(_, entry), .. }) = last.filter(|_| !self.is_dry) {
                *entry = program.trim().to_owned();
            }
        } else if let Some((_, file)) = words.split_once("Processing /etc/letsencrypt/renewal/") {
            self.lineage = file.trim().strip_suffix(".conf").map(str::to_owned);
        } else if let Some(path) = words.strip_prefix("Writing certificate to ") {
            let lineage = path.split("/archive/").nth(1).and_then(|p| p.split('/').next());
            self.lineage = lineage.map(str::to_owned).or(self.lineage.take());
            self.push(number, EventKind::Issued);
        } else if let Some(rest) = failure(words).filter(|_| level == "ERROR" || level == "WARNING") {
            let (name, why) = rest;
            if let Some(name) = name {
                self.lineage = Some(name);
            }
            self.push(number, EventKind::Failed(why.clone()));
            self.error_text(number, &why);
        } else if words.starts_with("Hook '") && words.contains("' reported error code ") && module.contains("display") {
            self.push(number, EventKind::HookFailed(words.to_owned()));
        } else if level == "ERROR" {
            self.error_text(number, words);
        }
    }

    /// A line of a body or a traceback.
    fn body(&mut self, number: u32, line: &str) {
        let line = line.trim();
        let quoted = |rest: &str| {
            let rest = rest.trim().trim_start_matches(':').trim().trim_end_matches(',');
            rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).map(|r| r.replace("\\\"", "\"").replace("\\u003e", ">"))
        };
        if let Some(date) = line.strip_prefix("Date: ").and_then(http_date) {
            self.ca_date = self.at.map(|ours| (date, ours, number)).or(self.ca_date);
        } else if let Some(kind) = line.strip_prefix("\"type\"").and_then(quoted) {
            self.acme = kind.strip_prefix("urn:ietf:params:acme:error:").map(str::to_owned).or(self.acme.take());
        } else if let Some(detail) = line.strip_prefix("\"detail\"").and_then(quoted)
            && let Some(kind) = self.acme.take()
        {
            self.acme_error(number, kind, detail);
        } else if line.contains("urn:ietf:params:acme:error:") || line.contains("Error: ") {
            self.error_text(number, line);
        }
    }

    /// `urn:ietf:params:acme:error:rateLimited :: There were … :: detail`, and failures to reach the CA.
    fn error_text(&mut self, number: u32, words: &str) {
        if let Some((_, rest)) = words.split_once("urn:ietf:params:acme:error:") {
            let (kind, detail) = rest.split_once(" :: ").unwrap_or((rest, ""));
            // The middle part is the RFC's general sentence.
            let detail = detail.split_once(" :: ").map_or(detail, |(_, d)| d);
            self.acme_error(number, kind.trim().to_owned(), detail.to_owned());
        }
        let unreachable = [
            "Temporary failure in name resolution",
            "CERTIFICATE_VERIFY_FAILED",
            "Max retries exceeded",
            "Network is unreachable",
        ];
        if unreachable.iter().any(|u| words.contains(u))
            && self.log.events[self.from..].last().is_none_or(|e| !matches!(e.kind, EventKind::Unreachable(_)))
        {
            self.push(number, EventKind::Unreachable(clip(words)));
        }
    }

    /// An error of the CA; each is told once in a run, although it stands in the answer, in the traceback and in the summary.
    fn acme_error(&mut self, number: u32, kind: String, detail: String) {
        let detail = clip(&detail);
        let run = *self.run;
        let same = |e: &Event| matches!(&e.kind, EventKind::Acme(k, d) if *k == kind && (d.contains(&detail) || detail.contains(d.as_str())));
        if !self.log.events[self.from..].iter().rev().take_while(|e| e.run == run).any(same) {
            self.push(number, EventKind::Acme(kind, detail));
        }
    }

    fn push(&mut self, line: u32, kind: EventKind) {
        let Some(at) = self.at.filter(|_| !self.is_dry) else { return };
        let kind = if let EventKind::Failed(why) = kind { EventKind::Failed(clip(&why)) } else { kind };
        self.log.events.push(Event { at, path: self.path.clone(), line, run: *self.run, lineage: self.lineage.clone(), kind });
    }
}

/// `Failed to renew certificate N with error: why`, and the words of older versions and of `certonly`.
fn failure(words: &str) -> Option<(Option<String>, String)> {
    if let Some(rest) = words.strip_prefix("Failed to renew certificate ") {
        let (name, why) = rest.split_once(" with error: ")?;
        return Some((Some(name.to_owned()), why.to_owned()));
    }
    // certbot before 1.8
    let rest = words.strip_prefix("Attempting to renew cert (")?;
    let (name, why) = rest.split_once(')')?;
    let why = why.split_once("unexpected error: ").map_or(why, |(_, w)| w);
    Some((Some(name.to_owned()), why.trim_end_matches(" Skipping.").to_owned()))
}

/// `Sun, 22 Nov 2026 00:27:49 GMT` (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<At> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| *m == month)? + 1;
    At::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

fn clip(words: &str) -> String {
    let clean = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(WORDS).collect::<String>().trim().to_owned()
}

/// Time, level, module and text of a line that begins a record.
fn head(line: &str) -> Option<(At, &str, &str, &str)> {
    let stamp = line.get(..19)?;
    let rest = line.get(19..)?.strip_prefix(',')?;
    let at = At::parse(&format!("{}T{}Z", stamp.get(..10)?, stamp.get(11..)?)).ok()?;
    let mut parts = rest.splitn(4, ':');
    let (_, level, module, words) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let words = words.strip_prefix("Notifying user: ").unwrap_or(words);
    Some((at, level, module, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryTree;

    const RUN: &str = "\
2026-11-22 00:00:00,001:DEBUG:certbot._internal.main:certbot version: 2.1.0
2026-11-22 00:00:00,001:DEBUG:certbot._internal.main:Location of certbot entry point: /usr/bin/certbot
2026-11-22 00:00:00,002:DEBUG:certbot._internal.display.obj:Notifying user: Processing /etc/letsencrypt/renewal/a.test.conf
2026-11-22 00:00:01,000:DEBUG:acme.client:Received response:
HTTP 429
{
  \"type\": \"urn:ietf:params:acme:error:rateLimited\",
  \"detail\": \"too many failed authorizations (5) for \\\"a.test\\\" in the last 1h0m0s, retry after 2026-11-22 00:31:00 UTC\",
  \"status\": 429
}
Date: Sun, 22 Nov 2026 00:00:01 GMT
2026-11-22 00:00:01,002:ERROR:certbot._internal.renewal:Failed to renew certificate a.test with error: urn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: too many failed authorizations (5) for \"a.test\" in the last 1h0m0s, retry after 2026-11-22 00:31:00 UTC
2026-11-22 00:00:02,000:WARNING:certbot.display.ops:Hook 'deploy-hook' reported error code 1
";

    fn now() -> At {
        At::parse("2026-11-22T01:00:00Z").expect("a time")
    }

    #[test]
    fn what_a_clock_ahead_wrote_stays_before_what_follows() {
        let tree = MemoryTree::new();
        tree.file("/var/log/letsencrypt/letsencrypt.log.1", RUN.replace("2026-11-22", "2027-11-22"));
        tree.file("/var/log/letsencrypt/letsencrypt.log", RUN);
        let log = read(&tree, now(), &BTreeSet::new());
        assert!(log.events.iter().map(|e| e.run).eq([1, 1, 1, 1, 2, 2, 2, 2]), "{:#?}", log.events);
        assert_eq!(log.events[0].at.to_string(), "2026-11-21T23:59:58Z", "two seconds before the last of its run");
        // By the clock that wrote it.
        let log = read(&tree, At::parse("2027-11-23").expect("a time"), &BTreeSet::new());
        assert_eq!(log.events[7].at.to_string(), "2027-11-22T00:00:02Z");
    }

    #[test]
    fn an_error_is_told_once_in_a_run() {
        let tree = MemoryTree::new();
        tree.file("/var/log/letsencrypt/letsencrypt.log", RUN);
        let log = read(&tree, now(), &BTreeSet::new());
        let kinds: Vec<_> = log.events.iter().map(|e| (e.line, e.lineage.as_deref(), &e.kind)).collect();
        assert_eq!(log.events[0].kind, EventKind::Run("2.1.0".into(), "/usr/bin/certbot".into()));
        assert!(
            matches!(&log.events[1].kind, EventKind::Acme(kind, detail) if kind == "rateLimited" && detail.contains("retry after")),
            "{kinds:?}"
        );
        assert!(matches!(&log.events[2].kind, EventKind::Failed(_)), "{kinds:?}");
        assert!(matches!(&log.events[3].kind, EventKind::HookFailed(_)), "{kinds:?}");
        assert_eq!(log.events.len(), 4);
        assert_eq!(
            log.ca_dates.iter().map(|(theirs, ours, _, line)| (*theirs, *ours, *line)).collect::<Vec<_>>(),
            [(At(1_795_305_601), At(1_795_305_601), 11)]
        );
        assert!(log.events[1..].iter().all(|e| e.lineage.as_deref() == Some("a.test")));
        assert_eq!(log.events[3].at.to_string(), "2026-11-22T00:00:02Z");
    }

    #[test]
    fn a_dry_run_is_no_renewal() {
        let tree = MemoryTree::new();
        let dry = RUN.replace(
            "2026-11-22 00:00:00,002",
            "2026-11-22 00:00:00,001:DEBUG:certbot._internal.main:Arguments: ['--cert-name', 'a.test', '--dry-run']\n2026-11-22 00:00:00,002",
        );
        let wet = RUN.replace(
            "2026-11-22 00:00:00,002",
            "2026-11-22 00:00:00,001:DEBUG:certbot._internal.main:Arguments: ['-q']\n2026-11-22 00:00:00,002",
        );
        tree.file("/var/log/letsencrypt/letsencrypt.log", format!("{wet}{dry}{wet}"));
        let log = read(&tree, now(), &BTreeSet::new());
        let of_run = |run: usize| log.events.iter().filter(|e| e.run == run).count();
        assert_eq!([1, 2, 3].map(of_run), [4, 0, 4]);
    }

    #[test]
    fn a_directory_that_is_met_twice_is_told_once() {
        let tree = MemoryTree::new();
        tree.file("/var/log/letsencrypt/letsencrypt.log", RUN);
        tree.symlink("/srv/logs", "/var/log/letsencrypt");
        let log = read(&tree, now(), &BTreeSet::from(["/srv/logs".into()]));
        assert_eq!(log.events.len(), 4);
    }

    #[test]
    fn of_a_big_log_the_end_is_read() {
        let tree = MemoryTree::new();
        let old = RUN.replace("2026-11-22", "2026-11-01");
        let filler = "x".repeat(99) + "\n";
        tree.file("/var/log/letsencrypt/letsencrypt.log", old + &filler.repeat(FILE / 100) + RUN);
        let log = read(&tree, now(), &BTreeSet::new());
        assert_eq!(log.events.iter().filter(|e| matches!(e.kind, EventKind::Run(..))).count(), 1);
        assert_eq!(log.events.last().map(|e| e.at.to_string()).as_deref(), Some("2026-11-22T00:00:02Z"));
    }

    #[test]
    fn of_too_many_events_the_newest_are_kept() {
        let tree = MemoryTree::new();
        let run = |n: usize| {
            format!("2026-11-20 {:02}:{:02}:{:02},000:DEBUG:certbot:certbot version: {n}\n", n / 3600, n / 60 % 60, n % 60)
        };
        tree.file("/var/log/letsencrypt/letsencrypt.log", (0..EVENTS + 10).map(run).collect::<String>());
        let log = read(&tree, now(), &BTreeSet::new());
        assert_eq!(log.events.len(), EVENTS);
        assert_eq!(log.events.last().map(|e| e.kind.clone()), Some(EventKind::Run((EVENTS + 9).to_string(), String::new())));
        assert_eq!(log.unread.len(), 1);
    }

    #[test]
    fn rotated_and_packed_files_come_first_and_damage_is_told() {
        use std::io::Write;
        let tree = MemoryTree::new();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(RUN.replace("2026-11-22", "2026-11-15").as_bytes()).expect("packed");
        tree.file("/var/log/letsencrypt/letsencrypt.log.2.gz", packed.finish().expect("packed"));
        tree.file("/var/log/letsencrypt/letsencrypt.log.1", RUN.replace("2026-11-22", "2026-11-20"));
        tree.file("/var/log/letsencrypt/letsencrypt.log", RUN);
        tree.file("/var/log/letsencrypt/letsencrypt.log.3.gz", "no gzip");
        tree.file("/var/log/letsencrypt/other.log", RUN);
        let log = read(&tree, now(), &BTreeSet::new());
        let runs: Vec<String> = log
            .events
            .iter()
            .filter(|e| matches!(e.kind, EventKind::Run(..)))
            .map(|e| e.at.to_string()[..10].to_owned())
            .collect();
        assert_eq!(runs, ["2026-11-15", "2026-11-20", "2026-11-22"]);
        assert_eq!(log.unread.len(), 1);
        assert_eq!(log.events.last().map(|e| e.run), Some(3));
    }
}
