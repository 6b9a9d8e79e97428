//! Certbot's side of `renewal`: recorded hosts with the time of their recording, and real certbots with a real ACME server.

#[path = "support/acme.rs"]
mod acme;
#[path = "renewal/clock.rs"]
mod clock;
mod common;
#[path = "renewal/dns.rs"]
mod dns;
#[path = "renewal/founding.rs"]
mod founding;
#[path = "renewal/public.rs"]
mod public;
#[path = "renewal/refused.rs"]
mod refused;
#[path = "support/score.rs"]
mod score;
#[path = "renewal/server.rs"]
mod server;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use common::{certdoctor, fixture};
use serde_json::Value;
use tempfile::TempDir;

/// When the hosts were recorded, in the hour after.
const AT: &str = "2026-11-22T01:00:00Z";

const TIMER: &str = "[Timer]\nOnCalendar=*-*-* 00,12:00:00\nPersistent=true\n[Install]\nWantedBy=timers.target\n";
const SERVICE: &str = "[Service]\nExecStart=/usr/bin/certbot -q renew\n";
const TIMER_LINK: &str = "etc/systemd/system/timers.target.wants/certbot.timer";

/// A recorded host. Links are recorded as files with their target, and keys not at all: what stands for them is never read.
fn recorded(name: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    let from = fixture(format!("renewal/certbot/{name}"));
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(root.path()).status().expect("cp runs");
    assert!(copied.success());
    for entry in walkdir::WalkDir::new(root.path()).into_iter().filter_map(Result::ok).filter(|e| e.file_type().is_file()) {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "pem") {
            continue;
        }
        let text = fs::read_to_string(path).expect("text");
        if text.starts_with("../../archive/") {
            fs::remove_file(path).expect("removed");
            symlink(text.trim(), path).expect("linked");
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if let Some(version) = name.strip_prefix("cert").filter(|_| path.to_string_lossy().contains("/archive/")) {
            fs::write(path.with_file_name(format!("privkey{version}")), "(stands for a key)\n").expect("written");
        }
    }
    scheduled(root.path());
    root
}

/// Gives a root Debian's timer.
fn scheduled(root: &Path) {
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    };
    put("usr/lib/systemd/systemd", "");
    put("usr/bin/certbot", "");
    put("usr/lib/systemd/system/certbot.timer", TIMER);
    put("usr/lib/systemd/system/certbot.service", SERVICE);
    let link = root.join(TIMER_LINK);
    fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
    symlink("/usr/lib/systemd/system/certbot.timer", link).expect("linked");
}

