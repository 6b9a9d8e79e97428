//! The layers of docs/ARCHITECTURE.md, kept: which room may use which, and that only `host` touches the world.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Each room of `src/` and the rooms that it may name. `main`, `command`, `gather` and `cli` come last: nothing below names them.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("x509", &["base"]),
    // A second set of the same types would only be copied into the first.
    ("format", &["base", "x509", "facts"]),
    ("path", &["base", "x509"]),
    ("facts", &["base", "x509"]),
    // A model of one program, made from what was read of it; its tests read text.
    ("nginx", &["base", "x509", "format", "facts"]),
    // `Finding::new` takes the check that speaks; a remedy says how freely it may be carried out.
    ("policy", &["base", "finding"]),
    ("finding", &["base", "x509", "facts", "edit", "check"]),
    ("edit", &["base"]),
    // `observe` returns what was presented; restart lists and plans apply edits.
    ("host", &["base", "x509", "facts", "edit"]),
    ("store", &["base", "x509", "format", "facts", "edit", "host"]),
    // Lends readers a host; fills the facts.
    ("renewal", &["base", "x509", "format", "facts", "nginx", "host"]),
    ("client", &["base", "x509", "facts", "path"]),
    // A verdict names the profile that gave it; a remedy says how freely it may be carried out; a patch is written in its file's grammar.
    ("check", &["base", "x509", "path", "format", "facts", "nginx", "finding", "client", "edit"]),
    ("program", &["base", "facts", "host"]),
    ("gather", &["base", "facts", "format", "host", "store", "renewal"]),
    ("judge", &["base", "x509", "path", "facts", "check", "finding", "client"]),
    ("plan", &["base", "x509", "format", "facts", "edit", "store", "host"]),
    ("report", &["base", "edit", "facts", "finding", "path", "check", "judge"]),
    ("render", &["base", "x509", "facts", "finding", "edit", "path", "check", "report"]),
    ("cli", &["base", "facts", "finding"]),
    ("command", &["*"]),
    // Below the library: no room names it, and it names none.
    ("runtime", &[]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// What only `host` may name. Addresses (`std::net::IpAddr`) are values and free; what opens a socket is not.
const WORLD: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env",
    "std::os::unix::net",
    "std::os::unix::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "SystemTime",
    "Instant",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
];

