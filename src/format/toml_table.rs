//! TOML as far as a manager's settings need it: tables of plain values, each with its line and its place, so that one value can be
//! changed and every other byte stays.

use toml::de::{DeTable, DeValue};

use crate::facts::renewal::njet::{Setting, Settings};

/// Reads a file. Values that are no string, number or truth value are left out, and so are tables in tables.
///
/// # Errors
/// Line, and what is wrong there in the words of the parser.
pub fn parse(text: &str) -> Result<Settings, (u32, String)> {
    let line = |at: usize| {
        let newlines = memchr::memchr_iter(b'\n', &text.as_bytes()[..at.min(text.len())]).count();
        u32::try_from(newlines + 1).unwrap_or(u32::MAX)
    };
    let table = DeTable::parse(text).map_err(|e| (line(e.span().unwrap_or_default().start), e.message().to_owned()))?;
    let mut found = Settings::default();
    for (name, value) in table.get_ref() {
        let DeValue::Table(inner) = value.get_ref() else { continue };
        for (key, value) in inner {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(truth) => truth.to_string(),
                _ => continue,
            };
            let (at, is_string) = (value.span(), matches!(value.get_ref(), DeValue::String(_)));
            let (table, key) = (name.get_ref().to_string(), key.get_ref().to_string());
            found.values.push(Setting { table, key, text, is_string, line: line(at.start), span: at });
        }
    }
    let mut at = 0;
    for row in text.split_inclusive('\n') {
        at += row.len();
        let bare = row.split_once('#').map_or(row, |(bare, _)| bare).trim();
        if let Some(name) = bare.strip_prefix('[').and_then(|r| r.strip_suffix(']'))
            && row.ends_with('\n')
        {
            found.headers.push((name.trim().to_owned(), at));
        }
    }
    // A line of a long string that looks like a header is none.
    found
        .headers
        .retain(|(name, _)| table.get_ref().get(name.as_str()).is_some_and(|v| matches!(v.get_ref(), DeValue::Table(_))));
    Ok(found)
}

/// A string as it must be written to be read back.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_makes_it_panic(pieces in proptest::collection::vec("[\\[\\]\"'=.#\n\\\\ a{},0-9]{0,8}", 0..40), cut in 0_usize..200) {
            let text: String = pieces.concat();
            let text: String = text.chars().take(cut).collect();
            if let Ok(found) = parse(&text) {
                for setting in &found.values {
                    prop_assert!(text.get(setting.span.clone()).is_some());
                }
                for (_, at) in &found.headers {
                    prop_assert!(text.is_char_boundary(*at));
                }
            }
        }
    }

    #[test]
    fn values_have_their_place() {
        let text = "# x\n[acme] # y\nport = \":10443\"\n[log]\nv=2\nlist = [1]\n";
        let found = parse(text).expect("TOML");
        let port = found.get("acme", "port").expect("a value");
        assert_eq!((port.text.as_str(), port.line, &text[port.span.clone()]), (":10443", 3, "\":10443\""));
        assert_eq!(found.get("log", "v").map(|s| (s.text.as_str(), s.is_string)), Some(("2", false)));
        assert_eq!(found.get("log", "list"), None);
        assert_eq!(&text[found.header("acme").expect("a header")..][..4], "port");
        assert_eq!(found.header("none"), None);
    }

    #[test]
    fn defects_have_their_line() {
        assert_eq!(parse("[a]\nb = \"x\n").map_err(|(line, _)| line), Err(2));
        assert_eq!(parse("[a\n").map_err(|(line, _)| line), Err(1));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [":10443", "a\"b\\c", "ä\u{7}\n"] {
            let file = format!("[t]\nk = {}\n", quoted(text));
            assert_eq!(parse(&file).expect("TOML").get("t", "k").map(|s| s.text.clone()), Some(text.to_owned()));
        }
    }
}
