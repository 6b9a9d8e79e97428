//! Many targets, two side by side, and Ctrl-C.

mod common;

#[path = "common/authority.rs"]
mod authority;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use authority::Authority;
use certdoctor::host::Loopback;
use common::{certdoctor, clean, fixture};

fn chain(name: &str) -> String {
    fixture(format!("clients/chains/{name}.pem")).display().to_string()
}

fn store(name: &str) -> String {
    fixture(format!("clients/stores/{name}.pem")).display().to_string()
}

const AT: [&str; 4] = ["--verify-hostname", "localhost", "--at", "2026-11-22T01:00:00Z"];

#[test]
fn many_targets_are_told_in_groups() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut targets = String::from("# a comment\n\n");
    for number in 0..12 {
        let name = if number < 5 { "addtrust" } else { "nocross" };
        let copy = dir.path().join(format!("{name}-{number}.pem"));
        fs::copy(chain(name), &copy).expect("copied");
        targets.push_str(&format!("{}\n", copy.display()));
    }
    targets.push_str("/nonexistent.pem\n");
    let list = dir.path().join("targets");
    fs::write(&list, targets).expect("written");
    let list = format!("@{}", list.display());
    let output = certdoctor().args(["diagnose", &list, "--CAfile", &store("A_U")]).args(AT).output().expect("the binary runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("[x]  5 of 13 targets refused by ") && out.contains("addtrust-0.pem"), "{out}");
    assert!(out.contains("[ok] 7 of 13 targets accepted by all "), "{out}");
    assert!(out.contains("[x]  1 of 13 targets could not be read: /nonexistent.pem"), "{out}");
    assert!(out.contains("]: 5 of 13 targets: ") && out.contains("AddTrust External CA Root"), "{out}");
    assert!(out.lines().count() < 40, "{out}");
    let open =
        certdoctor().args(["diagnose", &list, "-v", "--CAfile", &store("A_U")]).args(AT).output().expect("the binary runs");
    assert!(open.stdout.len() > 4 * output.stdout.len());
}

