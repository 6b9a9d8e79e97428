//! Dockerfiles: read, patched, and (in `run`) what is put in run by real shells on real trees.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use certdoctor::{
    base::TreePath,
    facts::{CertFile, Content, Entry, FileState, Selection, Source, SourceOwner, Store, Upkeep},
    format::dockerfile::{Base, Defect, Dockerfile, Kind},
    plan::dockerfile::{
        Anchor, Decision, DockerfileError, Family, Layout, Patch, Snippet, certdata_file_name, default_user, patch, shell_script,
        snippet,
    },
    x509::Certificate,
};
use proptest::prelude::*;

/// `fixtures/dockerfiles`: `NAME.Dockerfile` is patched as the first line of `NAME.notes` says; the rest of that file is what was decided,
/// and `NAME.patched` the new file, where there is one. `CERTDOCTOR_BLESS=1` writes both anew.
#[test]
fn fixtures_are_patched_as_reviewed() {
    let mut wrong = Vec::new();
    let names = fixture_names();
    assert!(names.len() >= 30, "the fixtures are there");
    for name in names {
        let path = |suffix: &str| fixtures().join(format!("{name}.{suffix}"));
        let input = fs::read(path("Dockerfile")).unwrap();
        let notes = fs::read_to_string(path("notes")).unwrap();
        let first = notes.lines().next().unwrap().to_owned();
        let request = request(first.strip_prefix("request:").unwrap());
        let (told, patched) = match patch(&input, &request) {
            Ok(patched) => {
                let mut told = format!("{first}\n{:?}\n", patched.decision);
                patched.notes.iter().for_each(|n| told.push_str(&format!("note: {n}\n")));
                patched.warnings.iter().for_each(|w| told.push_str(&format!("warning: {w}\n")));
                let again = patch(&patched.text, &request).unwrap();
                assert_eq!(again.text, patched.text, "{name}: a second run changes nothing");
                (told, (patched.text != input).then_some(patched.text))
            }
            Err(error) => (format!("{first}\nerror: {error}\n"), None),
        };
        if std::env::var_os("CERTDOCTOR_BLESS").is_some() {
            fs::write(path("notes"), &told).unwrap();
            match &patched {
                Some(text) => fs::write(path("patched"), text).unwrap(),
                None => drop(fs::remove_file(path("patched"))),
            }
        }
        if told != fs::read_to_string(path("notes")).unwrap() || patched != fs::read(path("patched")).ok() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "differ from what was reviewed: {wrong:?}");
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/dockerfiles")
}

fn fixture_names() -> Vec<String> {
    let files = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| file.strip_suffix(".Dockerfile").map(str::to_owned)).collect();
    names.sort();
    names
}

/// `stage=NAME family=NAME build-arg=NAME=VALUE anchors=addtrust,dst upgrade`
fn request(text: &str) -> Patch {
    let mut patch = Patch { anchors: vec![known("AddTrust External CA Root")], ..Patch::default() };
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("stage", name)) => patch.stage = Some(name.to_owned()),
            Some(("family", name)) => patch.family = Some(Family::parse(name).unwrap()),
            Some(("build-arg", argument)) => {
                let (name, value) = argument.split_once('=').unwrap();
                patch.build_arguments.insert(name.to_owned(), value.to_owned());
            }
            Some(("anchors", "addtrust,dst")) => patch.anchors.push(known("DST Root CA X3")),
            None if word == "upgrade" => patch.upgrade = true,
            _ => panic!("unknown request {word}"),
        }
    }
    patch
}

fn known(title: &str) -> Anchor {
    Anchor::known().into_iter().find(|anchor| anchor.title == title).unwrap()
}

// Reading.

/// Each fixture, and any text: the spans of the items are the text again, the lines count up, and nothing panics.
#[test]
fn spans_are_the_text_again() {
    for name in fixture_names() {
        let text = fs::read(fixtures().join(format!("{name}.Dockerfile"))).unwrap();
        is_whole(&text);
        if let Ok(text) = fs::read(fixtures().join(format!("{name}.patched"))) {
            is_whole(&text);
        }
    }
}

