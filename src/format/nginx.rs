//! nginx's configuration grammar, as `ngx_conf_read_token` in src/core/ngx_conf_file.c reads it; OpenResty, Tengine and NJet share it.
//!
//! Every byte that is not white space or a comment belongs to a directive's span, and every word tells where it stands, so that an edit
//! changes nothing else. A block whose name ends in `_by_lua_block` holds Lua and is passed over as lua-nginx-module does.
//!
//! Absent on purpose: includes (they need files), and any list of directives.

use std::ops::Range;

use crate::facts::renewal::nginx::{Block, Directive, Word};

/// Blocks in blocks that are read. Real configurations have five or six; nginx itself sets no limit.
const DEPTH: usize = 64;

/// Directives of one file that are read; lists of networks for `geo` have tens of thousands.
const DIRECTIVES: usize = 500_000;

/// The longest word: nginx's buffer (`NGX_CONF_BUFFER`).
const WORD: usize = 4096;

/// What stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The directives, as far as they could be read.
    pub directives: Vec<Directive>,
    /// Line, and what is wrong there; nginx stops at the first.
    pub defects: Vec<(u32, String)>,
    /// Line, and which bound of this reader stopped it there; nginx reads on.
    pub stopped: Option<(u32, String)>,
}

/// Reads a file; `file` is the number that its directives carry.
#[must_use]
pub fn parse(bytes: &[u8], file: usize) -> Parsed {
    let mut reader = Reader { bytes, at: 0, line: 1, counted: 0, file };
    let mut out = Parsed::default();
    // The open blocks: each with what stands before it.
    let mut open: Vec<(Directive, Vec<Directive>)> = Vec::new();
    let mut count = 0;
    loop {
        let token = reader.directive();
        match token {
            Ok(Token::Simple(directive)) => out.directives.push(directive),
            Ok(Token::Open(directive)) if open.len() == DEPTH => {
                out.stopped = Some((directive.line, format!("blocks are nested more than {DEPTH} deep")));
                break;
            }
            Ok(Token::Open(directive)) => open.push((directive, std::mem::take(&mut out.directives))),
            Ok(Token::Close) => match open.pop() {
                Some((mut directive, before)) => {
                    let inner = std::mem::replace(&mut out.directives, before);
                    directive.span.end = reader.at;
                    let start = directive.block.as_ref().map_or(reader.at, |b| b.inner.start);
                    directive.block = Some(Block { inner: start..reader.at - 1, directives: inner });
                    out.directives.push(directive);
                }
                None => {
                    out.defects.push((reader.line_at(reader.at), "unexpected \"}\"".to_owned()));
                    break;
                }
            },
            Ok(Token::End) if open.is_empty() => break,
            Ok(Token::End) => {
                out.defects.push((reader.line_at(bytes.len()), "unexpected end of file, expecting \"}\"".to_owned()));
                break;
            }
            Err(what) => {
                out.defects.push((reader.line_at(reader.at), what));
                break;
            }
        }
        count += 1;
        if count == DIRECTIVES {
            out.stopped = Some((reader.line_at(reader.at), format!("more than {DIRECTIVES} directives in one file")));
            break;
        }
    }
    // What was read of blocks that never end is kept for people; nobody judges by it, since there is a defect.
    while let Some((mut directive, before)) = open.pop() {
        let inner = std::mem::replace(&mut out.directives, before);
        directive.block = Some(Block { inner: directive.span.end..bytes.len(), directives: inner });
        out.directives.push(directive);
    }
    out
}

enum Token {
    Simple(Directive),
    Open(Directive),
    Close,
    End,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The line at [`Self::counted`].
    line: u32,
    counted: usize,
    file: usize,
}

