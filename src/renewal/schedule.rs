//! Timers of systemd, offline from their files as `systemctl --root` sees them, and tables of cron.

use std::collections::{BTreeMap, BTreeSet};

use super::Host;
use crate::{
    base::{Limits, TreePath},
    facts::renewal::{
        Processes, Schedule,
        schedule::{Job, JobKind, Table, Timer, UnitState},
    },
    format::{crontab, systemd_unit},
    host::{Node, NodeKind, ReadError, Tree},
};

/// Where units lie, the first wins (`systemd.unit(5)`).
const UNITS: [&str; 8] = [
    TRANSIENT,
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Units made by `systemd-run`: they are there as long as they run, linked by nothing.
const TRANSIENT: &str = "/run/systemd/transient";

/// A job is one of ours when its name or its command has one of these.
const MANAGERS: [&str; 8] = ["certbot", "letsencrypt", "lego", "acme.sh", "dehydrated", "getssl", "uacme", "simp_le"];

/// Bytes read of a unit or a table.
const LIMIT: u64 = 1 << 20;

/// The most units and tables that are looked into.
const FILES: usize = 5000;

/// The most lines of a script that are told.
const LINES: usize = 20;

/// Reads what is scheduled.
pub(super) fn read(host: &Host<'_>, processes: &Processes) -> Schedule {
    let tree = host.tree;
    let mut schedule = Schedule::default();
    if host.live {
        schedule.systemd = tree.exists(&"/run/systemd/system".into());
        let daemons = ["cron", "crond", "fcron", "dcron", "busybox-crond", "bcron-start"];
        schedule.cron = processes.all.iter().any(|p| daemons.contains(&p.program()) || daemons.contains(&p.comm.as_str()));
    } else {
        let there = |paths: &[&str]| paths.iter().any(|p| tree.exists(&TreePath::from(*p)));
        schedule.systemd = there(&["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]);
        schedule.cron = there(&["/usr/sbin/cron", "/usr/sbin/crond", "/sbin/crond", "/usr/bin/crond", "/usr/sbin/fcron"]);
    }
    timers(tree, &mut schedule.jobs);
    tables(tree, &mut schedule.jobs);
    for dir in ["/var/spool/cron/crontabs", "/var/spool/cron"] {
        let listed = tree.resolve(&dir.into()).ok().filter(|r| r.node.is_some()).map(|r| tree.names_nofollow(&r.path));
        if let Some(Err(e)) = listed {
            schedule.unread.push((dir.into(), e.to_string()));
        }
    }
    schedule
}

fn is_ours(text: &str) -> bool {
    MANAGERS.iter().any(|m| text.contains(m))
}

/// The names in a directory, links followed; none when it can't be listed.
fn names(tree: &dyn Tree, path: &TreePath) -> (TreePath, Vec<Vec<u8>>) {
    let Ok(resolved) = tree.resolve(path) else { return (path.clone(), Vec::new()) };
    let mut names = tree.names_nofollow(&resolved.path).unwrap_or_default();
    names.truncate(Limits::DEFAULT.names.min(FILES));
    (resolved.path, names)
}

fn timers(tree: &dyn Tree, jobs: &mut Vec<Job>) {
    let mut units: BTreeSet<String> = BTreeSet::new();
    // What is wanted, by unit, with the link that wants it.
    let mut wanted: BTreeMap<String, TreePath> = BTreeMap::new();
    for dir in UNITS {
        let (dir, found) = names(tree, &dir.into());
        for name in found {
            let Ok(name) = String::from_utf8(name) else { continue };
            if name.ends_with(".timer") {
                units.insert(name);
            } else if name.ends_with(".wants") || name.ends_with(".requires") {
                let (of_target, links) = names_in(tree, &dir.join(&name));
                for link in links.into_iter().filter(|l| l.ends_with(".timer")) {
                    wanted.entry(link.clone()).or_insert_with(|| of_target.join(&link));
                    units.insert(link);
                }
            }
        }
    }
    jobs.extend(units.into_iter().filter_map(|unit| timer(tree, &unit, wanted.get(&unit))));
}

fn names_in(tree: &dyn Tree, path: &TreePath) -> (TreePath, Vec<String>) {
    let (path, names) = names(tree, path);
    (path, names.into_iter().filter_map(|n| String::from_utf8(n).ok()).collect())
}

/// One timer, if it is one of ours.
fn timer(tree: &dyn Tree, unit: &str, wanted: Option<&TreePath>) -> Option<Job> {
    let fragment = fragment(tree, unit);
    let of_timer = fragment.as_ref().map(|f| assignments(tree, unit, f)).unwrap_or_default();
    let service = value(&of_timer, "Timer", "Unit").unwrap_or_else(|| unit.trim_end_matches("timer").to_owned() + "service");
    let service_file = self::fragment(tree, &service).filter(|f| matches!(f, Fragment::File(_)));
    let of_service = service_file.as_ref().map(|f| assignments(tree, &service, f)).unwrap_or_default();
    let command =
        list(&of_service, "Service", &["ExecStart"]).into_iter().map(|(_, value, ..)| value).collect::<Vec<_>>().join("; ");
    if !is_ours(unit) && !is_ours(&command) {
        return None;
    }
    let state = match (&fragment, wanted) {
        (Some(Fragment::Masked(path)), _) => UnitState::Masked(path.clone()),
        (None, Some(link)) => UnitState::Gone(link.clone()),
        (Some(Fragment::File(_)), Some(_)) => UnitState::Enabled,
        (Some(Fragment::File(path)), None) if path.starts_with(&TRANSIENT.into()) => UnitState::Enabled,
        (_, None) => UnitState::Disabled,
    };
    let path = match &fragment {
        Some(Fragment::File(path) | Fragment::Masked(path)) => path.clone(),
        None => wanted.cloned()?,
    };
    let monotonic = ["OnUnitActiveSec", "OnUnitInactiveSec"];
    let calendars = list(&of_timer, "Timer", &["OnCalendar"]);
    let others = list(&of_timer, "Timer", &monotonic);
    // With several calendars it runs at each of them: the shortest gap is an upper bound of the longest between two runs.
    let gaps = calendars.iter().filter_map(|(_, v, ..)| systemd_unit::longest_gap(v)).min();
    let longest_gap = if others.is_empty() { gaps } else { None };
    let when = calendars.into_iter().chain(others).map(|(_, value, path, line)| (value, path, line)).collect();
    let stamp = TreePath::from("/var/lib/systemd/timers").join(format!("stamp-{unit}"));
    let last = tree.resolve(&stamp).ok().and_then(|r| r.node).map(|n| n.modified);
    let program = command.split_ascii_whitespace().next().map(|w| w.trim_start_matches(['@', '-', ':', '+', '!']));
    let program = program.and_then(|word| self::program(tree, word));
    let service_path = match service_file {
        Some(Fragment::File(path)) => Some(path),
        _ => None,
    };
    let timer = Timer { unit: unit.to_owned(), state, service: service_path, write_protected: write_protected(&of_service) };
    Some(Job { path, line: None, command, program, when, longest_gap, last, kind: JobKind::Timer(timer) })
}

/// A unit's file.
enum Fragment {
    File(TreePath),
    Masked(TreePath),
}

fn fragment(tree: &dyn Tree, unit: &str) -> Option<Fragment> {
    for dir in UNITS {
        let path = TreePath::from(dir).join(unit);
        let Ok(resolved) = tree.resolve(&path) else { continue };
        let to_null = resolved.links.last().is_some_and(|(_, target)| target == b"/dev/null");
        match resolved.node {
            _ if to_null => return Some(Fragment::Masked(path)),
            // An empty file masks too.
            Some(Node { kind: NodeKind::File(0), .. }) => return Some(Fragment::Masked(path)),
            Some(Node { kind: NodeKind::File(_), .. }) => return Some(Fragment::File(path)),
            _ => {}
        }
    }
    None
}

/// Section, key, value, file, line.
type Assigned = (String, String, String, TreePath, u32);

/// The assignments of a unit and of its drop-ins, in the order in which they count.
fn assignments(tree: &dyn Tree, unit: &str, fragment: &Fragment) -> Vec<Assigned> {
    let Fragment::File(path) = fragment else { return Vec::new() };
    // Drop-ins of one name: the first directory wins; all together they are sorted by name.
    let mut drop_ins: BTreeMap<Vec<u8>, TreePath> = BTreeMap::new();
    for dir in UNITS {
        let (dir, found) = names(tree, &TreePath::from(dir).join(format!("{unit}.d")));
        for name in found.into_iter().filter(|n| n.ends_with(b".conf")) {
            let path = dir.join(&name);
            drop_ins.entry(name).or_insert(path);
        }
    }
    let mut out = Vec::new();
    for path in [path].into_iter().chain(drop_ins.values()) {
        let Ok((bytes, _)) = tree.read(path, LIMIT) else { continue };
        out.extend(systemd_unit::parse(&bytes).into_iter().map(|a| (a.section, a.key, a.value, path.clone(), a.line)));
    }
    out
}

/// The last value of a key.
fn value(assigned: &[Assigned], section: &str, key: &str) -> Option<String> {
    assigned.iter().rev().find(|(s, k, ..)| s == section && k == key).map(|(_, _, v, ..)| v.clone())
}

/// The values of keys that add up; an empty one takes back what came before.
fn list(assigned: &[Assigned], section: &str, keys: &[&str]) -> Vec<(String, String, TreePath, u32)> {
    let mut out: Vec<(String, String, TreePath, u32)> = Vec::new();
    for (_, key, value, path, line) in assigned.iter().filter(|(s, k, ..)| s == section && keys.contains(&k.as_str())) {
        if value.is_empty() {
            out.retain(|(k, ..)| k != key);
        } else {
            out.push((key.clone(), value.clone(), path.clone(), *line));
        }
    }
    out
}

/// What keeps a service from writing to `/etc/letsencrypt` (`systemd.exec(5)`).
fn write_protected(service: &[Assigned]) -> Vec<(String, TreePath, u32)> {
    let kept = TreePath::from("/etc/letsencrypt");
    let covers = |value: &str| {
        let paths = value.split_ascii_whitespace().map(|p| p.trim_matches('"').trim_start_matches(['-', '+']));
        paths.filter(|p| p.starts_with('/')).any(|p| kept.starts_with(&TreePath::from(p)))
    };
    let allowed =
        list(service, "Service", &["ReadWritePaths", "ReadWriteDirectories"]).iter().any(|(_, value, ..)| covers(value))
            || value(service, "Service", "ConfigurationDirectory")
                .is_some_and(|d| d.split_ascii_whitespace().any(|d| d == "letsencrypt"));
    if allowed {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (key, value, path, line) in list(service, "Service", &["ReadOnlyPaths", "ReadOnlyDirectories", "InaccessiblePaths"]) {
        if covers(&value) {
            out.push((format!("{key}={value}"), path, line));
        }
    }
    let protect = service.iter().rev().find(|(s, k, ..)| s == "Service" && k == "ProtectSystem");
    if let Some((_, key, value, path, line)) = protect.filter(|(_, _, v, ..)| v == "full" || v == "strict") {
        out.push((format!("{key}={value}"), path.clone(), *line));
    }
    out
}

fn tables(tree: &dyn Tree, jobs: &mut Vec<Job>) {
    let mut read = |path: &TreePath, table: Table| {
        let Ok((bytes, _)) = tree.read(path, LIMIT) else { return };
        for job in crontab::parse(&bytes, table == Table::System).into_iter().filter(|j| is_ours(&j.command)) {
            let gap = crontab::longest_gap(&job.when);
            jobs.push(cron(tree, path, table.clone(), job.line, job.command, job.when, gap));
        }
    };
    read(&"/etc/crontab".into(), Table::System);
    let (dir, tables) = names(tree, &"/etc/cron.d".into());
    // Debian's cron passes over names with a dot; what others take is more.
    for name in tables.iter().filter(|n| !n.contains(&b'.') && !n.ends_with(b"~")) {
        read(&dir.join(name), Table::System);
    }
    for dir in ["/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs"] {
        let (dir, tables) = names(tree, &dir.into());
        for name in tables {
            read(&dir.join(&name), Table::User(String::from_utf8_lossy(&name).into_owned()));
        }
    }
    for (dir, when, gap) in [
        ("/etc/cron.hourly", "hourly", 1),
        ("/etc/cron.daily", "daily", 1),
        ("/etc/cron.weekly", "weekly", 7),
        ("/etc/cron.monthly", "monthly", 31),
        ("/etc/periodic/daily", "daily", 1),
        ("/etc/periodic/weekly", "weekly", 7),
        ("/etc/periodic/monthly", "monthly", 31),
    ] {
        let (dir, scripts) = names(tree, &dir.into());
        for name in scripts.into_iter().filter(|n| !n.contains(&b'.')) {
            let path = dir.join(name);
            let Ok((bytes, resolved)) = tree.read(&path, LIMIT) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<(u32, &str)> =
                (1..).zip(text.lines()).filter(|(_, l)| !l.trim_start().starts_with('#') && runs_ours(l)).take(LINES).collect();
            let is_executable = resolved.node.is_some_and(|n| n.mode & 0o111 != 0);
            if let Some((number, _)) = lines.first().filter(|_| is_executable) {
                let command = lines.iter().map(|(_, line)| line.trim()).collect::<Vec<_>>().join("; ");
                jobs.push(cron(tree, &path, Table::Script, *number, command, when.to_owned(), Some(gap)));
            }
        }
    }
}

/// Whether a line of a script names one of the programs: a word whose last part is its name. (`/etc/letsencrypt` is none.)
fn runs_ours(line: &str) -> bool {
    let words = line.split(|c: char| c.is_whitespace() || ";&|()'\"`=".contains(c));
    let mut names = words.filter(|word| *word != "/etc/letsencrypt").map(|word| word.rsplit('/').next().unwrap_or(word));
    names.any(|name| MANAGERS.contains(&name) || name == "certbot-auto" || name == "letsencrypt-auto")
}

fn cron(
    tree: &dyn Tree,
    path: &TreePath,
    table: Table,
    line: u32,
    command: String,
    when: String,
    longest_gap: Option<u32>,
) -> Job {
    let kind = JobKind::Cron { unless_systemd: command.contains("/run/systemd/system"), table };
    let program = command.split_ascii_whitespace().next().and_then(|word| program(tree, word));
    let when = vec![(when, path.clone(), line)];
    Job { path: path.clone(), line: Some(line), command, program, when, longest_gap, last: None, kind }
}

/// The program that a word names by its path, and whether something is there. What this user may not see may be there.
fn program(tree: &dyn Tree, word: &str) -> Option<(TreePath, bool)> {
    let path = TreePath::from(Some(word).filter(|w| w.starts_with('/'))?);
    let is_there = match tree.resolve(&path) {
        Ok(resolved) => resolved.node.is_some(),
        Err(ReadError::Io(_)) => true,
        Err(_) => false,
    };
    Some((path, is_there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::At,
        host::{LiveDial, memory::MemoryTree},
    };

    const TIMER: &str = "[Timer]\nOnCalendar=*-*-* 00,12:00:00\nPersistent=true\n[Install]\nWantedBy=timers.target\n";
    const SERVICE: &str = "[Service]\nExecStart=/usr/bin/certbot -q renew\n";
    const WANTS: &str = "/etc/systemd/system/timers.target.wants/certbot.timer";

    fn tree() -> MemoryTree {
        let tree = MemoryTree::new();
        tree.file("/usr/lib/systemd/systemd", "x");
        tree.symlink("/lib", "usr/lib");
        tree.file("/usr/lib/systemd/system/certbot.timer", TIMER);
        tree.file("/usr/lib/systemd/system/certbot.service", SERVICE);
        tree.file("/usr/bin/certbot", "#!/usr/bin/python3\n");
        tree.symlink(WANTS, "/lib/systemd/system/certbot.timer");
        tree
    }

    fn look(tree: &MemoryTree) -> Schedule {
        let host =
            Host { tree, dial: &LiveDial::default(), live: false, public: false, at: At(0), now: At(0), timeout: 1, jobs: 1 };
        read(&host, &Processes::default())
    }

    fn state(tree: &MemoryTree) -> UnitState {
        look(tree).jobs[0].timer().expect("a timer").state.clone()
    }

    #[test]
    fn states_are_those_of_systemctl() {
        let tree = tree();
        let schedule = look(&tree);
        assert_eq!(state(&tree), UnitState::Enabled);
        assert_eq!(schedule.jobs.len(), 1);
        assert!(schedule.starts(&schedule.jobs[0]));
        assert_eq!(schedule.jobs[0].program, Some(("/usr/bin/certbot".into(), true)));
        tree.symlink("/etc/systemd/system/certbot.timer", "/dev/null");
        assert_eq!(state(&tree), UnitState::Masked("/etc/systemd/system/certbot.timer".into()));
        tree.remove_directory(&"/etc/systemd/system/timers.target.wants".into());
        tree.remove_directory(&"/etc/systemd/system/certbot.timer".into());
        assert_eq!(state(&tree), UnitState::Disabled);
        tree.remove_directory(&"/usr/lib/systemd/system/certbot.timer".into());
        assert_eq!(look(&tree).jobs, []);
        tree.symlink(WANTS, "/lib/systemd/system/certbot.timer");
        assert_eq!(state(&tree), UnitState::Gone(WANTS.into()));
    }

    #[test]
    fn a_drop_in_counts_after_the_unit() {
        let tree = tree();
        tree.file("/etc/systemd/system/certbot.timer.d/override.conf", "[Timer]\nOnCalendar=\nOnCalendar=monthly\n");
        let job = look(&tree).jobs.remove(0);
        assert_eq!(job.longest_gap, Some(31));
        assert_eq!(job.when, [("monthly".into(), "/etc/systemd/system/certbot.timer.d/override.conf".into(), 3)]);
        tree.file("/etc/systemd/system/certbot.service.d/a.conf", "[Service]\nProtectSystem=strict\n");
        let timer = look(&tree).jobs.remove(0);
        assert_eq!(timer.timer().map(|t| t.write_protected.len()), Some(1));
        tree.file(
            "/etc/systemd/system/certbot.service.d/b.conf",
            "[Service]\nReadWritePaths=/etc/letsencrypt /var/lib/letsencrypt\n",
        );
        assert_eq!(look(&tree).jobs[0].timer().map(|t| t.write_protected.len()), Some(0));
        tree.file("/etc/systemd/system/certbot.service.d/b.conf", "[Service]\nReadWritePaths=-/etc/letsencrypt/\n");
        assert_eq!(look(&tree).jobs[0].timer().map(|t| t.write_protected.len()), Some(0));
        tree.file("/etc/systemd/system/certbot.service.d/b.conf", "[Service]\nReadWritePaths=/etc/lets\n");
        assert_eq!(look(&tree).jobs[0].timer().map(|t| t.write_protected.len()), Some(1));
    }

    #[test]
    fn of_a_script_the_lines_that_run_it_count() {
        let tree = MemoryTree::new();
        let script = "#!/bin/sh\ncd /etc/letsencrypt || exit\n# certbot renew\nif /usr/bin/certbot -q renew; then\nlogger certbot-done\nfi\n";
        tree.put("/etc/cron.weekly/renew", NodeKind::File(1), 0o755, script.into());
        tree.put("/etc/cron.weekly/backup", NodeKind::File(1), 0o755, b"tar c /etc/letsencrypt\n".to_vec());
        let jobs = look(&tree).jobs;
        assert_eq!(
            jobs.iter().map(|j| (j.line, j.command.as_str())).collect::<Vec<_>>(),
            [(Some(4), "if /usr/bin/certbot -q renew; then")]
        );
        assert_eq!(jobs[0].kind, JobKind::Cron { unless_systemd: false, table: Table::Script });
    }

    #[test]
    fn cron_gives_way_to_systemd_where_it_says_so() {
        let tree = tree();
        tree.file("/usr/sbin/cron", "x");
        tree.file(
            "/etc/cron.d/certbot",
            "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n",
        );
        let schedule = look(&tree);
        let starts: Vec<bool> = schedule.of("certbot").map(|j| schedule.starts(j)).collect();
        assert_eq!(starts, [true, false]);
    }
}
