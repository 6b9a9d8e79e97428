//! Which words of an instruction open here-documents.
//!
//! As BuildKit finds them: `heredocsFromLine` (`frontend/dockerfile/parser/parser.go`) over the words of `frontend/dockerfile/shell/lex.go`,
//! both of 0.22. Buildah (imagebuilder) has the same code, but older: it knows no blank after `<<`.

use std::{iter::Peekable, str::Chars};

/// A word that opens a here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// The word that ends it.
    pub(super) name: String,
    /// `<<-`.
    pub(super) chomp: bool,
    /// See [`super::Heredoc::quoted`].
    pub(super) quoted: bool,
    /// `<< NAME`: older builders take it for the shell's own, and the lines after it for instructions. So is `$((1 << 2))`.
    pub(super) spaced: bool,
}

/// The here-documents that `line` opens, in order.
pub(super) fn openings(line: &str) -> Vec<Opening> {
    // A line that BuildKit's lexer can't take apart opens none.
    let words = if line.contains("<<") { words(line) } else { None };
    words.unwrap_or_default().iter().filter_map(|word| opening(word)).collect()
}

/// `N<<[-]NAME` as a whole word, so that `cat<<EOF` and `<<<word` are none.
fn opening(word: &str) -> Option<Opening> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let written = rest.trim_start();
    let (name, quoted) = unquoted(written);
    let opens = !name.is_empty() && !written.contains('<');
    opens.then_some(Opening { name, chomp, quoted, spaced: written.len() < rest.len() })
}

/// A word without its quotes and escapes, and whether it had quotes: an escape alone does not count, unlike in a shell.
fn unquoted(word: &str) -> (String, bool) {
    let mut out = String::new();
    let mut quoted = false;
    let mut quote = None;
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => (quote, quoted) = (Some(c), true),
            (None, '\\') => out.extend(rest.next()),
            (Some('"'), '\\') => out.push(rest.next_if(|c| matches!(c, '"' | '$' | '\\')).unwrap_or(c)),
            _ => out.push(c),
        }
    }
    (out, quoted)
}

/// Splits at white space outside of quotes; quotes, escapes and variables stay as they are. `None` where a quote or a `${` has no end, or
/// a `${` is none that BuildKit knows.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    // What ends the quotes and braces that are open, and how many of them are quotes.
    let mut open = Vec::new();
    let mut quotes = 0usize;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let in_quotes = open.last() == Some(&'"');
        if c.is_whitespace() && quotes == 0 {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(c);
        match c {
            _ if open.last() == Some(&c) => {
                open.pop();
                quotes -= usize::from(c == '"');
            }
            '"' => {
                open.push('"');
                quotes += 1;
            }
            '\'' if !in_quotes => loop {
                let c = rest.next()?;
                word.push(c);
                if c == '\'' {
                    break;
                }
            },
            '\\' if !in_quotes => word.extend(rest.next()),
            '\\' => word.extend(rest.next_if(|c| matches!(c, '"' | '$' | '\\'))),
            '$' => {
                if rest.next_if_eq(&'{').is_some() {
                    word.push('{');
                    if substitution(&mut rest, &mut word)? {
                        open.push('}');
                    }
                } else {
                    word.extend(rest.next_if(|c| is_special(*c)));
                }
            }
            '<' if !in_quotes && rest.next_if_eq(&'<').is_some() => {
                word.push('<');
                while let Some(blank) = rest.next_if(|c| matches!(c, ' ' | '\t')) {
                    word.push(blank);
                }
            }
            _ => {}
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    open.is_empty().then_some(words)
}

/// Goes on after `${`: the name, and what follows it. Whether the brace is still open; `None` where BuildKit gives up.
fn substitution(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Option<bool> {
    if matches!(rest.peek()?, '{' | '}' | ':') {
        return None;
    }
    match rest.next_if(|c| is_special(*c)) {
        Some(special) => word.push(special),
        None => {
            while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
        }
    }
    let modifier = rest.next()?;
    word.push(modifier);
    match modifier {
        '}' => Some(false),
        ':' => {
            word.push(rest.next()?);
            Some(true)
        }
        '+' | '-' | '?' | '#' | '%' | '/' => Some(true),
        _ => None,
    }
}

/// `$@` and the like: a name of one character.
fn is_special(c: char) -> bool {
    matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!' | '0')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAME`, with `-` before it where tabs go, `'` where it was quoted, and a blank where one stood after `<<`.
    fn told(line: &str) -> Vec<String> {
        let mark = |on: bool, mark: &str| if on { mark.to_owned() } else { String::new() };
        let tell = |o: Opening| mark(o.spaced, " ") + &mark(o.chomp, "-") + &mark(o.quoted, "'") + &o.name;
        openings(line).into_iter().map(tell).collect()
    }

    /// Each of these was given to buildah 1.39 too (`tests/images`), but for the blank after `<<`.
    #[test]
    fn words_that_open_here_documents() {
        let cases: &[(&str, &[&str])] = &[
            ("RUN <<EOF", &["EOF"]),
            ("RUN <<-EOF bash", &["-EOF"]),
            ("RUN cat <<A - 3<<-\"B\" >x <<'C D'", &["A", "-'B", "'C D"]),
            (r"RUN <<eo\'f", &["eo'f"]),
            (r"RUN <<\EOF", &["EOF"]),
            (r#"RUN <<"e\o\"f""#, &[r#"'e\o"f"#]),
            ("RUN <<e'o'f", &["'eof"]),
            ("RUN <<$X", &["$X"]),
            ("COPY <<a <<b /", &["a", "b"]),
            ("RUN cat<<EOF; cat <<<EOF; cat <<", &[]),
            ("RUN echo \"a <<EOF\" 'b <<EOF'", &[]),
            ("RUN <<EOF echo ${X:-/a} ${Y%%.*} ${Z:1:2} \"${W}\" $$ ${@} $'a'", &["EOF"]),
            ("RUN <<EOF echo it's", &[]),
            ("RUN <<EOF echo \"a", &[]),
            ("RUN <<EOF echo ${X", &[]),
            ("RUN <<EOF echo ${X^^}", &[]),
            ("RUN <<EOF echo \"${#X}\"", &[]),
            ("RUN cat << EOF >x", &[" EOF"]),
            ("RUN cat <<- EOF", &[]),
            ("RUN echo $((1 << 2))", &[" 2))"]),
        ];
        for (line, expected) in cases {
            assert_eq!(told(line), *expected, "{line}");
        }
        // Any depth.
        assert_eq!(told(&format!("RUN <<E {}x{}", "${a:-\"".repeat(100_000), "\"}".repeat(100_000))), ["E"]);
    }
}