fn is_whole(text: &[u8]) -> Dockerfile {
    let file = Dockerfile::parse(text);
    let mut joined = Vec::new();
    let mut line = 1;
    for item in &file.items {
        assert_eq!(item.line as usize, line);
        assert_eq!(item.span.start, joined.len());
        let bytes = &text[item.span.clone()];
        line += bytes.iter().filter(|b| **b == b'\n').count();
        joined.extend_from_slice(bytes);
        if let Kind::Instruction(instruction) = &item.kind {
            for heredoc in &instruction.heredocs {
                assert!(item.span.start <= heredoc.body.start && heredoc.body.end <= item.span.end);
            }
        }
    }
    assert_eq!(joined, text);
    file
}

/// Lines that mean something to the parser, in any order.
fn lines() -> impl Strategy<Value = String> {
    let words = [
        "FROM a AS b",
        "from B",
        "FROM ${X:-y}",
        "ARG X=1",
        "ARG X",
        "RUN a \\",
        "RUN a `",
        "  b \\",
        "# c",
        "# escape=`",
        "#",
        "",
        "  ",
        "RUN <<E",
        "E",
        "\tE",
        "RUN <<-'E' <<F",
        "RUN << E >x",
        "RUN <<E it's",
        "F",
        "COPY --from=b /etc/ssl /etc/ssl",
        "COPY <<E /x",
        "RUN [\"apk\", \"add\"]",
        "USER u",
        "USER root",
        "CMD x",
        "SHELL [\"pwsh\"]",
        "ONBUILD RUN <<E",
        "RUN apt-get install x",
        "FROM debian",
        "FROM alpine:3",
        "FROM scratch",
        "FROM gcr.io/distroless/static",
        "# certdoctor:begin",
        "# certdoctor:end",
        "\u{feff}FROM debian",
        "# certdoctor:begin 687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
    ];
    let line = (prop::sample::select(words.to_vec()), prop::sample::select(vec!["\n", "\n", "\n", "\r\n", ""]));
    prop::collection::vec(line, 0..14).prop_map(|lines| lines.into_iter().flat_map(|(word, end)| [word, end]).collect())
}

proptest! {
    // A failing case is printed; what it teaches becomes a fixture.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let stages = is_whole(&text).stages(&BTreeMap::new());
        prop_assert!(stages.iter().all(|s| s.from < s.body.end || s.body.is_empty()));
    }

    /// Whatever is patched is read again with one block more at most, and a second run changes nothing.
    #[test]
    fn any_dockerfile_is_patched_once(text in lines()) {
        is_whole(text.as_bytes());
        let request = request("");
        if let Ok(patched) = patch(text.as_bytes(), &request) {
            is_whole(&patched.text);
            let again = patch(&patched.text, &request);
            prop_assert_eq!(again.map(|a| a.text), Ok(patched.text));
        }
    }
}

