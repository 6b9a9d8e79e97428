//! ConfigObj's form of INI (version 5, as certbot reads it): sections in sections, quoted strings, lists.
//!
//! Follows `configobj/__init__.py` (`_parse`, `_handle_value`, `_multiline`), which works with regular expressions: where several readings
//! of a value are possible, the first that fits the whole line is taken, and so here. Absent on purpose: interpolation, types, and an
//! error: what ConfigObj refuses is a [`Fault`] with its line.

use std::{collections::BTreeSet, ops::Range};

use crate::facts::renewal::{Config, Fault, Section, Setting, Value, config::TOO_MUCH};

/// The longest line that is read. Real ones have less than 300 bytes.
const LINE: usize = 4 << 10;

/// Characters kept of a line that can't be read.
const WORDS: usize = 80;

/// The most settings and sections.
const ITEMS: usize = 10_000;

/// Takes `bytes` apart.
#[must_use]
pub fn parse(bytes: &[u8]) -> Config {
    let mut config = Config {
        sections: vec![Section::default()],
        len: bytes.len(),
        is_open: !bytes.is_empty() && !bytes.ends_with(b"\n"),
        ..Config::default()
    };
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    (config.sections[0].own_end, config.sections[0].end) = (mark, mark);
    let lines = lines(bytes, mark);
    let mut current = 0;
    let mut index = 0;
    while index < lines.len() {
        let (number, span) = (index + 1, lines[index].clone());
        index += 1;
        let line = u32::try_from(number).unwrap_or(u32::MAX);
        let fault = |why| {
            let text = String::from_utf8_lossy(&bytes[span.clone()][..span.len().min(4 * WORDS)]).chars().take(WORDS).collect();
            Fault { line, span: span.clone(), text, why }
        };
        let Ok(text) = std::str::from_utf8(&bytes[span.clone()]) else {
            config.faults.push(fault("not UTF-8"));
            continue;
        };
        if text.len() > LINE || config.settings.len() + config.sections.len() > ITEMS {
            config.faults.push(fault(TOO_MUCH));
            break;
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        if let Some((depth, closing, name)) = header(text) {
            match open(&config, current, depth, closing, &name) {
                Ok(path) => {
                    config.sections.push(Section { path, line, own_end: span.end, end: span.end });
                    current = config.sections.len() - 1;
                    grow(&mut config, current, span.end, false);
                }
                Err(why) => config.faults.push(fault(why)),
            }
            continue;
        }
        let Some((key, at)) = key(text) else {
            config.faults.push(fault("neither section nor setting"));
            continue;
        };
        let from = span.start + at;
        let rest = &text[at..];
        let mut whole = span.clone();
        let found = match ["\"\"\"", "'''"].into_iter().find(|q| rest.starts_with(q)) {
            Some(quote) => multiline(bytes, &lines, from, index, quote).map(|(value, length, next)| {
                index = next;
                whole.end = lines[next - 1].end;
                (Value::One(value), length)
            }),
            None => value(rest),
        };
        let Some((value, length)) = found else {
            config.faults.push(fault("a value that can't be read"));
            continue;
        };
        if is_taken(&config, current, &key) {
            config.faults.push(fault("a key that was there already"));
            continue;
        }
        config.settings.push(Setting {
            section: current,
            key,
            value,
            line,
            span: whole.clone(),
            value_span: from..from + length,
        });
        grow(&mut config, current, whole.end, true);
    }
    config
}

/// A section has something up to `end`; so have those around it.
fn grow(config: &mut Config, section: usize, end: usize, own: bool) {
    let path = config.sections[section].path.clone();
    if own {
        config.sections[section].own_end = end;
    }
    for around in &mut config.sections {
        // The top level is no longer added to, once a section began.
        if !around.path.is_empty() && path.starts_with(&around.path) || path.is_empty() && around.path.is_empty() {
            around.end = end;
        }
    }
}

/// The lines with their ends.
fn lines(bytes: &[u8], from: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = from;
    for end in memchr::memchr_iter(b'\n', bytes).map(|at| at + 1).chain([bytes.len()]) {
        if end > start {
            lines.push(start..end);
            start = end;
        }
    }
    lines
}

/// A section's header: how many brackets open and close, and the name.
fn header(line: &str) -> Option<(usize, usize, String)> {
    let rest = line.trim_start().strip_prefix('[')?;
    let mut depth = 1;
    let mut rest = rest.trim_start();
    while let Some(more) = rest.strip_prefix('[') {
        (depth, rest) = (depth + 1, more.trim_start());
    }
    let first = rest.chars().next()?;
    let quote = matches!(first, '"' | '\'').then_some(first);
    // The name ends at the first run of brackets behind which only a comment stands.
    let mut from = 0;
    while let Some(run) = rest[from..].find(']').map(|at| from + at) {
        let behind = rest[run..].trim_start_matches(|c: char| c == ']' || c.is_whitespace());
        from = rest.len() - behind.len();
        // A bracket at the very beginning is the name's.
        let Some(at) = (if run == 0 { rest[1..from].find(']').map(|at| at + 1) } else { Some(run) }) else { continue };
        let name = rest[..at].trim_end();
        let is_whole = quote.is_none_or(|q| name.len() > 2 && name.ends_with(q));
        if is_whole && (behind.is_empty() || behind.starts_with('#')) {
            let closing = rest[at..from].matches(']').count();
            return Some((depth, closing, unquoted(name)));
        }
    }
    None
}

/// The path of a section that begins here, or why it can't.
fn open(config: &Config, current: usize, depth: usize, closing: usize, name: &str) -> Result<Vec<String>, &'static str> {
    if depth != closing {
        return Err("brackets that open and close differently");
    }
    let here = &config.sections[current].path;
    if depth > here.len() + 1 {
        return Err("a section nested too deep");
    }
    let mut path = here[..depth - 1].to_vec();
    let parent = config.sections.iter().position(|s| s.path == path).unwrap_or_default();
    if is_taken(config, parent, name) {
        return Err("a section that was there already");
    }
    path.push(name.to_owned());
    Ok(path)
}

