//! Which running programs still hold the old roots: those that started before the change and map a library, or are a runtime, that
//! reads the store once and keeps it.
//!
//! Linux only, by `/proc`; elsewhere nothing is looked at, and the list says so. Programs that carry their TLS in themselves (rustls,
//! a static OpenSSL) can't be told from others and are not listed, but for Go, whose binaries say what they are.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "reading /proc of this host")]

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use crate::base::{At, Limits};

/// Clock ticks in a second, as `/proc` counts them: USER_HZ, which is 100 on every architecture that Rust supports on Linux (`proc(5)`).
pub const TICKS: i64 = 100;

/// Bytes read of one `/proc/PID/maps`. A JVM with many libraries has about 200 kB.
const MAPS: u64 = 8 << 20;

/// Characters of a command line that are kept.
const COMMAND: usize = 200;

/// Libraries that keep roots once they have been loaded: the beginning of the file's name, and what it is.
const LIBRARIES: &[(&str, &str)] = &[
    ("_ssl.cpython", "Python ssl"),
    ("libcoreclr.so", ".NET"),
    ("libgnutls.so", "GnuTLS"),
    ("libjvm.so", "Java"),
    ("libnode.so", "Node.js"),
    ("libnss3.so", "NSS"),
    ("libssl.so", "OpenSSL"),
    ("libtls.so", "LibreSSL"),
];

/// Programs that are such a runtime themselves: the beginning of the program's name, and what it is.
const PROGRAMS: &[(&str, &str)] =
    &[("bun", "Bun"), ("deno", "Deno"), ("node", "Node.js"), ("pypy", "PyPy"), ("python", "Python")];

/// A process that should be restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its command line, cut to 200 characters; control characters escaped.
    pub command: String,
    /// What keeps the roots: `OpenSSL (libssl.so.3)`, `Go`; sorted, at least one.
    pub why: Vec<String>,
    /// When it started.
    pub started: At,
    /// The systemd service, or the scope of a container, that it belongs to.
    pub unit: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartList {
    /// The processes, by number.
    pub processes: Vec<Process>,
    /// How many processes were looked at; 0 where there is no `/proc`.
    pub looked_at: usize,
    /// How many could not be looked at for want of permission.
    pub not_permitted: usize,
}

/// The processes of this root file system that started before `since` and keep roots in memory.
#[must_use]
pub fn restart_list(since: At) -> RestartList {
    let mut list = RestartList::default();
    let Some(boot) = boot_time(&read(Path::new("/proc/stat"), 4 << 20).unwrap_or_default()) else { return list };
    let own_etc = identity(Path::new("/etc"));
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .take(Limits::DEFAULT.names)
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        list.looked_at += 1;
        match look(pid, boot, since, own_etc) {
            Ok(found) => list.processes.extend(found),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => list.not_permitted += 1,
            // It ended meanwhile.
            Err(_) => {}
        }
    }
    list
}