/// The report as JSON.
fn report(root: &Path, more: &[&str]) -> Value {
    let output = certdoctor().args(["renewal", "--format", "json", "--root"]).arg(root).args(more).output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The codes of the findings, sorted.
fn codes(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    let mut codes: Vec<String> = findings.iter().map(|f| f["code"].as_str().expect("a code").to_owned()).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn cause(report: &Value) -> String {
    report["lineages"][0]["cause"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn every_recorded_host_has_its_cause() {
    for (name, expected) in [
        ("account-missing", "CD716"),
        ("autorenew-false", "CD710"),
        ("conf-empty", "CD711"),
        ("dangling", "CD713"),
        ("not-a-symlink", "CD712"),
        ("port80-before", "CD708"),
    ] {
        let root = recorded(name);
        let report = report(root.path(), &["--at", AT]);
        assert_eq!(cause(&report), expected, "{name}: {:#}", report["findings"]);
    }
}

#[test]
fn a_hook_that_failed_is_found_although_certbot_congratulates() {
    let root = recorded("hook-fails");
    let report = report(root.path(), &["--at", "2026-11-22T00:51:00Z"]);
    assert!(codes(&report).contains(&"CD753".to_owned()), "{:#}", report["findings"]);
    let hook = report["findings"].as_array().expect("findings").iter().find(|f| f["code"] == "CD753").expect("the finding");
    assert!(hook["message"].as_str().is_some_and(|m| m.contains("reported error code 1")), "{hook}");
}

#[test]
fn after_the_usual_fix_the_missing_hook_is_named() {
    let root = recorded("port80-after-webroot-not-reloaded");
    let report = report(root.path(), &["--at", "2026-11-22T00:30:00Z"]);
    let codes = codes(&report);
    assert!(codes.contains(&"CD753".to_owned()) && !codes.contains(&"CD708".to_owned()), "{:#}", report["findings"]);
}

#[test]
fn certbot_5_8_with_ari_is_healthy_while_its_port_is_free() {
    let root = recorded("ari-5.8");
    let report = report(root.path(), &["--at", "2026-11-22T01:00:00Z"]);
    assert_eq!(codes(&report), Vec::<String>::new(), "{:#}", report["findings"]);
    assert_eq!(report["lineages"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_clock_that_is_behind_is_found_by_the_certificate() {
    let root = recorded("ari-5.8");
    let report = report(root.path(), &["--at", "2020-01-01T00:00:00Z"]);
    assert_eq!(cause(&report), "CD721", "{:#}", report["findings"]);
}

/// The patch of the founding case says what the recorded one says.
#[test]
fn the_founding_patch_is_the_recorded_one() {
    let root = recorded("port80-before");
    // The recorded server answers no challenge yet: the usual directory is taken.
    let applied = report(root.path(), &["--at", AT, "--apply"]);
    assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
    let after = fs::read_to_string(root.path().join("etc/letsencrypt/renewal/payment.example.test.conf")).expect("the file");
    let recorded = fs::read_to_string(fixture("renewal/certbot/conf-only.diff")).expect("the diff");
    for line in recorded.lines().filter(|l| !l.starts_with("+++")).filter_map(|l| l.strip_prefix('+')) {
        assert!(after.lines().any(|l| l == line), "`{line}` is missing in\n{after}");
    }
    assert!(!after.contains("standalone"));
    assert!(!codes(&report(root.path(), &["--at", AT])).contains(&"CD708".to_owned()));
}

/// Lines that a reader going back and forth needs minutes for.
fn slow() -> Vec<Vec<u8>> {
    let value = |piece: &str| format!("x = {}\n", piece.repeat(64_000 / piece.len())).into_bytes();
    let header = format!("[a{}x\n", "]".repeat(60_000)).repeat(16).into_bytes();
    let shorter = format!("x = {}\n", "\",".repeat(2000)).repeat(30).into_bytes();
    vec![value("a,"), value("\","), header, shorter]
}

#[test]
fn hostile_trees_end_in_a_report() {
    let root = recorded("port80-before");
    let at = |path: &str| root.path().join(path);
    let conf = at("etc/letsencrypt/renewal/payment.example.test.conf");
    let whole = fs::read(&conf).expect("the file");
    // Before the authenticator nothing is enough for certbot.
    let enough = String::from_utf8_lossy(&whole).find("standalone").expect("an authenticator");
    let cut: Vec<Vec<u8>> = (0..enough).step_by(37).map(|n| whole[..n].to_vec()).collect();
    for bytes in
        cut.into_iter().chain([vec![0; 4096], b"[".repeat(70_000), b"a = \"".repeat(5000), vec![0xff; 100]]).chain(slow())
    {
        fs::write(&conf, bytes).expect("written");
        assert_eq!(codes(&report(root.path(), &["--at", AT])).iter().filter(|c| *c == "CD711").count(), 1);
    }
    fs::write(&conf, &whole).expect("written");
    let log = at("var/log/letsencrypt/letsencrypt.log.1.gz");
    fs::write(&log, b"\x1f\x8b\x08\x00garbage").expect("written");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("var/log/letsencrypt/letsencrypt.log.2"), rustix::fs::Mode::RUSR).expect("a FIFO");
    symlink("/etc/passwd", at("etc/letsencrypt/renewal/b.conf")).expect("linked");
    symlink("loop.conf", at("etc/letsencrypt/renewal/loop.conf")).expect("linked");
    symlink("../../..", at("etc/letsencrypt/accounts/up")).expect("linked");
    for n in 0..40 {
        symlink(".", at(&format!("etc/letsencrypt/accounts/again{n}"))).expect("linked");
    }
    let report = report(root.path(), &["--at", AT]);
    assert!(codes(&report).contains(&"CD708".to_owned()), "{:#}", report["findings"]);
    assert!(!report.to_string().contains("root:x"), "a link led out of the root");
}

/// What `format::config_obj` reads is what ConfigObj itself reads.
#[test]
fn configobj_reads_the_same() {
    let ask = "import sys, json, configobj\nfor line in sys.stdin:\n    text = json.loads(line)\n    try:\n        c = configobj.ConfigObj(\
               [l for l in text.encode().splitlines(True)], encoding='utf-8', interpolation=False)\n        print(json.dumps(c.dict()))\n    \
               except Exception as e:\n        print('null')\n";
    if !Command::new("/usr/bin/python3").args(["-c", "import configobj"]).output().is_ok_and(|o| o.status.success()) {
        common::skip("configobj is not installed (scripts/oracles/renewal.sh)");
        return;
    }
    let texts = texts();
    let input: String = texts.iter().map(|t| serde_json::to_string(t).expect("JSON") + "\n").collect();
    let output = assert_cmd::Command::new("/usr/bin/python3").args(["-c", ask]).write_stdin(input).output().expect("python runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(said.lines().count(), texts.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = Vec::new();
    let mut accepted = 0;
    for (text, theirs) in texts.iter().zip(said.lines()) {
        let theirs: Value = serde_json::from_str(theirs).expect("JSON");
        let config = certdoctor::format::config_obj::parse(text.as_bytes());
        let ours = if config.faults.is_empty() { as_json(&config) } else { Value::Null };
        accepted += usize::from(!theirs.is_null());
        if ours != theirs {
            wrong.push(format!("{text:?}\n  theirs {theirs}\n  ours   {ours} {:?}", config.faults));
        }
    }
    assert!(accepted > texts.len() / 5, "{accepted} of {} were accepted: the texts test little", texts.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), texts.len(), wrong[..wrong.len().min(10)].join("\n"));
}

/// Texts of small pieces that mean something, by a generator of its own so that each run asks the same.
fn texts() -> Vec<String> {
    const PIECES: [&str; 26] = [
        "a",
        "b",
        " = ",
        "=",
        "\n",
        "\n",
        ", ",
        ",",
        "#",
        "\"",
        "'",
        "[a]\n",
        "[[b]]\n",
        "[c",
        "]",
        "'''",
        "\"\"\"",
        " ",
        "x y",
        "k = v\n",
        "k = \"q, r\", s\n",
        "z = 'it'\n",
        "# c\n",
        "é",
        "w = a,\n",
        "\t",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % n as u64).expect("small")
    };
    let mut texts = vec![
        fs::read_to_string(fixture("renewal/certbot/ari-5.8/etc/letsencrypt/renewal/api.example.test.conf")).expect("a file"),
    ];
    for _ in 0..3000 {
        let pieces = 1 + next(9);
        let text: String = (0..pieces).map(|_| PIECES[next(PIECES.len())]).collect();
        texts.push(text.clone());
        texts.push(format!("k = {}", text.replace('\n', "")));
    }
    texts
}

fn as_json(config: &certdoctor::facts::renewal::Config) -> Value {
    use certdoctor::facts::renewal::Value as Setting;
    let mut root = Value::Object(Default::default());
    for (index, section) in config.sections.iter().enumerate() {
        let mut place = &mut root;
        for name in &section.path {
            place = place
                .as_object_mut()
                .expect("a section")
                .entry(name.clone())
                .or_insert_with(|| Value::Object(Default::default()));
        }
        for setting in config.settings.iter().filter(|s| s.section == index) {
            let value = match &setting.value {
                Setting::One(text) => Value::from(text.clone()),
                Setting::Many(texts) => Value::from(texts.clone()),
            };
            place[&setting.key] = value;
        }
    }
    root
}

mod live {
    //! Real certbots: a healthy host is silent, each fault that can be injected is named, its patch applies, and the renewal that had
    //! failed works.

    use super::{
        acme::{Certbot, Site},
        score::{Score, Step},
        *,
    };

    const NAME: &str = "a.example.test";

    /// A fault.
    struct Fault {
        code: &'static str,
        inject: fn(&Path),
        /// Whether this certbot's own renewal fails of it.
        breaks: bool,
        /// Whether `--apply` cures it.
        patched: bool,
    }

    fn conf(root: &Path, change: impl FnOnce(String) -> String) {
        let path = root.join(format!("etc/letsencrypt/renewal/{NAME}.conf"));
        let text = fs::read_to_string(&path).expect("the file");
        fs::write(path, change(text)).expect("written");
    }

    fn live(root: &Path, kind: &str) -> std::path::PathBuf {
        root.join(format!("etc/letsencrypt/live/{NAME}/{kind}.pem"))
    }

    fn setting(text: String, line: &str) -> String {
        text.replace("[renewalparams]\n", &format!("[renewalparams]\n{line}\n"))
    }

    const FAULTS: &[Fault] = &[
        Fault { code: "CD701", inject: |r| fs::remove_file(r.join(TIMER_LINK)).expect("removed"), breaks: false, patched: true },
        Fault {
            code: "CD702",
            inject: |r| symlink("/dev/null", r.join("etc/systemd/system/certbot.timer")).expect("linked"),
            breaks: false,
            patched: false,
        },
        Fault {
            code: "CD703",
            inject: |r| fs::remove_file(r.join("usr/lib/systemd/system/certbot.timer")).expect("removed"),
            breaks: false,
            patched: false,
        },
        Fault {
            code: "CD704",
            inject: |r| {
                let folder = r.join("etc/systemd/system/certbot.timer.d");
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join("rare.conf"), "[Timer]\nOnCalendar=\nOnCalendar=monthly\n").expect("written");
            },
            breaks: false,
            patched: true,
        },
        Fault {
            code: "CD705",
            inject: |r| fs::remove_file(r.join("usr/bin/certbot")).expect("removed"),
            breaks: false,
            patched: false,
        },
        Fault {
            code: "CD706",
            inject: |r| fs::remove_file(r.join("usr/lib/systemd/systemd")).expect("removed"),
            breaks: false,
            patched: false,
        },
        Fault {
            code: "CD707",
            inject: |r| {
                fs::create_dir_all(r.join("usr/local/lib/python3.9/site-packages/certbot-1.0.0.dist-info")).expect("a folder")
            },
            breaks: false,
            patched: false,
        },
        Fault { code: "CD710", inject: |r| conf(r, |t| setting(t, "autorenew = False")), breaks: false, patched: true },
        Fault { code: "CD711", inject: |r| conf(r, |t| t + "[[[broken\n"), breaks: true, patched: true },
        Fault {
            code: "CD711",
            inject: |r| conf(r, |t| t.lines().filter(|l| !l.starts_with("fullchain")).map(|l| l.to_owned() + "\n").collect()),
            breaks: true,
            patched: true,
        },
        Fault { code: "CD711", inject: |r| conf(r, |_| String::new()), breaks: true, patched: false },
        Fault {
            code: "CD712",
            inject: |r| {
                let bytes = fs::read(live(r, "cert")).expect("read");
                fs::remove_file(live(r, "cert")).expect("removed");
                fs::write(live(r, "cert"), bytes).expect("written");
            },
            breaks: true,
            patched: true,
        },
        Fault {
            code: "CD713",
            inject: |r| {
                let target = fs::read_link(live(r, "cert")).expect("a link");
                fs::remove_file(r.join(format!("etc/letsencrypt/live/{NAME}")).join(target)).expect("removed");
            },
            breaks: true,
            patched: true,
        },
        Fault {
            code: "CD714",
            inject: |r| {
                fs::remove_file(live(r, "privkey")).expect("removed");
                symlink(format!("../../archive/{NAME}/privkey1.pem"), live(r, "privkey")).expect("linked");
            },
            breaks: false,
            patched: true,
        },
        Fault {
            code: "CD715",
            inject: |r| symlink(format!("../../archive/{NAME}/privkey1.pem"), live(r, "previous_privkey")).expect("linked"),
            breaks: false,
            patched: false,
        },
        Fault {
            code: "CD716",
            inject: |r| fs::remove_dir_all(r.join("etc/letsencrypt/accounts")).expect("removed"),
            breaks: true,
            patched: false,
        },
        Fault {
            code: "CD716",
            inject: |r| {
                conf(r, |t| {
                    t.lines()
                        .map(|l| if l.starts_with("account =") { "account = beef\n".into() } else { l.to_owned() + "\n" })
                        .collect()
                })
            },
            breaks: true,
            patched: true,
        },
        Fault {
            code: "CD718",
            inject: |r| conf(r, |t| t.replace("authenticator = webroot", "authenticator = dns-cloudflare")),
            breaks: true,
            patched: false,
        },
        Fault {
            code: "CD753",
            inject: |r| {
                let folder = r.join("etc/letsencrypt/renewal-hooks/deploy");
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join("reload"), "#!/bin/sh\n").expect("written");
            },
            breaks: false,
            patched: false,
        },
    ];

    /// What stands beside the programs' own folders: units, and which certbot is installed.
    pub(super) fn host(site: &Site, which: Certbot) {
        scheduled(site.root.path());
        let info = match which {
            Certbot::Debian => "usr/lib/python3/dist-packages/certbot-2.1.0.egg-info",
            Certbot::Pip => "opt/certbot/lib/python3.11/site-packages/certbot-5.8.0.dist-info",
        };
        fs::create_dir_all(site.path(info)).expect("a folder");
        fs::write(site.path(info).join("entry_points.txt"), "[certbot.plugins]\nwebroot = a:B\n").expect("written");
    }

    /// Copies folders of the root, and brings them back.
    fn copy(from: &Path, to: &Path) {
        for folder in ["etc/letsencrypt", "etc/systemd", "usr"] {
            let target = to.join(folder);
            fs::create_dir_all(&target).expect("a folder");
            // The folders themselves stay: they are mounted.
            for entry in fs::read_dir(&target).expect("a folder").filter_map(Result::ok) {
                let path = entry.path();
                let removed =
                    if entry.file_type().is_ok_and(|t| t.is_dir()) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                removed.expect("removed");
            }
            let copied = Command::new("cp").arg("-a").arg(from.join(folder).join(".")).arg(&target).status().expect("cp runs");
            assert!(copied.success());
        }
    }

    fn the_founding_case_and_every_fault(which: Certbot) {
        let Some(site) = Site::start(which) else { return };
        host(&site, which);
        let root = site.root.path().to_owned();
        site.issue(NAME, &["--standalone"]);
        assert_eq!(codes(&report(&root, &[])), Vec::<String>::new(), "before nginx takes the port");
        let mut score = Score::new("certbot");

        // nginx takes the port.
        site.nginx(NAME);
        let said = site.fails(NAME);
        assert!(said.contains("Could not bind TCP port 80"), "{said}");
        let found = report(&root, &[]);
        assert_eq!(cause(&found), "CD708", "{:#}", found["findings"]);
        let (_, said) = site.doctor(&["renewal", NAME, "--format", "json"]);
        assert!(said.contains("CD708") && said.contains("but nginx (process "), "{said}");

        // The patch, and what it makes of the next renewal.
        let applied = report(&root, &["--apply"]);
        assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
        let (ok, said) = site.renew(NAME);
        assert!(ok && !said.contains("reported error code"), "{said}");
        assert_eq!(codes(&report(&root, &[])), Vec::<String>::new(), "after the renewal");
        score.done("CD708", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy, Step::Silent]);

        let healthy = tempfile::tempdir().expect("a temporary folder");
        copy(&root, healthy.path());
        for fault in FAULTS {
            (fault.inject)(&root);
            let found = report(&root, &[]);
            assert!(codes(&found).contains(&fault.code.to_owned()), "{}: {:#}", fault.code, found["findings"]);
            assert_eq!(cause(&found), fault.code, "{:#}", found["findings"]);
            if fault.breaks {
                let (ok, said) = site.renew(NAME);
                assert!(!ok, "{} does not break certbot: {said}", fault.code);
            }
            score.done(fault.code, &[Step::Injected, Step::Named, Step::Silent]);
            let planned = found["plan"]["would_change"] == Value::Bool(true);
            assert_eq!(planned, fault.patched, "{}: {:#}", fault.code, found["plan"]);
            if fault.patched {
                let applied = report(&root, &["--apply"]);
                assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{}: {applied:#}", fault.code);
                if fault.breaks || fault.code == "CD710" {
                    let (ok, said) = site.renew(NAME);
                    assert!(ok, "{} after the patch: {said}", fault.code);
                }
                assert_eq!(codes(&report(&root, &[])), Vec::<String>::new(), "{} after the patch", fault.code);
                score.done(fault.code, &[Step::Patched, Step::Healthy]);
            }
            // What certbot mends itself, told to run as printed.
            let printed =
                found["findings"][0]["remedies"][0]["command"].as_str().filter(|c| c.starts_with("certbot certificates "));
            if let Some(command) = printed.filter(|_| !fault.patched) {
                let words = words(command);
                let (ok, said) = site.certbot(&words.iter().skip(1).map(String::as_str).collect::<Vec<_>>());
                assert!(ok, "{}: {said}", fault.code);
                assert_eq!(codes(&report(&root, &[])), Vec::<String>::new(), "{} after `{command}`", fault.code);
                score.done(fault.code, &[Step::Healthy]);
            }
            copy(healthy.path(), &root);
            if fault.breaks && !fault.patched {
                // The failure is history then.
                let (ok, said) = site.renew(NAME);
                assert!(ok, "{} taken back: {said}", fault.code);
                copy(&root, healthy.path());
            }
        }
        assert_eq!(codes(&report(&root, &[])), Vec::<String>::new(), "with all put back");

        // The CA goes away: only the log tells.
        site.stop_server();
        let (ok, said) = site.renew(NAME);
        assert!(!ok, "{said}");
        let found = report(&root, &[]);
        assert_eq!(codes(&found), ["CD720"], "{said}: {:#}", found["findings"]);
        score.done("CD720", &[Step::Injected, Step::Named, Step::Silent]);
        score.finish();
    }

    #[test]
    fn debians_certbot() {
        the_founding_case_and_every_fault(Certbot::Debian);
    }

    #[test]
    fn certbot_5_8() {
        the_founding_case_and_every_fault(Certbot::Pip);
    }

    /// The command that the finding prints first for certbot 2.3 and later does what it says.
    #[test]
    fn reconfigure_as_printed_cures_the_founding_case() {
        let Some(site) = Site::start(Certbot::Pip) else { return };
        host(&site, Certbot::Pip);
        site.issue(NAME, &["--standalone"]);
        site.nginx(NAME);
        let found = report(site.root.path(), &[]);
        let finding = &found["findings"][0];
        let command = finding["remedies"][0]["command"].as_str().expect("a command").to_owned();
        let (directory, command) = command.split_once(" && ").expect("two commands");
        assert!(directory.starts_with("install -d ") && command.starts_with("certbot reconfigure "), "{finding:#}");
        assert!(site.run(&["sh", "-c", directory]).status.success());
        let words = words(command);
        let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let (ok, said) = site.certbot(&arguments);
        assert!(ok, "{said}");
        assert_eq!(codes(&report(site.root.path(), &[])), Vec::<String>::new());
        let (ok, said) = site.renew(NAME);
        assert!(ok && !said.contains("reported error code"), "{said}");
    }

    /// A command's words as a shell takes them.
    fn words(command: &str) -> Vec<String> {
        let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\n' {command}")).output().expect("sh runs");
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}