/// Whether a section has a setting or a section of this name.
fn is_taken(config: &Config, section: usize, name: &str) -> bool {
    let path = &config.sections[section].path;
    let inner =
        |s: &Section| s.path.len() == path.len() + 1 && s.path.starts_with(path) && s.path.last().is_some_and(|n| n == name);
    config.settings.iter().any(|s| s.section == section && s.key == name) || config.sections.iter().any(inner)
}

/// The key, and where its value begins.
fn key(line: &str) -> Option<(String, usize)> {
    let start = line.len() - line.trim_start().len();
    // Where nothing fits without the blanks before it, the last of them is taken for a part of the key.
    key_from(line, start).or_else(|| key_from(line, line[..start].char_indices().next_back()?.0))
}

/// The key that begins here, if one does.
fn key_from(line: &str, start: usize) -> Option<(String, usize)> {
    let text = &line[start..];
    let first = text.chars().next().filter(|c| *c != '=')?;
    let equals = text.match_indices('=').map(|(at, _)| at);
    let mut fit = equals.filter(|at| match first {
        '"' | '\'' => text[..*at].trim_end().len() > 1 && text[..*at].trim_end().ends_with(first),
        _ => true,
    });
    let at = fit.next()?;
    let behind = &text[at + 1..];
    let value = start + at + 1 + (behind.len() - behind.trim_start().len());
    // The first character belongs to the key, a blank too.
    let key = text[..at].trim_end();
    let key = if key.is_empty() { &text[..first.len_utf8()] } else { key };
    Some((unquoted(key), value))
}

fn unquoted(text: &str) -> String {
    let same = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if same('"') || same('\'') { text[1..text.len() - 1].to_owned() } else { text.to_owned() }
}

/// A value in three quotes, which may go over lines: the string, its length in bytes, and the line after it.
fn multiline(bytes: &[u8], lines: &[Range<usize>], from: usize, next: usize, quote: &str) -> Option<(String, usize, usize)> {
    let text = |range: Range<usize>| std::str::from_utf8(bytes.get(range)?).ok().map(|t| t.trim_end_matches(['\r', '\n']));
    let is_end = |tail: &str| tail.trim_start().is_empty() || tail.trim_start().starts_with('#');
    let mut out = String::new();
    for (index, whole) in lines.iter().enumerate().skip(next - 1) {
        let first = index == next - 1;
        let start = if first { from + quote.len() } else { whole.start };
        let line = text(start..whole.end)?;
        // Of four quotes the first belongs to the text.
        let mut quotes = line.char_indices().map(|(at, _)| at).filter(|at| line[*at..].starts_with(quote));
        let end = quotes.find(|at| is_end(&line[at + quote.len()..]));
        if let Some(at) = end {
            out.push_str(&line[..at]);
            return Some((out, start + at + quote.len() - from, index + 1));
        }
        // Quotes that close and are followed by something are refused on the first line.
        if first && line.contains(quote) {
            return None;
        }
        out.push_str(line);
        out.push('\n');
    }
    None
}

/// A value on one line: what it is, and its length in bytes without a comment.
fn value(text: &str) -> Option<(Value, usize)> {
    if let Some(rest) = text.strip_prefix(',')
        && is_comment(rest)
    {
        return Some((Value::Many(Vec::new()), 1));
    }
    let (mut items, single, length) = items(text)?;
    let value = match (items.is_empty(), single) {
        (true, single) => Value::One(single.unwrap_or_default()),
        (false, single) => {
            // The empty string behind the last comma is none.
            items.extend(single.filter(|s| !s.is_empty()));
            Value::Many(items.iter().map(|item| unquoted(item)).collect())
        }
    };
    Some((if let Value::One(text) = value { Value::One(unquoted(&text)) } else { value }, length))
}

fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// An item that begins somewhere, and the ends that are still to be tried.
struct Item<'t> {
    at: usize,
    end: usize,
    ends: Ends<'t>,
}

type Ends<'t> = Box<dyn Iterator<Item = usize> + 't>;

/// As many items with a comma behind them as possible, then the last one, and the length. Where the ends that are preferred come to
/// nothing, the next ones are tried.
fn items(text: &str) -> Option<(Vec<String>, Option<String>, usize)> {
    let item = |at: usize| Item { at, end: at, ends: ends(&text[at..], false) };
    // Places from which no list goes on to the end.
    let mut hopeless = BTreeSet::new();
    let mut stack = vec![item(0)];
    while let Some(current) = stack.last_mut() {
        let at = current.at;
        let mut commas = current.ends.by_ref().filter_map(|end| {
            let more = text[at + end..].trim_start().strip_prefix(',')?;
            Some((at + end, text.len() - more.trim_start().len()))
        });
        match commas.find(|(_, next)| !hopeless.contains(next)) {
            Some((end, next)) => {
                current.end = end;
                stack.push(item(next));
            }
            None => {
                stack.pop();
                if let Some((single, length)) = last(text, at) {
                    return Some((stack.iter().map(|i| text[i.at..i.end].to_owned()).collect(), single, length));
                }
                hopeless.insert(at);
            }
        }
    }
    None
}

/// The last item, which has no comma behind it, and the length.
fn last(text: &str, at: usize) -> Option<(Option<String>, usize)> {
    let rest = &text[at..];
    if let Some(end) = ends(rest, true).find(|end| is_comment(&rest[*end..])) {
        return Some((Some(rest[..end].to_owned()), at + end));
    }
    let length = text[..at].trim_end().len();
    is_comment(rest).then_some((None, length))
}

