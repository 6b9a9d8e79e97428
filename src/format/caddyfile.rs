//! The Caddyfile, as far as words, blocks and lines (caddyserver.com/docs/caddyfile/concepts#structure). What a directive means is for
//! the reader of its file.

/// A word and the line that it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Without its quotes.
    pub text: String,
    /// From 1.
    pub line: u32,
}

/// One directive with its words, and its block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directive {
    /// The words up to the brace or the line's end; none for the global options.
    pub words: Vec<Word>,
    /// What stands between its braces.
    pub block: Vec<Directive>,
}

/// The deepest block that is read.
const DEPTH: usize = 32;

/// The directives of a file. What can't be understood is left out; no input is an error.
#[must_use]
pub fn parse(text: &str) -> Vec<Directive> {
    let words = words(text);
    let mut at = 0;
    block(&words, &mut at, 0)
}

fn block(words: &[Word], at: &mut usize, depth: usize) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut directive = Directive::default();
    while let Some(word) = words.get(*at) {
        let starts_line = directive.words.last().is_some_and(|last| last.line != word.line);
        if starts_line {
            found.push(std::mem::take(&mut directive));
        }
        *at += 1;
        match word.text.as_str() {
            "}" => break,
            // Nobody nests so deep, and a hostile file may: it ends here.
            "{" if depth == DEPTH => *at = words.len(),
            "{" => {
                directive.block = block(words, at, depth + 1);
                found.push(std::mem::take(&mut directive));
            }
            _ => directive.words.push(word.clone()),
        }
    }
    if !directive.words.is_empty() {
        found.push(directive);
    }
    found
}

/// Words as Caddy's lexer takes them: quotes `"…"` with `\"`, backquotes, `#` at a word's beginning comments the rest of the line out, and a
/// backslash at a line's end joins it with the next.
fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut line = 1;
    // Lines that are joined count as the first of them.
    let mut joined = 0;
    while let Some(c) = chars.next() {
        match c {
            '\n' => (line, joined) = (line + 1 + joined, 0),
            c if c.is_whitespace() => {}
            '\\' if chars.peek() == Some(&'\n') => {
                chars.next();
                joined += 1;
            }
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            quote @ ('"' | '`') => {
                let begins = line;
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        c if c == quote => break,
                        '\\' if quote == '"' && chars.peek() == Some(&'"') => text.extend(chars.next()),
                        c => {
                            line += u32::from(c == '\n');
                            text.push(c);
                        }
                    }
                }
                found.push(Word { text, line: begins });
            }
            c => {
                let mut text = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    text.push(c);
                }
                found.push(Word { text, line });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(directive: &Directive) -> Vec<&str> {
        directive.words.iter().map(|w| w.text.as_str()).collect()
    }

    #[test]
    fn global_options_and_sites_are_told_apart() {
        let file = "{\n\temail ops@example.test # who\n\tstorage file_system {\n\t\troot \"/srv/my certs\"\n\t}\n}\n\nexample.test, www.example.test {\n\trespond \"a \\\"b\\\" {x}\"\n}\n";
        let found = parse(file);
        assert_eq!(found.len(), 2);
        assert!(found[0].words.is_empty());
        assert_eq!(texts(&found[0].block[0]), ["email", "ops@example.test"]);
        assert_eq!(texts(&found[0].block[1]), ["storage", "file_system"]);
        assert_eq!(texts(&found[0].block[1].block[0]), ["root", "/srv/my certs"]);
        assert_eq!(found[0].block[1].block[0].words[1].line, 4);
        assert_eq!(texts(&found[1]), ["example.test,", "www.example.test"]);
        assert_eq!(texts(&found[1].block[0]), ["respond", "a \"b\" {x}"]);
    }

    #[test]
    fn lines_may_be_joined_and_a_short_file_has_no_braces() {
        assert_eq!(
            parse("a.test\nrespond \\\n  hi\n").iter().map(texts).collect::<Vec<_>>(),
            [vec!["a.test"], vec!["respond", "hi"]]
        );
        assert_eq!(parse("}").len(), 0);
        assert_eq!(parse("").len(), 0);
    }

    #[test]
    fn braces_without_end_are_no_trouble() {
        assert!(parse(&"{ ".repeat(100_000)).len() <= 1);
        assert!(parse(&"} ".repeat(1000)).is_empty());
    }
}
