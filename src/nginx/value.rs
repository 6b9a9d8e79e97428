//! Variables, and the patterns that are matched with them. What depends on more than a request for a challenge is not known, and then
//! nothing is said.

use std::{cell::Cell, collections::BTreeMap};

use fancy_regex::{Regex, RegexBuilder};

use crate::facts::renewal::nginx::Directive;

/// Steps that one match may take.
const STEPS: usize = 100_000;

/// The longest value, so that variables that contain each other end.
const LONGEST: usize = 16 << 10;

/// Variables that are looked up for one request. Maps that name each other several times multiply.
const LOOKUPS: usize = 10_000;

/// Bytes of one compiled pattern; PCRE's own bound is 64 KiB.
const COMPILED: usize = 1 << 20;

/// A regular expression of PCRE's grammar.
pub(super) struct Pattern(Regex);

/// What a match found: by number and by name.
pub(super) type Captures = (Vec<String>, BTreeMap<String, String>);

impl Pattern {
    /// `None` for one that is not understood.
    pub(super) fn new(pattern: &str, caseless: bool) -> Option<Pattern> {
        RegexBuilder::new(pattern)
            .case_insensitive(caseless)
            .backtrack_limit(STEPS)
            .delegate_size_limit(COMPILED)
            .build()
            .ok()
            .map(Pattern)
    }

    /// Whether it matches; `None` when that took too long.
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        self.0.is_match(text).ok()
    }

    /// The captures; the inner `None` when it does not match.
    pub(super) fn captures(&self, text: &str) -> Option<Option<Captures>> {
        let Some(found) = self.0.captures(text).ok()? else { return Some(None) };
        let numbered = found.iter().map(|c| c.map_or(String::new(), |m| m.as_str().to_owned())).collect();
        let named = self.0.capture_names().flatten();
        let named = named.map(|n| (n.to_owned(), found.name(n).map_or(String::new(), |m| m.as_str().to_owned()))).collect();
        Some(Some((numbered, named)))
    }
}

/// What variables are worth.
#[derive(Clone, Debug, Default)]
pub(super) struct Values<'a> {
    /// Those of the request, and those set on the way; `None` for one whose value is not known.
    pub(super) known: BTreeMap<String, Option<String>>,
    /// `$1` and so on, of the last match.
    pub(super) numbered: Vec<String>,
    /// The `map` blocks of `http`.
    pub(super) maps: Vec<&'a Directive>,
    /// How many variables were looked up.
    pub(super) lookups: Cell<usize>,
}

impl Values<'_> {
    /// The text with its variables replaced; `None` when one is not known.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        self.expand_within(text, 8)
    }

    fn expand_within(&self, text: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, more) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}')?,
                None => {
                    let digits = after.starts_with(|c: char| c.is_ascii_digit());
                    let len = match digits {
                        true => 1,
                        false => after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
                    };
                    after.split_at(len)
                }
            };
            // A dollar at the end of a pattern, or before what can't be a name.
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&self.variable(name, depth)?);
            }
            if out.len() > LONGEST {
                return None;
            }
            rest = more;
        }
        out.push_str(rest);
        Some(out)
    }

    fn variable(&self, name: &str, depth: usize) -> Option<String> {
        self.lookups.set(self.lookups.get() + 1);
        if depth == 0 || self.lookups.get() > LOOKUPS {
            return None;
        }
        if let Ok(n) = name.parse::<usize>() {
            return Some(self.numbered.get(n).cloned().unwrap_or_default());
        }
        if let Some(value) = self.known.get(name) {
            return value.clone();
        }
        let target = format!("${name}");
        if let Some(map) = self.maps.iter().rev().find(|m| m.argument(1) == Some(&target)) {
            return self.mapped(map, depth - 1);
        }
        // A request for a challenge has no arguments, no cookies and no headers but the usual ones.
        let absent = ["arg_", "cookie_"].iter().any(|prefix| name.starts_with(prefix));
        absent.then(String::new)
    }

    /// ngx_http_map_module: exact names first, then patterns in their order, then the default.
    fn mapped(&self, map: &Directive, depth: usize) -> Option<String> {
        let source = self.expand_within(map.argument(0)?, depth)?;
        let lower = source.to_ascii_lowercase();
        let hostnames = map.named("hostnames").next().is_some();
        let entry = |d: &&Directive| d.name().trim_start_matches('\\').eq_ignore_ascii_case(&lower) && d.words.len() == 2;
        let special = |d: &&Directive| matches!(d.name(), "default" | "hostnames" | "volatile" | "include");
        if let Some(found) = map.children().iter().filter(|d| !special(d)).find(entry) {
            return self.expand_within(found.argument(0)?, depth);
        }
        // Names with a wildcard have an order of their own; nobody asks for it here.
        if hostnames && map.children().iter().any(|d| d.name().starts_with(['*', '.']) || d.name().ends_with(".*")) {
            return None;
        }
        for directive in map.children().iter().filter(|d| d.name().starts_with('~')) {
            let caseless = directive.name().starts_with("~*");
            let pattern = Pattern::new(directive.name().trim_start_matches('~').trim_start_matches('*'), caseless)?;
            if let Some((numbered, named)) = pattern.captures(&source)? {
                let mut inner = self.clone();
                inner.numbered = numbered;
                inner.known.extend(named.into_iter().map(|(n, v)| (n, Some(v))));
                let value = inner.expand_within(directive.argument(0)?, depth);
                self.lookups.set(inner.lookups.get());
                return value;
            }
        }
        match map.named("default").next() {
            Some(default) => self.expand_within(default.argument(0)?, depth),
            None => Some(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_multiply_end() {
        let block = |text: &str| crate::format::nginx::parse(text.as_bytes(), 0).directives;
        let one = |n: usize| format!("map $uri $m{n} {{ ~^(?<all>.*)$ \"{}\"; }}", format!("$m{}", n + 1).repeat(60));
        let mut text: String = (0..5).map(one).collect();
        text += "map $uri $m5 { default \"\"; }";
        let directives = block(&text);
        let mut values = Values { maps: directives.iter().collect(), ..Values::default() };
        values.known.insert("uri".to_owned(), Some("/".to_owned()));
        assert_eq!(values.expand("$m5"), Some(String::new()));
        assert_eq!(values.expand("$m0"), None);
    }

    #[test]
    fn a_pattern_that_grows_is_not_understood() {
        assert!(Pattern::new("(?:(?:a{1000}){1000}){1000}", false).is_none());
        assert!(Pattern::new(&"(".repeat(4000), false).is_none());
        assert!(Pattern::new(r"^/\.(?!well-known)", false).is_some());
    }
}