impl Reader<'_> {
    /// The line at an offset; offsets are asked in rising order.
    fn line_at(&mut self, at: usize) -> u32 {
        let at = at.min(self.bytes.len());
        if at > self.counted {
            let newlines = memchr::memchr_iter(b'\n', &self.bytes[self.counted..at]).count();
            self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            self.counted = at;
        }
        self.line
    }

    /// Reads to the next `;`, `{` or `}`.
    fn directive(&mut self) -> Result<Token, String> {
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.skip_space();
            let Some(&byte) = self.bytes.get(self.at) else {
                return match words.is_empty() {
                    true => Ok(Token::End),
                    false => Err("unexpected end of file, expecting \";\" or \"}\"".to_owned()),
                };
            };
            match byte {
                b';' | b'{' if words.is_empty() => return Err(format!("unexpected \"{}\"", char::from(byte))),
                b'}' if !words.is_empty() => return Err("unexpected \"}\"".to_owned()),
                b'}' => {
                    self.at += 1;
                    return Ok(Token::Close);
                }
                b';' | b'{' => return self.end(words),
                _ => {
                    words.push(self.word()?);
                    // A quoted word may touch only what ends or parts words, and a closing bracket (`if ($a = "b")`).
                    let quoted = words.last().is_some_and(|w| matches!(self.bytes[w.span.start], b'"' | b'\''));
                    match self.bytes.get(self.at) {
                        Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') | None => {}
                        Some(other) if quoted => return Err(format!("unexpected \"{}\"", char::from(*other).escape_default())),
                        Some(_) => {}
                    }
                }
            }
        }
    }

    fn end(&mut self, words: Vec<Word>) -> Result<Token, String> {
        let block = self.bytes[self.at] == b'{';
        self.at += 1;
        let start = words.first().map_or(self.at, |w| w.span.start);
        let line = self.line_at(start);
        let mut words = words;
        // There may be hundreds of thousands.
        words.shrink_to_fit();
        let mut directive = Directive { words, file: self.file, line, span: start..self.at, block: None };
        if !block {
            return Ok(Token::Simple(directive));
        }
        if directive.name().ends_with("_by_lua_block") {
            let end = lua_end(self.bytes, self.at).ok_or("unexpected end of file, expecting \"}\" of a Lua block")?;
            directive.block = Some(Block { inner: self.at..end, directives: Vec::new() });
            self.at = end + 1;
            directive.span.end = self.at;
            return Ok(Token::Simple(directive));
        }
        directive.block = Some(Block { inner: self.at..self.at, directives: Vec::new() });
        Ok(Token::Open(directive))
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' => self.at = memchr::memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |n| self.at + n + 1),
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Result<Word, String> {
        let start = self.at;
        let quote = Some(self.bytes[start]).filter(|b| matches!(b, b'"' | b'\''));
        let from = start + usize::from(quote.is_some());
        let mut at = from;
        let mut after_dollar = false;
        let end = loop {
            let Some(&byte) = self.bytes.get(at) else {
                self.at = self.bytes.len();
                return Err(match quote {
                    Some(quote) => {
                        format!("unexpected end of file, expecting the closing \"{}\"", char::from(quote).escape_default())
                    }
                    None => "unexpected end of file, expecting \";\" or \"}\"".to_owned(),
                });
            };
            match byte {
                b'\\' => at += 1,
                b'{' if after_dollar => {}
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' if quote.is_none() => break at,
                _ if quote == Some(byte) => break at,
                _ => {}
            }
            after_dollar = byte == b'$';
            at += 1;
        };
        let end = end.min(self.bytes.len());
        if end - from >= WORD {
            return Err("too long parameter".to_owned());
        }
        self.at = end + usize::from(quote.is_some());
        Ok(Word { text: unescaped(&self.bytes[from..end]), span: start..self.at })
    }
}