/// What will be refused is told with the day, the client and the certificate that comes first; a command only where it is right for all.
#[test]
fn a_group_tells_what_comes_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = Authority::new("Ending Root", -100, 20);
    let middle = Authority::new("Middle", -90, 300);
    let above = middle.certified_by(&root, -90, 300);
    let pem = |der: &[u8]| certdoctor::render::pem(&certdoctor::x509::Certificate::parse(der).expect("a certificate"));
    fs::write(dir.path().join("root.pem"), root.pem()).expect("written");
    let mut targets = String::new();
    // Some leaves end before the root does; one of them first.
    for (number, end) in [60, 60, 60, 60, 60, 60, 9, 7, 8, 60].into_iter().enumerate() {
        let file = dir.path().join(format!("{number}.pem"));
        fs::write(&file, pem(&middle.server(-10, end).0) + &pem(&above)).expect("written");
        targets.push_str(&format!("{}\n", file.display()));
    }
    fs::write(dir.path().join("targets"), targets).expect("written");
    let run = |more: &[&str]| {
        let mut command = certdoctor();
        command.current_dir(dir.path()).args(["diagnose", "@targets", "--CAfile", "root.pem"]);
        let output = command.args(more).output().expect("the binary runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let out = run(&["--verify-hostname", "localhost", "--horizon", "40d", "--client", "openssl-1.0.2,gnutls-3.6.13"]);
    let day = |days: i64| authority::days(days).date().to_string();
    let head = format!("warning[CD507]: 7 of 10 targets go through Ending Root, first refused on {}T", day(20));
    assert!(out.lines().any(|l| l.starts_with(&head) && l.ends_with(" by openssl-1.0.2")), "{out}");
    let head = format!(
        "warning[CD507]: 3 of 10 targets have a path that ends: first refused is {}/7.pem on {}T",
        dir.path().display(),
        day(7)
    );
    assert!(out.lines().any(|l| l.starts_with(&head)), "{out}");
    assert!(out.contains("see that the certificate of each is renewed"), "{out}");

    // The issuer is not sent: the command that shows it is another for each.
    for number in 0..10 {
        fs::write(dir.path().join(format!("{number}.pem")), pem(&middle.server(-10, 60).0)).expect("written");
    }
    let out = run(&["--verify-hostname", "localhost"]);
    let line = out.lines().find(|l| l.starts_with("error[CD2")).unwrap_or_else(|| panic!("{out}"));
    assert!(line.contains("10 of 10 targets"), "{out}");
    assert!(!out.lines().any(|l| l.trim_start().starts_with("$ ") && l.contains("0.pem")), "{out}");
    assert!(out.contains("-v shows the command of each"), "{out}");
}

#[test]
fn two_targets_stand_side_by_side() {
    let arguments = ["inspect", "--compare", &chain("addtrust"), &chain("nocross"), "--CAfile", &store("A_U")];
    let output = certdoctor().args(arguments).args(AT).output().expect("the binary runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("the chains part at certificate "), "{out}");
    assert!(out.lines().any(|l| l.starts_with("[!]") && l.contains("(not sent)")), "{out}");
    assert!(
        out.lines().any(|l| l.starts_with("[!]  client openssl-1.0.2") && l.contains("refuses") && l.ends_with("accepts")),
        "{out}"
    );
    let output = certdoctor().args(arguments).args(AT).args(["--format", "json"]).output().expect("the binary runs");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (comparison, sent) = (&told["comparison"], &told["presented"]);
    let at = comparison["parts_at"].as_u64().expect("a position") as usize;
    let [first, second] = [0, 1].map(|of| move |at: usize| sent[of]["certificates"][at]["fingerprint_sha256"].as_str());
    assert!(at > 0 && first(at) != second(at), "{comparison}");
    assert!((1..at).all(|above| first(above).is_some() && first(above) == second(above)), "{comparison}");
    let old = comparison["clients"].as_array().expect("clients").iter().find(|c| c["client"] == "openssl-1.0.2");
    assert_eq!(old.map(|c| &c["verdicts"]), Some(&serde_json::json!(["untrusted", "trusted"])), "{comparison}");

    let same = ["inspect", "--compare", &chain("nocross"), &chain("nocross"), "--CAfile", &store("A_U")];
    let output = certdoctor().args(same).args(AT).output().expect("the binary runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("above the leaf both send the same; 0 of "), "{out}");
    let dead = ["inspect", "--compare", "/nonexistent.pem", &chain("nocross"), "--CAfile", &store("A_U")];
    let output = certdoctor().args(dead).args(AT).output().expect("the binary runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("[x]  can't compare: no certificate from /nonexistent.pem (") && out.contains("say about"), "{out}");
    let one = certdoctor().args(["inspect", "--compare", &chain("nocross")]).output().expect("the binary runs");
    assert_eq!(one.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&one.stderr).contains("--compare wants two targets, and here are 1"));
}

#[test]
fn a_list_without_targets_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("targets");
    let run = |bytes: &[u8]| {
        fs::write(&list, bytes).expect("written");
        let list = format!("@{}", list.display());
        let output = certdoctor().args(["inspect", &list, "--CAfile", &store("A_U")]).args(AT).output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for empty in [&b""[..], b"# nothing yet\n\n"] {
        let (status, said) = run(empty);
        assert!(status == Some(2) && said.contains("no target in "), "{said}");
    }
    let (status, said) = run(b"# one\n\n\xff\xfeh\n");
    assert!(status == Some(2) && said.contains("targets:3: this is not UTF-8 text"), "{said}");
    let (status, said) = run(format!("\u{feff}{}\r\n", chain("nocross")).as_bytes());
    assert_eq!(status, Some(0), "{said}");
}

/// The first Ctrl-C prints what is known; nobody waits for the timeouts of silent servers.
#[test]
fn ctrl_c_prints_what_is_known() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = silent.local_addr().expect("an address").port();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("certdoctor"));
    clean(&mut command)
        .args(["inspect", &chain("nocross"), "--CAfile", &store("A_U"), "--timeout", "600", "--jobs", "2"])
        .args(AT);
    for _ in 0..4 {
        command.arg(format!("127.0.0.1:{port}"));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
    // Two hellos have come: both workers wait for an answer that won't come, and the file has been looked at.
    let mut held = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = silent.accept().expect("a client");
        stream.read_exact(&mut [0; 5]).expect("a hello");
        held.push(stream);
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    let end = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > end {
            child.kill().expect("killed");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("a child");
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{out}");
    assert!(out.contains("not looked at: interrupted") && out.contains("in the order sent"), "{out}");
}

/// Nothing waits for the rest of standard input once an end was asked for.
#[test]
fn a_signal_ends_the_wait_for_standard_input() {
    use rustix::process::{Pid, Signal, kill_process};

    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("certdoctor"));
        let mut child = clean(&mut command)
            .args(["inspect", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // More than a pipe holds: when all is written, some of it was read.
        let mut input = child.stdin.take().expect("piped");
        input.write_all(&[b'\n'; 1 << 20]).expect("written");
        kill_process(Pid::from_child(&child), signal).expect("sent");
        let output = child.wait_with_output().expect("a child");
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.code(), Some(status), "{signal:?}: {told}");
        assert!(told.contains("standard input: interrupted before it ended"), "{told}");
        drop(input);
    }
}

/// A server on loopback that answers each client in a thread of its own, until the test ends.
fn stub(answer: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Silent, dripping, flooding and closed ports cost a deadline each, whoever waits for the others; what comes is in the order asked for,
/// and nobody's memory but the server's holds 16 MiB of certificate message.
#[test]
fn a_thousand_targets_of_which_some_are_hostile() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = ([made.cert.der().to_vec()], made.signing_key.serialize_der());
    let good: Vec<Loopback> = (0..4).map(|_| Loopback::serve(&chain, &key).expect("a server")).collect();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("an address").port();
    let silent = stub(|mut stream| while matches!(stream.read(&mut [0; 512]), Ok(n) if n > 0) {});
    let drip = stub(|mut stream| {
        // A handshake record a byte at a time.
        for byte in [22, 3, 3, 64, 0, 2].into_iter().chain(std::iter::repeat(0)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let flood = stub(|mut stream| {
        let record = |body: &[u8]| [&[22, 3, 3, (body.len() >> 8) as u8, body.len() as u8], body].concat();
        let hello = [&[2, 0, 0, 38, 3, 3][..], &[0; 33], &[0xc0, 0x2b, 0]].concat();
        let begin = [11, 255, 255, 255, 255, 255, 252, 255, 255, 249];
        let _ = stream.write_all(&[record(&hello), record(&begin)].concat());
        let more = record(&[0; 16384]);
        for _ in 0..1024 {
            if stream.write_all(&more).is_err() {
                return;
            }
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let ports: Vec<u16> = (0..1000)
        .map(|i| match i % 20 {
            7 | 17 => closed,
            8 | 18 => silent,
            9 => drip,
            19 => flood,
            i => good[i % 4].port(),
        })
        .collect();
    let list = dir.path().join("targets");
    fs::write(&list, ports.iter().map(|port| format!("127.0.0.1:{port}\n")).collect::<String>()).expect("written");
    let store = dir.path().join("root.pem");
    fs::write(&store, made.cert.pem()).expect("written");

    let out = fs::File::create(dir.path().join("out")).expect("a file");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("certdoctor"));
    let mut child = clean(&mut command)
        .args([
            "inspect",
            &format!("@{}", list.display()),
            "--CAfile",
            &store.display().to_string(),
            "--verify-hostname",
            "localhost",
        ])
        .args(["--jobs", "100", "--timeout", "6", "--client", "openssl-3", "--format", "json"])
        .stdout(out)
        .spawn()
        .expect("the binary runs");
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let status = loop {
        let text = fs::read_to_string(&status_file).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(line.unwrap_or_default());
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(1));
    assert!(peak > 1 << 10 && peak < 200 << 10, "{peak} KiB");

    let text = fs::read_to_string(dir.path().join("out")).expect("a report");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let endpoints = document["presented"].as_array().expect("targets");
    assert_eq!(endpoints.len(), ports.len());
    for (index, (endpoint, port)) in endpoints.iter().zip(&ports).enumerate() {
        assert_eq!(endpoint["target"], format!("127.0.0.1:{port}"), "{index}");
        let class = endpoint["failure"]["class"].as_str();
        let wanted = match index % 20 {
            7 | 17 => Some("refused"),
            8 | 9 | 18 => Some("timed-out"),
            19 => Some("io"),
            _ => None,
        };
        assert_eq!(class, wanted, "{index}: {endpoint:#}");
    }
}
