//! The diff of a plan is taken, as it is, by the real `patch` and the real `git`.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use certdoctor::{
    base::TreePath,
    edit::{Applicability, Edit, Precondition, Step},
    host::dir::DirTree,
    plan::diff,
};
use proptest::prelude::*;

fn step(edit: Edit, generated: bool) -> Step {
    Step {
        edit,
        precondition: Precondition::None,
        because: Vec::new(),
        applicability: Applicability::Auto,
        summary: String::new(),
        generated,
    }
}

fn write(path: &str, bytes: &[u8], generated: bool) -> Step {
    step(Edit::Write { path: path.into(), bytes: bytes.to_vec(), mode: None }, generated)
}

/// Runs an oracle that must be there when `CI` says so.
fn oracle(program: &str, args: &[&str], dir: &Path, stdin: &[u8]) -> Option<std::process::Output> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LC_ALL", "C").env("GIT_CEILING_DIRECTORIES", dir).env("HOME", dir);
    match command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(mut child) => {
            io::Write::write_all(&mut child.stdin.take().expect("a pipe"), stdin).expect("written");
            Some(child.wait_with_output().expect("run"))
        }
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "{program} is missing: {e}");
            eprintln!("skipped: {program} is missing: {e}");
            None
        }
    }
}

/// A file's name, its old content and its new one; `None` is no file.
type Case = (&'static [u8], Option<Vec<u8>>, Option<Vec<u8>>);

/// Each case: the file's name, its content before and after.
fn cases() -> Vec<Case> {
    let lines = |n: usize| (1..=n).map(|i| format!("line {i}\n")).collect::<String>().into_bytes();
    let with = |at: usize, text: &str| {
        let mut all: Vec<String> = (1..=30).map(|i| format!("line {i}\n")).collect();
        all[at - 1] = text.to_owned();
        all.concat().into_bytes()
    };
    let certifi = fs::read("fixtures/bundles/certifi/cacert-2019.11.28.pem").expect("a fixture");
    let cut = [&certifi[..20_000], &certifi[23_000..200_000], &certifi[201_000..]].concat();
    vec![
        (b"/etc/append", Some(lines(9)), Some(lines(10))),
        (b"/etc/first", Some(lines(30)), Some(with(1, "!line 1\n"))),
        (b"/etc/middle", Some(lines(30)), Some(with(15, ""))),
        (b"/etc/two", Some(with(3, "x\n")), Some(with(28, "y\n"))),
        (b"/etc/last", Some(with(30, "no newline")), Some(with(30, "!no newline"))),
        (b"/etc/gains-newline", Some(with(30, "end")), Some(with(30, "end\n"))),
        (b"/etc/loses-newline", Some(with(30, "end\n")), Some(with(30, "end"))),
        (b"/etc/grows-after-unended", Some(b"a\nb".to_vec()), Some(b"a\nb\nc\n".to_vec())),
        (b"/etc/crlf", Some(b"a\r\nb\r\nc\r\n".to_vec()), Some(b"a\r\n!b\r\nc\r\n".to_vec())),
        (b"/etc/mixed", Some(b"a\r\nb\nc\r\n".to_vec()), Some(b"a\r\nb\r\nc\r\n".to_vec())),
        (b"/etc/latin1", Some(b"# H\xe9\xff\xfe\nx\n".to_vec()), Some(b"# H\xe9\xff\xfe\n!x\n".to_vec())),
        (b"/etc/with blank and more", Some(lines(3)), Some(lines(4))),
        (b"/etc/quote\"back\\slash\ttab", Some(lines(3)), Some(lines(4))),
        (b"/etc/latin\xe9name", Some(lines(3)), Some(lines(4))),
        (b"/etc/new/deep/file", None, Some(lines(2))),
        (b"/etc/new unended", None, Some(b"x".to_vec())),
        (b"/etc/gone", Some(lines(5)), None),
        (b"/etc/gone with blank", Some(b"a\nunended".to_vec()), None),
        (b"/etc/emptied", Some(lines(2)), Some(Vec::new())),
        (b"/etc/filled", Some(Vec::new()), Some(lines(2))),
        (b"/etc/dashes", Some(b"-- a\n++ b\n@@ c\n".to_vec()), Some(b"-- a\n@@ c\n--- d\n".to_vec())),
        (b"/usr/lib/certifi/cacert.pem", Some(certifi), Some(cut)),
    ]
}

#[test]
fn patch_and_git_take_the_diff_as_it_is() {
    for (path, old, new) in cases() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |root: &Path| root.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path[1..]));
        fs::create_dir_all(place(dir.path()).parent().expect("above")).expect("made");
        if let Some(old) = &old {
            fs::write(place(dir.path()), old).expect("written");
        }
        let tree = DirTree::new(dir.path()).expect("a tree");
        let edit = match &new {
            Some(bytes) => Edit::Write { path: TreePath::new(path), bytes: bytes.clone(), mode: None },
            None => Edit::Remove { path: TreePath::new(path) },
        };
        let patch = diff(&tree, &[step(edit, false)]).expect("read");
        let shown = String::from_utf8_lossy(&patch);
        let name = String::from_utf8_lossy(path);

        let tools: [(&str, &[&str], &[&str]); 2] = [
            ("patch", &["-p0", "--dry-run", "--force"], &["-p0", "--force", "--binary"]),
            ("git", &["apply", "--check", "-"], &["apply", "-"]),
        ];
        for (program, check, real) in tools {
            let Some(checked) = oracle(program, check, dir.path(), &patch) else { continue };
            assert!(checked.status.success(), "{program} {check:?} on {name}: {checked:?}\n{shown}");
            let copy = tempfile::tempdir().expect("a directory");
            if let Some(old) = &old {
                fs::create_dir_all(place(copy.path()).parent().expect("above")).expect("made");
                fs::write(place(copy.path()), old).expect("written");
            }
            let done = oracle(program, real, copy.path(), &patch).expect("there before");
            assert!(done.status.success(), "{program} {real:?} on {name}: {done:?}\n{shown}");
            assert_eq!(fs::read(place(copy.path())).ok(), new, "{program} on {name}\n{shown}");
        }
    }
}

