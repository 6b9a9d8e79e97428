//! Dockerfiles: read, patched, and what is put in run by real shells on real trees.

use std::{collections::BTreeMap, fs, path::PathBuf};

use certdoctor::{
    format::dockerfile::{Base, Defect, Dockerfile, Kind},
    plan::dockerfile::{Anchor, Family, Patch, patch},
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