#[test]
fn instructions_with_everything() {
    let file = is_whole(
        b"\xef\xbb\xbf# Escape = \\\n# syntax=docker/dockerfile:1\n# no directive=1\n# escape=`\n\
        fRoM --platform=linux/amd64 debian:12 aS Base\n\
        run --mount=type=cache,target=/x --network=none a && \\  \n# said within\n\n    b\n\
        CMD [\"a\", \"b c\"]\n\
        RUN cat <<A <<-\"B\" 3<<'C' >x; echo $((1<<2)) <<<word a<<no\nbody\nA\n\tbody\n\tB\n$x\nC\n\
        ONBUILD COPY <<D /d\nFROM x\nD\n\
        RUN echo \\\\\nUSER u",
    );
    let said: Vec<_> = file.instructions().map(|(_, item, i)| (item.line, i.keyword.as_str(), i.arguments.as_str())).collect();
    assert_eq!(
        said,
        [
            (5, "FROM", "debian:12 aS Base"),
            (6, "RUN", "a &&     b"),
            (10, "CMD", "[\"a\", \"b c\"]"),
            (11, "RUN", "cat <<A <<-\"B\" 3<<'C' >x; echo $((1<<2)) <<<word a<<no"),
            (18, "ONBUILD", "COPY <<D /d"),
            (21, "RUN", "echo \\\\"),
            (22, "USER", "u"),
        ]
    );
    assert_eq!(file.escape, '\\', "a directive after a comment is a comment");
    assert_eq!(file.defects, [Defect::EmptyContinuation(8)]);
    let instructions: Vec<_> = file.instructions().map(|(_, _, i)| i).collect();
    assert_eq!(instructions[1].flags, ["--mount=type=cache,target=/x", "--network=none"]);
    assert_eq!(instructions[1].flag("network"), Some("none"));
    assert_eq!(instructions[2].exec.as_deref(), Some(&["a".to_owned(), "b c".to_owned()][..]));
    let heredocs: Vec<_> = instructions[3].heredocs.iter().map(|h| (h.name.as_str(), h.chomp, h.quoted)).collect();
    assert_eq!(heredocs, [("A", false, false), ("B", true, true), ("C", false, true)]);
    assert_eq!(instructions[4].heredocs.len(), 1);

    let file = is_whole(b"# escape=`\r\nFROM a\r\nRUN x `\r\n  y \\\r\nRUN <<E\r\nUSER no\r\n");
    assert!(file.crlf);
    assert_eq!(file.escape, '`');
    let said: Vec<_> = file.instructions().map(|(_, _, i)| i.arguments.as_str()).collect();
    assert_eq!(said, ["a", "x   y \\", "<<E"]);
    assert_eq!(file.defects, [Defect::UnterminatedHeredoc(5, "E".into())]);
    assert_eq!(is_whole(b"# escape=x\nFROM a").defects, [Defect::InvalidEscape(1)]);
}

#[test]
fn stages_are_resolved() {
    let text = b"ARG TAG=3.11 \\\n    NAME='alpine'\nARG BASE=${NAME}:$TAG\nARG OPEN\nFROM $BASE AS One\nARG TAG=other\nUSER a\nUSER b:c\n\
        FROM one\nFROM ${OPEN}x AS three\nFROM ${OPEN:-scratch}\nFROM $BASE${OPEN:+-x} AS five";
    let file = is_whole(text);
    let bases = |arguments: &[(&str, &str)]| -> Vec<Base> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        file.stages(&arguments).into_iter().map(|s| s.base).collect()
    };
    let alpine = Base::Image("alpine:3.11".into());
    assert_eq!(
        bases(&[]),
        [alpine.clone(), Base::Stage(0), Base::Unresolved("x".into(), vec!["OPEN".into()]), Base::Scratch, alpine]
    );
    assert_eq!(
        bases(&[("OPEN", "deb"), ("TAG", "3.12"), ("UNKNOWN", "z")]),
        [
            Base::Image("alpine:3.12".into()),
            Base::Stage(0),
            Base::Image("debx".into()),
            Base::Image("deb".into()),
            Base::Image("alpine:3.12-x".into())
        ]
    );
    let stages = file.stages(&BTreeMap::new());
    assert_eq!(stages[0].name.as_deref(), Some("one"));
    assert_eq!(stages[0].users.iter().map(|(_, user)| user.as_str()).collect::<Vec<_>>(), ["a", "b:c"]);
    assert_eq!(stages[0].user_before(stages[0].users[1].0), Some("a"));
    assert_eq!(stages[1].user_before(stages[1].body.end), None);
}

// Patching more than once.