/// Takes out the backslashes that nginx takes out: before quotes and backslashes, and in `\t`, `\r`, `\n`. Others stay, for regular
/// expressions.
fn unescaped(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, more)) = rest.split_first() {
        let replaced = match (byte, more.first()) {
            (b'\\', Some(&next @ (b'"' | b'\'' | b'\\'))) => Some(next),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            _ => None,
        };
        out.push(replaced.unwrap_or(byte));
        rest = if replaced.is_some() { &more[1..] } else { more };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the brace stands that closes a block of Lua: strings, long brackets and comments hide braces (lua-nginx-module,
/// src/ngx_http_lua_lex.c).
fn lua_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'"' | b'\'' => at = quoted_end(bytes, at)?,
            b'[' => at = long_bracket(bytes, at)?.map_or(at, |end| end - 1),
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += 2;
                let long = if bytes.get(at) == Some(&b'[') { long_bracket(bytes, at)? } else { None };
                at = match long {
                    Some(end) => end - 1,
                    None => at + memchr::memchr(b'\n', bytes.get(at..)?)?,
                };
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The closing quote of a Lua string.
fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            byte if *byte == bytes[start] => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// Behind the end of a long bracket (`[[ … ]]`, `[=[ … ]=]`) that begins here: `Some(None)` when none does, `None` when it never ends.
fn long_bracket(bytes: &[u8], start: usize) -> Option<Option<usize>> {
    let equals = bytes[start + 1..].iter().take_while(|b| **b == b'=').count();
    if bytes.get(start + 1 + equals) != Some(&b'[') {
        return Some(None);
    }
    let close = [b"]".as_slice(), &vec![b'='; equals], b"]"].concat();
    let inner = start + 2 + equals;
    memchr::memmem::find(&bytes[inner..], &close).map(|n| Some(inner + n + close.len()))
}

/// The text of a word as it must be written to be read back: in double quotes where it needs some.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, ';' | '{' | '}' | '"' | '\'' | '\\' | '#');
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// The white space with which the line at this offset begins.
#[must_use]
pub fn indentation(bytes: &[u8], at: usize) -> &[u8] {
    let start = memchr::memrchr(b'\n', &bytes[..at.min(bytes.len())]).map_or(0, |n| n + 1);
    let len = bytes[start..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &bytes[start..start + len]
}

/// The whole lines that a span fills, if nothing else stands there: for taking it out.
#[must_use]
pub fn whole_lines(bytes: &[u8], span: &Range<usize>) -> Option<Range<usize>> {
    let start = memchr::memrchr(b'\n', &bytes[..span.start]).map_or(0, |n| n + 1);
    let end = memchr::memchr(b'\n', &bytes[span.end..]).map_or(bytes.len(), |n| span.end + n + 1);
    let blank = |range: Range<usize>| bytes[range].iter().all(u8::is_ascii_whitespace);
    (blank(start..span.start) && blank(span.end..end)).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The directives in one line: words in brackets, blocks in braces.
    fn shown(directives: &[Directive]) -> String {
        let one = |d: &Directive| {
            let words: Vec<&str> = d.words.iter().map(|w| w.text.as_str()).collect();
            let block = d.block.as_ref().map_or(String::new(), |b| format!("{{{}}}", shown(&b.directives)));
            format!("[{}]{block}", words.join("|"))
        };
        directives.iter().map(one).collect()
    }

    fn words(text: &str) -> String {
        let parsed = parse(text.as_bytes(), 0);
        assert_eq!(parsed.defects, []);
        shown(&parsed.directives)
    }

    #[test]
    fn words_are_parted_as_nginx_parts_them() {
        assert_eq!(words("a b  c;\n#x;\nd{e;}"), "[a|b|c][d]{[e]}");
        assert_eq!(words(r#"a "b c" 'd "e' "f\"g" \.h\\ i"j;"#), "[a|b c|d \"e|f\"g|\\.h\\|i\"j]");
        assert_eq!(words("a ${b}c $d;e#f g;"), "[a|${b}c|$d][e#f|g]");
        assert_eq!(words(r#"if ($a = "b"){return 1;}"#), r#"[if|($a|=|b|)]{[return|1]}"#);
        assert_eq!(words("if ($http_x ~* \"a{2}\") {}"), "[if|($http_x|~*|a{2}|)]{}");
        assert_eq!(words("a \\;b \\ c;"), "[a|\\;b|\\ c]");
        assert_eq!(words("map $a $b { '' x; default \"\"; }"), "[map|$a|$b]{[|x][default|]}");
    }

    #[test]
    fn lua_is_passed_over() {
        let lua = "content_by_lua_block { x = \"}\" -- }\n y = [=[ ]] } ]=] z = {1} --[[ } ]] w = '\\'}' }\nnext;";
        assert_eq!(words(lua), "[content_by_lua_block]{}[next]");
    }

    #[test]
    fn spans_and_lines_point_into_the_file() {
        let text = "http {\n  server {\n    listen \"80\" ; # x\n  }\n}\n";
        let parsed = parse(text.as_bytes(), 3);
        let server = &parsed.directives[0].children()[0];
        let listen = &server.children()[0];
        assert_eq!((listen.file, listen.line, &text[listen.span.clone()]), (3, 3, "listen \"80\" ;"));
        assert_eq!(&text[listen.words[1].span.clone()], "\"80\"");
        assert_eq!(&text[server.span.clone()], "server {\n    listen \"80\" ; # x\n  }");
        assert_eq!(&text[server.block.as_ref().expect("a block").inner.clone()], "\n    listen \"80\" ; # x\n  ");
        assert_eq!(indentation(text.as_bytes(), listen.span.start), b"    ");
        assert_eq!(whole_lines(text.as_bytes(), &listen.span), None);
    }

    #[test]
    fn defects_have_nginxs_words() {
        let defect = |text: &str| parse(text.as_bytes(), 0).defects;
        assert_eq!(defect("a;\n}\n"), [(2, "unexpected \"}\"".to_owned())]);
        assert_eq!(defect("a"), [(1, "unexpected end of file, expecting \";\" or \"}\"".to_owned())]);
        assert_eq!(defect("a {\nb;\n"), [(3, "unexpected end of file, expecting \"}\"".to_owned())]);
        assert_eq!(defect("a;;"), [(1, "unexpected \";\"".to_owned())]);
        assert_eq!(defect("a \"b\"c;"), [(1, "unexpected \"c\"".to_owned())]);
        // A brace ends a word unless it is quoted, in a pattern too.
        assert_eq!(defect("location ~ x{1}$ { a; }\n"), [(2, "unexpected end of file, expecting \"}\"".to_owned())]);
        assert_eq!(defect("a {b"), [(1, "unexpected end of file, expecting \";\" or \"}\"".to_owned())]);
        let deep = parse("a{".repeat(1000).as_bytes(), 0);
        assert_eq!((deep.defects.len(), deep.stopped.map(|(line, _)| line)), (0, Some(1)), "nginx has no such bound");
        assert_eq!(defect(&format!("a {};", "x".repeat(5000))), [(1, "too long parameter".to_owned())]);
    }

    #[test]
    fn real_files_are_read_to_their_end() {
        let counts = ["debian-nginx.conf", "certbot-managed.conf", "slashcomment.conf"].map(|name| {
            let path = format!("{}/fixtures/renewal/nginx/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            let parsed = parse(&std::fs::read(&path).expect("a fixture"), 0);
            assert_eq!(parsed.defects, [], "{name}");
            parsed.directives.len()
        });
        // `//` begins no comment but a directive, here the only one, which nginx then does not know.
        assert_eq!(counts, [7, 2, 1]);
    }

    #[test]
    fn quotes_what_needs_it() {
        for text in ["/var/www/le t", "", "a;b", "x\"y\\z", "plain", "a#b"] {
            assert_eq!(words(&format!("root {};", quoted(text))), format!("[root|{text}]"));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(
            prop_oneof![Just(b'{'), Just(b'}'), Just(b';'), Just(b'"'), Just(b'\\'), Just(b'$'), Just(b'#'), Just(b'\n'), any::<u8>()],
            0..200,
        )) {
            let parsed = parse(&bytes, 0);
            for directive in &parsed.directives {
                prop_assert!(directive.span.end <= bytes.len());
            }
            let lua = [b"x_by_lua_block {".as_slice(), &bytes].concat();
            let _ = parse(&lua, 0);
        }
    }
}
