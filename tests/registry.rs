//! A directory of one kind and its list agree: a forgotten line fails with the file's name.

use std::{collections::BTreeSet, fs, path::Path};

use certdoctor::{check, client, renewal, store};

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The stems of the `.rs` files and the folders of a directory in `src`, without `mod` and those named.
fn files(room: &str, helpers: &[&str]) -> BTreeSet<String> {
    let names = fs::read_dir(here("src").join(room)).expect("a room").map(|entry| entry.expect("an entry").path());
    let names = names.filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"));
    let stems = names.map(|path| path.file_stem().expect("a stem").to_string_lossy().into_owned());
    stems.filter(|stem| stem != "mod" && !helpers.contains(&stem.as_str())).collect()
}

/// What is in one set and not in the other, in words.
fn difference(room: &str, files: &BTreeSet<String>, listed: &BTreeSet<String>) -> Option<String> {
    let unlisted: Vec<_> = files.difference(listed).map(|f| format!("src/{room}/{f}.rs is not in the list")).collect();
    let missing: Vec<_> =
        listed.difference(files).map(|f| format!("`{f}` is listed, but there is no src/{room}/{f}.rs")).collect();
    (!unlisted.is_empty() || !missing.is_empty()).then(|| [unlisted, missing].concat().join("; "))
}

#[test]
fn every_check_is_listed_under_the_name_of_its_file() {
    let named = |of_renewal: bool| {
        let checks = check::ALL.iter().filter(move |c| c.is_of_renewal() == of_renewal);
        checks.map(|c| c.slug.replace('-', "_")).collect()
    };
    assert_eq!(difference("check", &files("check", &["doc", "renewal", "support", "testing"]), &named(false)), None);
    assert_eq!(difference("check/renewal", &files("check/renewal", &["support"]), &named(true)), None);
}

#[test]
fn every_manager_is_listed_under_the_name_of_its_file() {
    let listed = renewal::ALL.iter().map(|manager| manager.id.replace('-', "_")).collect();
    assert_eq!(difference("renewal", &defining("renewal", "MANAGER: Manager"), &listed), None);
    let ids: Vec<&str> = renewal::ALL.iter().map(|manager| manager.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "sorted by id, each once: {ids:?}");
}

/// A file of a room that defines an entry of its list.
fn defining(room: &str, definition: &str) -> BTreeSet<String> {
    let text = |stem: &String| fs::read_to_string(here("src").join(room).join(stem.to_owned() + ".rs")).unwrap_or_default();
    files(room, &[]).into_iter().filter(|stem| text(stem).contains(definition)).collect()
}

#[test]
fn every_store_is_listed_under_the_name_of_its_file() {
    let listed = store::ALL.iter().map(|kind| kind.id.replace('-', "_")).collect();
    assert_eq!(difference("store", &defining("store", "const KIND: Kind"), &listed), None);
    let ids: Vec<&str> = store::ALL.iter().map(|kind| kind.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "sorted by id, each once: {ids:?}");
}

#[test]
fn every_client_profile_is_listed() {
    let list = fs::read_to_string(here("src/client/mod.rs")).expect("the list");
    let list = list.split_once("pub static ALL").and_then(|(_, rest)| rest.split_once("];")).expect("the list").0;
    let listed: BTreeSet<String> =
        list.split(['&', ',', '\n', ' ']).filter(|word| word.contains("::")).map(str::to_owned).collect();
    let mut defined = BTreeSet::new();
    for stem in defining("client", ": Profile = ") {
        let text = fs::read_to_string(here("src/client").join(format!("{stem}.rs"))).expect("a family");
        let names = text.lines().filter_map(|l| l.strip_prefix("pub static ")?.strip_suffix(": Profile = Profile {"));
        defined.extend(names.map(|name| format!("{stem}::{name}")));
    }
    assert_eq!(listed, defined);
    let ids: Vec<&str> = client::ALL.iter().map(|profile| profile.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "sorted by id, each once: {ids:?}");
}

#[test]
fn a_forgotten_line_is_told_by_the_files_name() {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(difference("check", &set(&["a", "b"]), &set(&["a"])).as_deref(), Some("src/check/b.rs is not in the list"));
    assert_eq!(
        difference("check", &set(&["a"]), &set(&["a", "b"])).as_deref(),
        Some("`b` is listed, but there is no src/check/b.rs")
    );
    assert_eq!(difference("check", &set(&["a"]), &set(&["a"])), None);
}

#[test]
fn codes_and_slugs_are_unique_and_in_form() {
    let codes: Vec<&str> = check::ALL.iter().map(|c| c.code).collect();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "sorted by code, each once: {codes:?}");
    for code in codes {
        let digits = code.strip_prefix("CD").unwrap_or_default();
        assert!(digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()), "{code} is not CDnnn");
    }
    let slugs: BTreeSet<&str> = check::ALL.iter().map(|c| c.slug).collect();
    assert_eq!(slugs.len(), check::ALL.len(), "a slug is used twice");
    for slug in slugs {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(slug.split('-').all(word), "`{slug}` is not in kebab-case");
    }
}

/// A code that was published keeps its meaning for ever: the list only grows.
#[test]
fn codes_are_those_of_the_published_list() {
    let now: String = check::ALL.iter().map(|c| format!("{} {}\n", c.code, c.slug)).collect();
    let published = fs::read_to_string(here("tests/codes.txt")).expect("tests/codes.txt");
    assert_eq!(now, published, "a new code is added to tests/codes.txt; none is changed, taken out or used again");
}

#[test]
fn every_explanation_has_its_four_parts() {
    let parts = ["**What it means.** ", "**How it is found.** ", "**What to do.** ", "**Sources.** "];
    for check in check::ALL {
        let text = check.text();
        let paragraphs: Vec<&str> = text.split("\n\n").map(str::trim_start).collect();
        let mut rest = paragraphs.iter();
        for part in parts {
            assert!(rest.any(|p| p.starts_with(part)), "{}: {part}is missing or out of order", check.code);
        }
        assert!(!check.title.is_empty() && !check.title.ends_with('.'), "{}: `{}`", check.code, check.title);
        let code = check.title.starts_with('`');
        assert!(code || check.title.starts_with(|c: char| c.is_lowercase()), "{}: `{}`", check.code, check.title);
    }
}

#[test]
fn every_check_has_a_test_that_catches_and_one_that_does_not() {
    for check in check::ALL {
        let room = if check.is_of_renewal() { "src/check/renewal" } else { "src/check" };
        let file = here(room).join(check.slug.replace('-', "_") + ".rs");
        let text = fs::read_to_string(&file).expect("the check's file");
        let tests = text.split_once("mod tests").map_or("", |(_, tests)| tests);
        let (catches, silent) = (tests.contains(".one(&CHECK)"), tests.contains(".silent(&CHECK)"));
        // What `verify` reports is not found in facts: its constructor is tested instead.
        let catches = catches || check.code == "CD901" && tests.contains("disagreement(");
        assert!(catches && silent, "{} needs a test that catches and one that is silent", file.display());
    }
}