#[test]
fn generated_outputs_and_what_is_no_text_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("etc")).expect("made");
    fs::write(dir.path().join("etc/der"), b"\x30\x00").expect("written");
    let tree = DirTree::new(dir.path()).expect("a tree");
    let steps = [
        write("/etc/bundle", b"x\n", true),
        write("/etc/der", b"\x30\x01\x00", false),
        step(Edit::Link { path: "/etc/l".into(), target: b"/etc/a\nb".to_vec() }, false),
    ];
    let expected = "# change ./etc/der, which is no text\n# link ./etc/l -> \"/etc/a\\012b\"\n";
    assert_eq!(String::from_utf8_lossy(&diff(&tree, &steps).expect("read")), expected);
}

/// Upstream's own commits that took AddTrust and DST Root CA X3 out of LibreSSL's list: ours has the same hunks, but for the first,
/// which only counts the revision up.
#[test]
fn the_hunk_is_that_of_the_real_commit() {
    let cases = [
        ("cert-678710fe8b.pem", "cert-09a2b91baf.pem", "upstream-addtrust-removal-09a2b91baf.diff"),
        ("cert-71e70856d8.pem", "cert-ba24ec6303.pem", "upstream-dstx3-removal-ba24ec6303.diff"),
    ];
    for (old, new, upstream) in cases {
        let fixture = |name: &str| fs::read(Path::new("fixtures/bundles/libressl").join(name)).expect("a fixture");
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("etc/ssl")).expect("made");
        fs::write(dir.path().join("etc/ssl/cert.pem"), fixture(old)).expect("written");
        let tree = DirTree::new(dir.path()).expect("a tree");
        let ours = diff(&tree, &[write("/etc/ssl/cert.pem", &fixture(new), false)]).expect("read");
        let hunks = |bytes: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let lines = text.lines().skip_while(|l| !l.starts_with("@@"));
            // Behind the second @@ git repeats a line of the context.
            lines
                .map(|l| if l.starts_with("@@") { l.split("@@").nth(1).unwrap_or_default().to_owned() } else { l.to_owned() })
                .collect()
        };
        assert_eq!(hunks(&ours), hunks(&fixture(upstream)), "{upstream}");
    }
}

/// Few different lines, so that blocks can slide and hunks touch; sometimes without the last newline.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec!["", "a", "a", "b", "c", "-a", "+b", " c", "\\ No", "d\r"]);
    (prop::collection::vec(line, 0..30), any::<bool>()).prop_map(|(lines, ended)| {
        let text = lines.join("\n").into_bytes();
        if ended && !text.is_empty() { [&text[..], b"\n"].concat() } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_tools_make_the_new_text_of_the_old(old in text(), new in text()) {
        for (program, args) in [("patch", &["-p0", "--force", "--binary"][..]), ("git", &["apply", "-"])] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join("f"), &old).expect("written");
            let tree = DirTree::new(dir.path()).expect("a tree");
            let patch = diff(&tree, &[write("/f", &new, false)]).expect("read");
            prop_assert_eq!(patch.is_empty(), old == new);
            if patch.is_empty() {
                continue;
            }
            let Some(done) = oracle(program, args, dir.path(), &patch) else { continue };
            let shown = String::from_utf8_lossy(&patch);
            prop_assert!(done.status.success(), "{}: {:?}\n{}", program, done, shown);
            prop_assert_eq!(fs::read(dir.path().join("f")).unwrap_or_default(), new.clone(), "{}\n{}", program, shown);
        }
    }
}