#[test]
fn runs_for_different_anchors_stand_beside_each_other() {
    let patched = |text: &[u8], title: &str| {
        let request = Patch { anchors: vec![known(title)], ..Patch::default() };
        patch(text, &request).unwrap()
    };
    let text = b"FROM debian:11\nRUN apt-get install -y curl\nUSER a\nCMD x\n";
    let first = patched(text, "DST Root CA X3");
    let second = patched(&first.text, "AddTrust External CA Root");
    assert_eq!(second.decision, Decision::Inserted);
    for title in ["DST Root CA X3", "AddTrust External CA Root", "DST Root CA X3"] {
        let again = patched(&second.text, title);
        assert_eq!((again.decision, &again.text), (Decision::AlreadyDone, &second.text), "{title}");
    }
    // Both in one run: one instruction in place of the two.
    let both = patch(&second.text, &Patch { anchors: Anchor::known(), ..Patch::default() }).unwrap();
    assert_eq!(both.decision, Decision::Replaced);
    assert_eq!(String::from_utf8(both.text.clone()).unwrap().matches("RUN set -eu").count(), 1);
    assert_eq!(patched(&both.text, "DST Root CA X3").decision, Decision::AlreadyDone);
}

#[test]
fn two_targets_without_shell_do_not_disturb_each_other() {
    let text = fs::read(fixtures().join("distroless-twice.Dockerfile")).unwrap();
    let for_stage = |text: &[u8], stage: &str, title: &str| {
        patch(text, &Patch { anchors: vec![known(title)], stage: Some(stage.to_owned()), ..Patch::default() })
    };
    let one = for_stage(&text, "one", "DST Root CA X3").unwrap();
    let two = for_stage(&one.text, "1", "DST Root CA X3").unwrap();
    assert_eq!((one.decision, two.decision), (Decision::Inserted, Decision::Inserted));
    for stage in ["one", "two", "0", "1"] {
        let again = for_stage(&two.text, stage, "DST Root CA X3").unwrap();
        assert_eq!((again.decision, &again.text), (Decision::AlreadyDone, &two.text), "{stage}");
    }
    let stages = Dockerfile::parse(&two.text).stages(&BTreeMap::new());
    let names: Vec<_> = stages.iter().filter_map(|s| s.name.as_deref()).collect();
    assert_eq!(names, ["certdoctor-base", "certdoctor-trust", "one", "certdoctor-base-2", "certdoctor-trust-2", "two"]);
    let other = for_stage(&two.text, "two", "AddTrust External CA Root");
    assert!(matches!(other, Err(DockerfileError::OtherAnchors(_))), "its bundle would take the place of the other's");
}

/// Whoever says the family means the stage with a shell.
#[test]
fn the_family_is_for_the_stage_with_a_shell() {
    let text = b"FROM corp/build:1 AS b\nRUN make\nFROM gcr.io/distroless/static\nCOPY --from=b /etc/ssl/certs /etc/ssl/certs\n";
    let mut request = Patch { anchors: Anchor::known(), ..Patch::default() };
    assert_eq!(patch(text, &request), Err(DockerfileError::UnknownImage("corp/build:1".to_owned())));
    request.family = Some(Family::Debian);
    let patched = String::from_utf8(patch(text, &request).unwrap().text).unwrap();
    assert!(patched.starts_with("FROM corp/build:1 AS b\n# certdoctor:begin"), "{patched}");
}

// Families and names.