/// The process, if it is to be listed.
fn look(pid: u32, boot: i64, since: At, own_etc: Option<(u64, u64)>) -> io::Result<Option<Process>> {
    let dir = Path::new("/proc").join(pid.to_string());
    let stat = read(&dir.join("stat"), 4096)?;
    let Some(ticks) = start_ticks(&stat) else { return Ok(None) };
    let started = At(boot + ticks / TICKS);
    if started >= since {
        return Ok(None);
    }
    let program = match fs::read_link(dir.join("exe")) {
        Ok(program) => program,
        // A kernel thread.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    // A process of another root (a container) reads another store. Services with a mount namespace of their own share `/etc`.
    if identity(&dir.join("root/etc")) != own_etc {
        return Ok(None);
    }
    let mut why = mapped(&read(&dir.join("maps"), MAPS)?);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    why.extend(PROGRAMS.iter().filter(|(begin, _)| is_named(&name, begin)).map(|(_, what)| (*what).to_owned()));
    if File::open(dir.join("exe")).is_ok_and(|file| is_go(&file)) {
        why.push("Go".to_owned());
    }
    why.sort();
    why.dedup();
    if why.is_empty() {
        return Ok(None);
    }
    let unit = read(&dir.join("cgroup"), 64 << 10).ok().and_then(|text| unit(&String::from_utf8_lossy(&text)));
    let command = command_line(&read(&dir.join("cmdline"), 64 << 10).unwrap_or_default(), &name);
    Ok(Some(Process { pid, command, why, started, unit }))
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// `btime` of `/proc/stat`: seconds since 1970.
#[must_use]
pub fn boot_time(stat: &[u8]) -> Option<i64> {
    String::from_utf8_lossy(stat).lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// Field 22 of `/proc/PID/stat`; counted from behind the command, which may hold blanks and parentheses.
#[must_use]
pub fn start_ticks(stat: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(stat);
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The libraries that count among the mapped files.
fn mapped(maps: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(maps);
    let mut found: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once('/'))
        .filter_map(|(_, path)| {
            let name = path.strip_suffix(" (deleted)").unwrap_or(path).rsplit('/').next()?;
            let (_, what) = LIBRARIES.iter().find(|(begin, _)| name.starts_with(begin))?;
            Some(format!("{what} ({name})"))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a program is `begin`, or that with a version: `python3.11`, `node18`.
fn is_named(name: &str, begin: &str) -> bool {
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    name.strip_prefix(begin).is_some_and(|rest| matches!(rest, "" | "js") || rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether an ELF file has the section `.go.buildinfo`, which Go's linker writes and `strip` leaves (Go, `debug/buildinfo`).
fn is_go(file: &File) -> bool {
    section_names(file).is_some_and(|names| names.split(|b| *b == 0).any(|name| name == b".go.buildinfo"))
}

/// The table of section names of a little-endian ELF file (ELF-64 object file format, figures 2 and 8; the 32-bit one likewise).
fn section_names(file: &File) -> Option<Vec<u8>> {
    let mut header = [0_u8; 64];
    file.read_exact_at(&mut header, 0).ok()?;
    if &header[..4] != b"\x7fELF" || header[5] != 1 {
        return None;
    }
    let is_64 = match header[4] {
        1 => false,
        2 => true,
        _ => return None,
    };
    let (table, size, index) = if is_64 {
        (number(&header, 0x28, 8)?, number(&header, 0x3a, 2)?, number(&header, 0x3e, 2)?)
    } else {
        (number(&header, 0x20, 4)?, number(&header, 0x2e, 2)?, number(&header, 0x32, 2)?)
    };
    let mut section = [0_u8; 64];
    let length = usize::try_from(size).ok()?.min(section.len());
    file.read_exact_at(&mut section[..length], table.checked_add(index.checked_mul(size)?)?).ok()?;
    let (offset, length) = if is_64 {
        (number(&section, 0x18, 8)?, number(&section, 0x20, 8)?)
    } else {
        (number(&section, 0x10, 4)?, number(&section, 0x14, 4)?)
    };
    let mut names = vec![0; usize::try_from(length.min(64 << 10)).ok()?];
    file.read_exact_at(&mut names, offset).ok()?;
    Some(names)
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    Some(bytes.get(at..at + size)?.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// The service nearest to the process, or the scope of its container, in `/proc/PID/cgroup`.
#[must_use]
pub fn unit(cgroup: &str) -> Option<String> {
    let is_container = |name: &str| ["cri-containerd-", "crio-", "docker-", "libpod-"].iter().any(|p| name.starts_with(p));
    cgroup
        .lines()
        // `HIERARCHY:CONTROLLERS:PATH`; systemd's own hierarchy, or the one of version 2.
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(|path| {
            path.rsplit('/').find(|name| name.ends_with(".service") || (name.ends_with(".scope") && is_container(name)))
        })
        .map(str::to_owned)
}

/// The arguments with blanks between them; a process may have wiped them, and then its program's name.
fn command_line(cmdline: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(cmdline);
    let words: Vec<&str> = text.split('\0').filter(|word| !word.is_empty()).collect();
    let line = if words.is_empty() { name.to_owned() } else { words.join(" ") };
    let mut shown = String::new();
    for c in line.chars().take(COMMAND) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;
    use crate::host::clock;

    /// A process that is ended with the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn start(program: &str, args: &[&str]) -> Option<Running> {
        let mut command = Command::new(program);
        for variable in crate::host::environment::TRUST_VARIABLES {
            command.env_remove(variable);
        }
        match command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Some(Running(child)),
            Err(e) => {
                assert!(std::env::var_os("CI").is_none(), "{program}: {e}");
                eprintln!("skipped: {program}: {e}");
                None
            }
        }
    }

    /// Looks until the process is listed for `why`; a program needs a moment to load its libraries.
    fn wait_for(running: &Running, why: &str) -> Process {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let list = restart_list(clock::now().plus_days(1));
            let found = list.processes.into_iter().find(|p| p.pid == running.0.id());
            match found {
                Some(process) if process.why.iter().any(|w| w.starts_with(why)) => return process,
                other => assert!(Instant::now() < end, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_python_with_ssl_is_listed_if_it_started_before() {
        let before = clock::now();
        let Some(running) = start("python3", &["-c", "import ssl, sys; sys.stdin.read()", "two\nlines"]) else { return };
        let process = wait_for(&running, "Python ssl");
        assert!(process.why.contains(&"Python".to_owned()), "{process:?}");
        assert!(process.command.ends_with("two\\nlines"), "{process:?}");
        assert!((process.started.0 - before.0).abs() <= 5, "{process:?} started at {before}");
        let earlier = restart_list(At(before.0 - 60));
        assert!(!earlier.processes.iter().any(|p| p.pid == running.0.id()));
        assert!(earlier.looked_at > 0);
    }

    #[test]
    fn a_program_that_maps_libssl_is_listed_and_sleep_is_not() {
        let Some(running) = start("openssl", &["enc", "-d", "-base64"]) else { return };
        let Some(sleep) = start("sleep", &["60"]) else { return };
        assert!(wait_for(&running, "OpenSSL (libssl.so").command.starts_with("openssl"));
        let list = restart_list(clock::now().plus_days(1));
        assert!(!list.processes.iter().any(|p| p.pid == sleep.0.id()));
    }

    #[test]
    fn real_node_and_go_are_told() {
        if let Some(running) = start("node", &["-e", "setInterval(() => {}, 1000)"]) {
            wait_for(&running, "Node.js");
        }
        // Written in Go, and waits for its input.
        if let Some(running) = start("gofmt", &[]) {
            wait_for(&running, "Go");
        }
    }

    #[test]
    fn go_is_told_by_its_section() {
        let elf = |class: u8, name: &[u8]| {
            let mut bytes = vec![0_u8; 256];
            bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
            let mut set = |at: usize, value: u8| bytes[at] = value;
            if class == 2 {
                [(0x28, 64), (0x3a, 64), (0x3e, 1), (128 + 0x18, 200), (128 + 0x20, 40)]
                    .into_iter()
                    .for_each(|(at, v)| set(at, v));
            } else {
                [(0x20, 64), (0x2e, 40), (0x32, 1), (104 + 0x10, 200), (104 + 0x14, 40)]
                    .into_iter()
                    .for_each(|(at, v)| set(at, v));
            }
            bytes[201..201 + name.len()].copy_from_slice(name);
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("elf");
            fs::write(&path, bytes).expect("written");
            is_go(&File::open(path).expect("open"))
        };
        for class in [1, 2] {
            assert!(elf(class, b".text\0.go.buildinfo\0"));
            assert!(!elf(class, b".text\0.go.build\0"));
        }
        assert!(!is_go(&File::open("/proc/self/exe").expect("open")));
    }

    #[test]
    fn units_are_the_nearest_service() {
        let of = |text: &str| unit(text);
        assert_eq!(of("0::/system.slice/nginx.service\n").as_deref(), Some("nginx.service"));
        assert_eq!(of("0::/user.slice/user@1000.service/app.slice/x.service/sub\n").as_deref(), Some("x.service"));
        assert_eq!(of("3:cpu:/\n1:name=systemd:/system.slice/docker-ab.scope\n").as_deref(), Some("docker-ab.scope"));
        assert_eq!(of("0::/user.slice/session-1.scope\n"), None);
        assert_eq!(of("0::/\n"), None);
    }

    #[test]
    fn odd_lines_are_read() {
        let stat = format!("7 (a) b (c) S {}4242 0", "0 ".repeat(18));
        assert_eq!(start_ticks(stat.as_bytes()), Some(4242));
        assert_eq!(start_ticks(b"7 (a"), None);
        let maps =
            "7f-7f r-xp 0 08:01 12 /usr/lib/x/libssl.so.1.1 (deleted)\n7f-7f r--p 0 0:0 0 [heap]\n7f r 0 0 1 /a/libssl.so.1.1\n";
        assert_eq!(mapped(maps.as_bytes()), ["OpenSSL (libssl.so.1.1)"]);
        assert!(is_named("python3.11", "python") && is_named("nodejs", "node") && !is_named("node_exporter", "node"));
        assert_eq!(command_line(b"", "x"), "x");
    }
}