#[test]
fn rooms_use_only_what_lies_below_them() {
    let wrong: Vec<String> = sources().iter().flat_map(|(path, text)| layer_faults(path, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_host_touches_the_world() {
    let wrong: Vec<String> = sources().iter().flat_map(|(path, text)| world_faults(path, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let rooms: BTreeSet<String> = sources().keys().map(|path| room(path).to_owned()).collect();
    let known: BTreeSet<String> = TABLE.iter().map(|(room, _)| (*room).to_owned()).collect();
    let unknown: Vec<_> = rooms.difference(&known).collect();
    assert!(unknown.is_empty(), "not in the table of tests/layers.rs and docs/ARCHITECTURE.md: {unknown:?}");
}

#[test]
fn the_document_has_the_same_table() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).expect("the document");
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let room = cells[1].trim_matches('`').trim_end_matches('/').trim_end_matches(".rs");
        told.insert(room.to_owned(), cells[3].split_whitespace().filter(|w| *w != "–").map(str::to_owned).collect());
    }
    for (room, may_use) in TABLE.iter().filter(|(_, may_use)| *may_use != ["*"]) {
        let kept: BTreeSet<String> = may_use.iter().map(|r| (*r).to_owned()).collect();
        assert_eq!(told.get(*room), Some(&kept), "{room}");
    }
}

#[test]
fn a_planted_violation_is_caught() {
    let faults = |text: &str| layer_faults("src/path/mod.rs", text).join("\n");
    assert_eq!(faults("use crate::host::Tree;\n"), "src/path/mod.rs names crate::host");
    assert_eq!(faults("use crate::{\n    base::At,\n    store::{Kind, Refusal},\n};\n"), "src/path/mod.rs names crate::store");
    assert_eq!(faults("fn f() -> crate::facts::Facts { todo() }\n"), "src/path/mod.rs names crate::facts");
    assert_eq!(faults("/// See [`crate::host`].\nuse crate::{base::At, x509::Name};\n// crate::host\n"), "");
    assert_eq!(faults("const S: &str = \"use crate::host;\";\n"), "");
    assert_eq!(layer_faults("src/command/scan.rs", "use crate::host::Tree;\n"), Vec::<String>::new());

    let faults = |text: &str| world_faults("src/store/debian.rs", text).join("\n");
    assert_eq!(faults("use std::fs;\n"), "src/store/debian.rs names std::fs");
    assert_eq!(faults("use std::{io, fs::File};\n"), "src/store/debian.rs names std::fs");
    assert_eq!(faults("use std::{\n    io,\n    time::{Duration, SystemTime},\n};\n"), "src/store/debian.rs names SystemTime");
    assert_eq!(faults("fn f() { println!(\"x\") }\n"), "src/store/debian.rs names println!");
    assert_eq!(
        faults("use std::{fmt, time::Duration};\n// std::fs\nconst S: &str = \"std::fs\";\nfn write() { writeln!(f) }\n"),
        ""
    );
    assert_eq!(faults("use std::net::{IpAddr, TcpStream};\n"), "src/store/debian.rs names TcpStream");
    assert_eq!(faults("use std::net::IpAddr;\n"), "");
    assert_eq!(world_faults("src/host/live.rs", "use std::fs;\n"), Vec::<String>::new());
}

fn layer_faults(path: &str, text: &str) -> Vec<String> {
    // Compiled for tests only: what the checks are tried on is read by the real readers.
    if path.starts_with("src/check/testing/") {
        return Vec::new();
    }
    let room = room(path);
    let allowed = TABLE.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| *allowed);
    let named = named_rooms(&code(text));
    named
        .into_iter()
        .filter(|name| name != room && !allowed.contains(&"*") && !allowed.contains(&name.as_str()))
        .map(|name| format!("{path} names crate::{name}"))
        .collect()
}

fn world_faults(path: &str, text: &str) -> Vec<String> {
    // Tests of a room may read fixtures and run oracles.
    let text = code(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
    if matches!(room(path), "host" | "main") {
        return Vec::new();
    }
    let flat = std_paths(&text);
    let says = |word: &&&str| {
        flat.iter().any(|p| p == *word || p.starts_with(&format!("{word}::")) || p.ends_with(&format!("::{word}")))
            || uses_word(&text, word)
    };
    WORLD.iter().filter(says).map(|word| format!("{path} names {word}")).collect()
}

/// Whether `word` stands in `text` by itself (`println!` does not contain `print!`, nor `writeln!` `ln!`).
fn uses_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(part);
        let after = text[at + word.len()..].chars().next().is_some_and(part);
        !before && !after
    })
}

/// The room of a file: the first part of its path in `src/`.
fn room(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Every Rust file of `src/`, by its path from the repository's root.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside").to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    assert!(found.len() > 20, "src was not found");
    found
}

/// The rooms that `use crate::…` and inline `crate::…` name.
fn named_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` in a macro names the same rooms; `mycrate::` names none.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        rooms.extend(firsts(&code[at + "crate::".len()..]));
    }
    rooms
}

/// The first parts of a path or of a group of paths in braces.
fn firsts(tree: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = tree.strip_prefix('{') else { return vec![word(tree)] };
    items(group).into_iter().map(|item| word(&item)).filter(|w| !w.is_empty() && w != "self").collect()
}

/// The items of a group, up to its closing brace.
fn items(group: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            c if c.is_whitespace() => {}
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                items.last_mut().expect("never empty").push(c);
            }
        }
    }
    items
}

/// Every path below `std` that the code names, groups flattened.
fn std_paths(code: &str) -> Vec<String> {
    fn flatten(prefix: &str, tree: &str, out: &mut Vec<String>) {
        match tree.split_once("::{") {
            Some((head, group)) if !head.contains('{') => {
                items(group).iter().for_each(|item| flatten(&format!("{prefix}::{head}"), item, out));
            }
            _ => out.push(format!("{prefix}::{tree}")),
        }
    }
    let mut out = Vec::new();
    for (at, _) in code.match_indices("std::") {
        let tree = &code[at + "std::".len()..];
        match tree.strip_prefix('{') {
            Some(group) => items(group).iter().for_each(|item| flatten("std", item, &mut out)),
            None => {
                let end = tree.find([';', '(', ')', '<', '>', ' ', ',', '\n', '!']).unwrap_or(tree.len());
                let whole = if tree[..end].contains('{') { &tree[..tree.find(';').unwrap_or(tree.len())] } else { &tree[..end] };
                flatten("std", &whole.split_whitespace().collect::<String>(), &mut out);
            }
        }
    }
    out
}

/// The code alone: comments and the contents of string literals are blanked out.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest).filter(|_| !out.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len())
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skip..];
    }
    out
}

/// The number of `#` when a raw string (`r"`, `r#"`) begins here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}