#[test]
fn families_of_images() {
    let expected: &[(Family, &[&str])] = &[
        (
            Family::Alpine,
            &[
                "alpine",
                "alpine:3.11",
                "alpine@sha256:0123",
                "localhost:5000/alpine:edge",
                "python:3.8-alpine",
                "python:3.8-alpine3.11",
                "docker.io/library/nginx:1.19-alpine",
                "docker:dind",
                "registry:2",
                "caddy:2",
                "arm64v8/alpine:3.12",
                "node:14-alpine@sha256:ab",
                "eclipse-temurin:17-jre-alpine",
                "ghcr.io/someone/alpine",
            ],
        ),
        (Family::Arch, &["archlinux:latest", "archlinux/archlinux:base-devel"]),
        (Family::Busybox, &["busybox", "busybox:1.36-glibc"]),
        (
            Family::Debian,
            &[
                "debian",
                "debian:bookworm-slim",
                "docker.io/library/ubuntu:20.04",
                "ubuntu",
                "python:3.8",
                "python:3.8-slim",
                "node:20-bullseye",
                "eclipse-temurin:17-jre",
                "openjdk:11-jre-slim",
                "nvidia/cuda:12.2.0-base-ubuntu22.04",
                "mcr.microsoft.com/dotnet/sdk:6.0",
                "mcr.microsoft.com/dotnet/aspnet:8.0-jammy",
                "quay.io/someone/tool:1.2-bookworm",
                "registry.example:5000/mirror/debian:11",
                "mysql:8.0-debian",
                "amd64/debian",
                "bitnami/redis:7",
                "jenkins/jenkins:lts-jdk17",
                "golang",
            ],
        ),
        (
            Family::Distroless,
            &[
                "gcr.io/distroless/base-debian12",
                "gcr.io/distroless/static:nonroot",
                "mcr.microsoft.com/dotnet/runtime:8.0-jammy-chiseled",
                "cgr.dev/chainguard/static:latest",
                "gcr.io/distroless/java17-debian12@sha256:ab",
            ],
        ),
        (
            Family::RedHat,
            &[
                "amazonlinux",
                "amazonlinux:2",
                "ubi8/ubi",
                "registry.access.redhat.com/ubi9/ubi-minimal:9.4",
                "redhat/ubi9-minimal",
                "redhat/ubi8",
                "centos:7",
                "quay.io/centos/centos:stream9",
                "rockylinux:9",
                "almalinux:9",
                "fedora:40",
                "oraclelinux:8-slim",
                "openjdk:17-oraclelinux8",
                "amazoncorretto:17",
                "public.ecr.aws/amazonlinux/amazonlinux:2023",
                "mysql:8.0-oraclelinux9",
                "nvidia/cuda:12.2.0-base-ubi8",
            ],
        ),
        (Family::Scratch, &["scratch"]),
        (Family::Suse, &["opensuse/leap:15", "registry.suse.com/suse/sle15:15.5"]),
        (
            Family::Windows,
            &[
                "mcr.microsoft.com/windows/servercore:ltsc2022",
                "mcr.microsoft.com/windows/nanoserver:1809",
                "golang:1.20-windowsservercore-ltsc2022",
                "mcr.microsoft.com/dotnet/sdk:6.0-nanoserver-1809",
            ],
        ),
        (Family::Wolfi, &["cgr.dev/chainguard/wolfi-base"]),
    ];
    for (family, images) in expected {
        for image in *images {
            assert_eq!(Family::of_image(image), Some(*family), "{image}");
        }
    }
    for image in
        ["", "registry.example.org/team/runtime:7", "mycompany/base", "openjdk:17", "mysql:8", "$BASE", "localhost/app:1"]
    {
        assert_eq!(Family::of_image(image), None, "{image}");
    }
    assert_eq!(default_user("docker.io/jenkins/jenkins:lts"), Some("jenkins"));
    assert_eq!(default_user("gcr.io/distroless/base:nonroot"), Some("65532"));
    assert_eq!(default_user("debian"), None);
}