/// Where an item that begins here may end, the preferred end first.
fn ends(text: &str, last: bool) -> Ends<'_> {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => Box::new(text[1..].match_indices(quote).map(|(at, _)| at + 2)),
        None | Some(',' | '#') => Box::new(std::iter::empty()),
        Some(c) if last && c.is_whitespace() => Box::new(std::iter::empty()),
        Some(_) => {
            // One end is enough: the next comma, comment or end of line, without the blanks before it.
            let stop = text.find([',', '#']).unwrap_or(text.len());
            let trimmed = text[..stop].trim_end().len();
            Box::new(std::iter::once(if trimmed == 0 { stop } else { trimmed }))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONF: &str = "\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/a.test

# Options used in the renewal process
[renewalparams]
authenticator = webroot # as it was
webroot_path = /var/www/a, \"/var/www/b,c\"
renew_hook = nginx -t && systemctl reload nginx
[[webroot_map]]
a.test = /var/www/a
[acme_renewal_info]
ari_retry_after = 2026-11-22T06:30:56
";

    fn spliced(text: &str, (at, with): Replacement) -> String {
        let mut bytes = text.as_bytes().to_vec();
        bytes.splice(at, with);
        String::from_utf8(bytes).expect("text")
    }
    use crate::facts::renewal::config::Replacement;

    #[test]
    fn reads_what_certbot_writes() {
        let config = parse(CONF.as_bytes());
        assert_eq!(config.faults, []);
        assert_eq!(config.text(&[], "version"), Some("2.1.0"));
        assert_eq!(config.get(&[], "renew_before_expiry"), None);
        let authenticator = config.get(&["renewalparams"], "authenticator").expect("a setting");
        assert_eq!((&CONF[authenticator.value_span.clone()], authenticator.line), ("webroot", 7));
        let path = config.get(&["renewalparams"], "webroot_path").map(|s| s.value.strings());
        assert_eq!(path, Some(vec!["/var/www/a", "/var/www/b,c"]));
        assert_eq!(config.text(&["renewalparams", "webroot_map"], "a.test"), Some("/var/www/a"));
        assert_eq!(config.text(&["acme_renewal_info"], "ari_retry_after"), Some("2026-11-22T06:30:56"));
    }

    #[test]
    fn a_change_keeps_every_other_byte() {
        let config = parse(CONF.as_bytes());
        let params: &[&str] = &["renewalparams"];
        let one = |text: &str| Value::One(text.into());
        let set = |key: &str, value: &Value| spliced(CONF, config.set(params, key, value).expect("a section"));
        assert_eq!(set("authenticator", &one("nginx")), CONF.replace("webroot # as", "nginx # as"));
        let hook = "renew_hook = nginx -t && systemctl reload nginx\n";
        assert_eq!(set("autorenew", &one("True")), CONF.replace(hook, &format!("{hook}autorenew = True\n")));
        assert_eq!(spliced(CONF, config.remove(params, "renew_hook").expect("there")), CONF.replace(hook, ""));
        assert_eq!(config.insert_with_section(params, &[], "webroot_map", &[]), None);
        let (plain, _) = CONF.split_once("[[").expect("an inner section");
        let plain = &plain[..plain.len() - 1];
        let bare = parse(plain.as_bytes());
        let added = bare.insert_with_section(params, &[("x", &Value::list_of("y"))], "webroot_map", &[("b", &one("z"))]);
        assert_eq!(spliced(plain, added.expect("a section")), format!("{plain}\nx = y,\n[[webroot_map]]\nb = z"));
    }

    #[test]
    fn what_configobj_refuses_is_told_with_its_line() {
        let faults = |text: &str| parse(text.as_bytes()).faults.into_iter().map(|f| (f.line, f.why)).collect::<Vec<_>>();
        assert_eq!(faults("a = 1\n[[[broken\n"), [(2, "neither section nor setting")]);
        assert_eq!(faults("a = 1\na = 2\n"), [(2, "a key that was there already")]);
        assert_eq!(faults("[a]\n[a]\n"), [(2, "a section that was there already")]);
        assert_eq!(faults("[[a]]\n"), [(1, "a section nested too deep")]);
        assert_eq!(faults("[a]]\n"), [(1, "brackets that open and close differently")]);
        assert_eq!(faults("a = \"x\n"), [(1, "a value that can't be read")]);
        assert_eq!(parse(b"a = \xff\n").faults[0].why, "not UTF-8");
        assert_eq!(faults("a = '''x\ny''' # z\nb = ,\nc =\n"), []);
    }

    /// Each took minutes, gigabytes or the whole stack once.
    #[test]
    fn a_line_made_to_take_long_is_read_or_refused() {
        for line in [
            format!("x = {}", "a,".repeat(LINE / 2 - 10)),
            format!("x = {}", "\",".repeat(LINE / 2 - 10)),
            format!("x = {}", "\"a\",".repeat(LINE / 4 - 10)),
            format!("[a{}x", "]".repeat(LINE - 10)),
            format!("[a{}x", "] ".repeat(LINE / 2 - 10)),
            format!("{}a", "[".repeat(LINE - 10)),
        ] {
            assert!(line.len() < LINE);
            let config = parse(format!("{line}\n").repeat(30).as_bytes());
            assert!(config.settings.len() + config.faults.len() >= 30, "{}", &line[..10]);
        }
    }

    #[test]
    fn a_header_ends_at_the_brackets_before_a_comment() {
        let sections =
            |text: &str| parse(text.as_bytes()).sections.into_iter().skip(1).map(|s| s.path.concat()).collect::<Vec<_>>();
        assert_eq!(sections("[a] # x]\n[b]c]\n[]]\n[\"d]\"]\n[e] ]\n"), ["a", "b]c", "]", "d]"]);
    }

    const LINES: &[&str] = &[
        "a = 1\n",
        "b = 'x, y', z # c\n",
        "c = \n",
        "\"d e\" = ,\n",
        "# x\n",
        "\n",
        "f = '''one\ntwo''' # c\n",
        "[s]\n",
        "[t] # c\n",
        "g = a = b\r\n",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_and_written_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let config = parse(&bytes);
            for setting in &config.settings {
                prop_assert!(setting.value_span.end <= setting.span.end && setting.span.end <= bytes.len());
            }
        }

        #[test]
        fn a_setting_that_was_set_is_read_back(
            lines in proptest::collection::vec(proptest::sample::select(LINES), 0..8),
            value in "[a-z ,#']{0,12}",
        ) {
            let value = Value::One(value);
            let text = lines.concat();
            let config = parse(text.as_bytes());
            // Only a name that is there twice is a fault of such lines.
            let once = config.faults.iter().all(|f| f.why.ends_with("already"));
            prop_assert!(once, "{:?}", config.faults);
            prop_assume!(config.faults.is_empty());
            let (at, with) = config.set(&[], "zz", &value).expect("the top level");
            let mut bytes = text.clone().into_bytes();
            bytes.splice(at, with);
            let after = parse(&bytes);
            prop_assert!(after.faults.is_empty(), "{:?}", after.faults);
            prop_assert_eq!(after.get(&[], "zz").map(|s| &s.value), Some(&value));
            let kept: Vec<_> = after.settings.iter().filter(|s| s.key != "zz").map(|s| (&s.key, &s.value)).collect();
            let had: Vec<_> = config.settings.iter().map(|s| (&s.key, &s.value)).collect();
            prop_assert_eq!(kept, had);
        }
    }
}
