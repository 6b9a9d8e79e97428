//! Variables in `ARG` and `FROM`.

use std::collections::{BTreeMap, BTreeSet};

/// A text after its variables were replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The result; a variable without value is empty in it.
    pub text: String,
    /// Variables that have no value and no default.
    pub missing: BTreeSet<String>,
}

/// How deep `${A:-${B:-…}}` is followed.
const DEPTH: usize = 16;

/// Replaces `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:+word}` and `${NAME+word}`, drops quotes, and takes the character
/// after `escape` as it stands (BuildKit's `shell/lex.go`).
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>, escape: char) -> Expanded {
    let mut out = Expanded::default();
    expand_into(text, variables, escape, DEPTH, &mut out);
    out
}

fn expand_into(text: &str, variables: &BTreeMap<String, String>, escape: char, depth: usize, out: &mut Expanded) {
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if quote == Some('\'') {
            if c == '\'' { quote = None } else { out.text.push(c) }
        } else if c == escape {
            if let Some(next) = rest.chars().next() {
                out.text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        } else if c == '$' {
            rest = variable(rest, variables, escape, depth, out);
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            quote = Some(c);
        } else {
            out.text.push(c);
        }
    }
}

/// Replaces the variable whose `$` stood before `rest`; returns what follows it.
fn variable<'a>(rest: &'a str, variables: &BTreeMap<String, String>, escape: char, depth: usize, out: &mut Expanded) -> &'a str {
    let Some(inner) = rest.strip_prefix('{') else {
        let end = name_length(rest);
        if end == 0 {
            out.text.push('$');
        } else {
            value_of(&rest[..end], variables, out);
        }
        return &rest[end..];
    };
    let (inner, after) = inner.split_at(closing_brace(inner));
    let after = after.strip_prefix('}').unwrap_or(after);
    let end = name_length(inner);
    let (name, operator) = inner.split_at(end);
    let value = variables.get(name).map(String::as_str);
    // With the colon an empty value counts as none.
    let (value, operator) = match operator.strip_prefix(':') {
        Some(operator) => (value.filter(|v| !v.is_empty()), operator),
        None => (value, operator),
    };
    let mut word = |word: &str| match depth.checked_sub(1) {
        Some(depth) => expand_into(word, variables, escape, depth, out),
        None => out.text.push_str(word),
    };
    if let Some(default) = operator.strip_prefix('-') {
        match value {
            Some(value) => out.text.push_str(value),
            None => word(default),
        }
    } else if let Some(alternative) = operator.strip_prefix('+') {
        if value.is_some() {
            word(alternative);
        }
    } else {
        // `${NAME}`, `${NAME:?message}` and newer operators (`#`, `%`, `/`), whose result is not foreseen here.
        if !operator.is_empty() && !operator.starts_with('?') {
            out.missing.insert(name.to_owned());
        }
        value_of(name, variables, out);
    }
    after
}

fn value_of(name: &str, variables: &BTreeMap<String, String>, out: &mut Expanded) {
    match variables.get(name) {
        Some(value) => out.text.push_str(value),
        None => {
            out.missing.insert(name.to_owned());
        }
    }
}

/// The length of the variable name at the beginning of `text`.
fn name_length(text: &str) -> usize {
    let name = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    text.char_indices().find(|place| !name(*place)).map_or(text.len(), |(at, _)| at)
}

/// Where the `}` that belongs to an open `${` stands, or the end.
fn closing_brace(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return at,
            '}' => open -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_buildkit() {
        let variables = BTreeMap::from([("A".to_owned(), "x".to_owned()), ("E".to_owned(), String::new())]);
        let text = |input: &str| expand(input, &variables, '\\').text;
        assert_eq!(text("debian:$A"), "debian:x");
        assert_eq!(text("${A}y$A-z"), "xyx-z");
        assert_eq!(text("${B:-bookworm}-slim"), "bookworm-slim");
        assert_eq!(text("${E:-d} ${E-d}"), "d ");
        assert_eq!(text("${A:+-$A}${B:+no}"), "-x");
        assert_eq!(text("${B:-${C:-${A}}}"), "x");
        assert_eq!(text(r#""a b"'$A'\$A"#), "a b$A$A");
        assert_eq!(text("$"), "$");
        assert_eq!(text("${"), "");
        assert_eq!(expand("$B-${C}", &variables, '\\').missing, BTreeSet::from(["B".into(), "C".into()]));
        assert!(expand("${B:-x}", &variables, '\\').missing.is_empty());
    }
}