/// Mozilla's labels as certifi gives them, the files as Alpine's 2019 package names them, joined by the certificates.
#[test]
fn file_names_follow_from_labels() {
    let bundles = fixtures().parent().unwrap().to_owned();
    let archive = fs::File::open(bundles.join("roots/trees/alpine-2019.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if entry.header().entry_type().is_file()
            && path.extension().is_some_and(|e| e == "crt")
            && path.to_string_lossy().contains("mozilla/")
        {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            files.insert(pem_blocks(&text).remove(0), path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    let certifi = fs::read_to_string(bundles.join("bundles/certifi/cacert-2019.11.28.pem")).unwrap();
    let labels: Vec<&str> = certifi.lines().filter_map(|line| line.strip_prefix("# Label: \"")?.strip_suffix('"')).collect();
    let ders = pem_blocks(&certifi);
    assert_eq!(labels.len(), ders.len());
    let mut wrong = Vec::new();
    for (label, der) in labels.iter().zip(&ders) {
        if files.get(der).is_some_and(|file| *file != certdata_file_name(label)) {
            wrong.push((label, &files[der]));
        }
    }
    assert!(files.len() >= 138);
    // certifi writes what is not ASCII as Python escapes; Mozilla's own list, from which the files are made, is UTF-8.
    assert!(matches!(wrong[..], [(label, _)] if label.contains("F\\u0151")), "{wrong:?}");
    assert_eq!(certdata_file_name("NetLock Arany (Class Gold) Főtanúsítvány"), *wrong[0].1);
    assert_eq!(certdata_file_name("Foo (Class A/B), 2"), "Foo_=Class_A_B=__2.crt");
}

/// The table of well-known roots against the certificates themselves; their lines are in no other certificate of the big bundles.
#[test]
fn known_anchors_are_what_they_say() {
    let bundles = fixtures().parent().unwrap().join("bundles");
    let all =
        ["certifi/cacert-2019.11.28.pem", "libressl/cert-678710fe8b.pem"].map(|f| fs::read_to_string(bundles.join(f)).unwrap());
    for anchor in Anchor::known() {
        let entry = anchor.entry.clone().unwrap();
        let file = bundles.join("single").join(entry.strip_prefix("mozilla/").unwrap());
        let der = pem_blocks(&fs::read_to_string(file).unwrap()).remove(0);
        let certificate = Certificate::parse(&der).unwrap();
        let made = Anchor::from_der(&der, &anchor.title, certificate.validity().not_after, None, None);
        assert_eq!(made, anchor);
        assert_eq!(certificate.subject().common_name().as_deref(), Some(anchor.title.as_str()));
        for text in &all {
            assert_eq!(text.matches(&anchor.line).count(), 1, "{}", anchor.title);
        }
    }
    assert_eq!(Anchor::known().len(), 3);
    let other = Anchor::from_der(b"0123", "x", None, None, Some("Some Root (2)"));
    assert_eq!(other.entry.as_deref(), Some("mozilla/Some_Root_=2=.crt"));
}

/// As a `--root` tree's own configuration names it, whatever the table says; never an administrator's.
#[test]
fn anchors_are_named_as_the_tree_names_them() {
    let text = fs::read_to_string(fixtures().parent().unwrap().join("bundles/single/DST_Root_CA_X3.crt")).unwrap();
    let certificate = Certificate::parse(&pem_blocks(&text)[0]).unwrap();
    let file = |path: &str| CertFile {
        path: TreePath::new(path),
        links: Default::default(),
        real: TreePath::new(path),
        state: FileState::Missing,
        entries: vec![Entry {
            line: 1,
            block: 0..text.len(),
            section: 0..text.len(),
            label: None,
            content: Content::Certificate(certificate.clone()),
        }]
        .into(),
        quirks: BTreeSet::new(),
    };
    let source = |owner, name: &str| Source {
        name: name.into(),
        owner,
        selection: Selection::Enabled,
        line: None,
        file: file(&format!("/usr/local/share/ca-certificates/{name}")),
    };
    let store = |sources| Store {
        kind: "debian",
        title: String::new(),
        location: TreePath::new("/etc/ssl/certs"),
        upkeep: Upkeep::ByHand,
        configuration: None,
        sources,
        bundle: None,
        directory: None,
        derived: Vec::new(),
        unread: None,
        leftovers: Vec::new(),
        seen: Default::default(),
    };
    let dst = certificate.fingerprint();
    let anchor = Anchor::from_store(&store(vec![source(SourceOwner::Package, "vendor/x3.crt")]), dst).unwrap();
    assert_eq!(anchor, Anchor { entry: Some("vendor/x3.crt".into()), title: anchor.title.clone(), ..known("DST Root CA X3") });
    assert!(anchor.title.contains("DST Root CA X3"));
    let local = Anchor::from_store(&store(vec![source(SourceOwner::Local, "corp.crt")]), dst);
    assert_eq!(local, Err(DockerfileError::LocalAnchor("/usr/local/share/ca-certificates/corp.crt".into())));
    assert_eq!(Anchor::from_store(&store(Vec::new()), dst), Err(DockerfileError::AbsentAnchor(dst)));
}

// Writing.

#[test]
fn snippets_are_refused_with_advice() {
    let anchors = vec![known("DST Root CA X3")];
    for family in [
        Family::Arch,
        Family::Busybox,
        Family::Distroless,
        Family::RedHat,
        Family::Scratch,
        Family::Suse,
        Family::Windows,
        Family::Wolfi,
    ] {
        let error = snippet(&Snippet::new(family, anchors.clone())).unwrap_err();
        assert!(matches!(error, DockerfileError::Unsupported(f, _) if f == family));
    }
    assert_eq!(snippet(&Snippet::new(Family::Debian, Vec::new())), Err(DockerfileError::NoAnchor));
    for name in ["mozilla/a b.crt", "mozilla/$(x).crt", "x'y", "a;b", "-e", "a|b", "a\nb", "a&b", "a*"] {
        let odd = Anchor { entry: Some(name.to_owned()), ..known("DST Root CA X3") };
        assert_eq!(snippet(&Snippet::new(Family::Debian, vec![odd])), Err(DockerfileError::OddName(name.to_owned())));
    }
    let accented =
        Anchor { entry: Some("mozilla/NetLock_Arany_=Class_Gold=_Főtanúsítvány.crt".to_owned()), ..known("DST Root CA X3") };
    assert!(snippet(&Snippet::new(Family::Debian, vec![accented])).is_ok());
}

/// What is written is one block of instructions, has no switch that turns a verification off, and is the script that was run above.
#[test]
fn snippets_say_what_is_run() {
    for family in [Family::Alpine, Family::Debian] {
        for (escape, crlf, upgrade) in [('\\', false, false), ('`', true, true)] {
            let mut request = Snippet::new(family, Anchor::known());
            request.upgrade = upgrade;
            request.layout = Layout { escape, crlf, ..Layout::default() };
            request.anchors[0].title = "two\nRUN lines".to_owned();
            let text = snippet(&request).unwrap();
            let head = if escape == '`' { "# escape=`\nFROM x\n" } else { "FROM x\n" };
            let file = is_whole(format!("{head}{text}").as_bytes());
            let runs: Vec<_> = file.instructions().skip(1).map(|(_, _, i)| (i.keyword.as_str(), i.arguments.as_str())).collect();
            assert_eq!(runs.len(), 1 + usize::from(upgrade), "{text}");
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(squeeze(runs[runs.len() - 1].1), squeeze(&shell_script(&request).unwrap()));
            for switch in
                ["insecure", "no-check", "allow-un", "force-yes", "--allow", " -k", "AllowInsecure", "trusted=yes", "GIT_SSL"]
            {
                assert!(!text.contains(switch), "{switch}");
            }
            assert!(!text.contains("<<"), "no here-documents");
            assert!(text.lines().all(|line| line.len() < 400));
        }
    }
}

/// The DER of each certificate in a PEM text.
fn pem_blocks(text: &str) -> Vec<Vec<u8>> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).map(|rest| rest.split("-----END").next().unwrap());
    let bytes = |block: &str| block.split_whitespace().collect::<String>();
    blocks.map(|block| base64_simd::STANDARD.decode_to_vec(bytes(block)).unwrap()).collect()
}
