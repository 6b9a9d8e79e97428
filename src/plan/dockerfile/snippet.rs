//! The `RUN` instruction.

use std::fmt::Write as _;

use super::{Anchor, DockerfileError, Family};

/// What the instruction is to do, and how it is to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The image's family; see [`Family::of_image`].
    pub family: Family,
    /// What is to be removed.
    pub anchors: Vec<Anchor>,
    /// Whether the distribution's own fix, an upgrade of its package, is run first; that needs the network at build time.
    pub upgrade: bool,
    /// Whether bundles that no tool generates are cut too. Always so on Alpine, where the base image holds the bundle alone; on Debian it
    /// is needed where another stage's `/etc/ssl/certs` was copied in.
    pub cut_bundles: bool,
    /// How the text is written.
    pub layout: Layout,
}

/// How the text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The continuation character.
    pub escape: char,
    /// CR LF line ends.
    pub crlf: bool,
    /// One step of indentation.
    pub indent: String,
    /// `run` instead of `RUN`.
    pub lower_case: bool,
}

/// How a block of ours begins; the SHA-256 of each anchor follows.
pub(super) const BEGIN: &str = "certdoctor:begin";
/// How the names of our own stages begin.
pub(super) const TRUST: &str = "certdoctor-";
/// How it ends.
pub(super) const END: &str = "certdoctor:end";

/// Cuts each certificate that holds `line` out of a bundle, with its label and the blank line after it, and leaves every other byte.
/// Blank lines go out at once, so that only the text directly above a BEGIN shares its certificate's fate.
const CUT: [&str; 5] = [
    r#"$0 == "" { printf "%s", text; text = ""; if (!cut) print; cut = 0; next } "#,
    r#"{ text = text $0 ORS; cut = 0 } "#,
    r#"$0 == line { dead = 1 } "#,
    r#"/-----END / { if (!dead) printf "%s", text; text = ""; cut = dead; dead = 0 } "#,
    r#"END { printf "%s", text }"#,
];

impl Default for Layout {
    fn default() -> Self {
        Layout { escape: '\\', crlf: false, indent: "    ".to_owned(), lower_case: false }
    }
}

impl Snippet {
    /// A snippet in the usual layout, without the network.
    #[must_use]
    pub fn new(family: Family, anchors: Vec<Anchor>) -> Self {
        Snippet { family, anchors, upgrade: false, cut_bundles: false, layout: Layout::default() }
    }
}

/// The instruction, with the comments that say what it is for.
///
/// # Errors
/// [`DockerfileError`] when there is nothing to remove, when the family has no recipe, and for names that a script can't hold.
pub fn snippet(request: &Snippet) -> Result<String, DockerfileError> {
    let script = script(request)?;
    let mut out = begin(request);
    if request.upgrade {
        out.push_str(&run(request, &upgrade(request.family)));
    } else {
        let upgrade = upgrade(request.family).concat();
        let _ = writeln!(out, "# With a network, an upgrade is better still: {} {upgrade}", keyword(request, "RUN"));
    }
    out.push_str(&run(request, &script));
    let _ = writeln!(out, "# {END}");
    Ok(finish(request, out))
}

/// The same script as one text for `sh -c`: what the builder hands to the shell after it has joined the lines.
///
/// # Errors
/// As [`snippet`].
pub fn shell_script(request: &Snippet) -> Result<String, DockerfileError> {
    Ok(script(request)?.concat().replace('\u{1}', ""))
}

/// The stages through which a bundle goes whose own image has no shell: `base` as the Dockerfile writes it, `carrier` an image with a
/// shell. The text belongs before the `FROM`; [`from_trust`] belongs after it.
pub(super) fn trust_stages(request: &Snippet, base: &str, carrier: &str, suffix: &str) -> Result<String, DockerfileError> {
    check(request)?;
    let mut script = vec!["set -eu; ".to_owned()];
    script.extend(lines_assignment(&request.anchors));
    script.extend(cut_bundles());
    script.extend(verify());
    let mut out = begin(request);
    let _ = writeln!(out, "# The base image has no shell: its bundle goes through a stage that has one.");
    let _ = writeln!(out, "{} {base} {} {TRUST}base{suffix}", keyword(request, "FROM"), keyword(request, "AS"));
    let _ = writeln!(out, "{} {carrier} {} {TRUST}trust{suffix}", keyword(request, "FROM"), keyword(request, "AS"));
    let _ = writeln!(out, "{} /etc/ssl/certs/*", keyword(request, "RUN rm -rf"));
    let _ = writeln!(out, "{} --from={TRUST}base{suffix} {BUNDLE} {BUNDLE}", keyword(request, "COPY"));
    out.push_str(&run(request, &script));
    let _ = writeln!(out, "# {END}");
    Ok(finish(request, out))
}

/// The instruction that brings the patched bundle back; see [`trust_stages`].
pub(super) fn from_trust(request: &Snippet, suffix: &str) -> String {
    let mut out = begin(request);
    let _ = writeln!(out, "{} --from={TRUST}trust{suffix} {BUNDLE} {BUNDLE}", keyword(request, "COPY"));
    let _ = writeln!(out, "# {END}");
    finish(request, out)
}

/// The bundle in images of all families that have a recipe.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The comments at the top.
fn begin(request: &Snippet) -> String {
    let mut out = format!("# {BEGIN}");
    for anchor in &request.anchors {
        let _ = write!(out, " {}", anchor.fingerprint);
    }
    out.push('\n');
    for anchor in &request.anchors {
        let _ = match anchor.not_after {
            Some(at) => {
                writeln!(
                    out,
                    "# Distrust {} (not valid after {at}): some clients choose an expired root although a valid path exists.",
                    one_line(&anchor.title)
                )
            }
            None => writeln!(out, "# Distrust {}.", one_line(&anchor.title)),
        };
    }
    out
}

/// The whole script; each element becomes a line of the instruction.
fn script(request: &Snippet) -> Result<Vec<String>, DockerfileError> {
    check(request)?;
    if let Some(advice) = request.family.advice() {
        return Err(DockerfileError::Unsupported(request.family, advice));
    }
    let mut script = vec!["set -eu; ".to_owned()];
    script.extend(lines_assignment(&request.anchors));
    script.extend(deselect(&request.anchors));
    if request.cut_bundles || request.family == Family::Alpine {
        script.extend(cut_bundles());
    }
    script.extend(verify());
    Ok(script)
}

fn check(request: &Snippet) -> Result<(), DockerfileError> {
    if request.anchors.is_empty() {
        return Err(DockerfileError::NoAnchor);
    }
    // Everything that a shell or a basic regular expression takes literally, except `.`, which matches itself too.
    let plain = |c: char| c.is_alphanumeric() || "/._-=+:@~".contains(c);
    for entry in request.anchors.iter().filter_map(|a| a.entry.as_deref()) {
        if !entry.chars().all(plain) || entry.starts_with('-') {
            return Err(DockerfileError::OddName(entry.to_owned()));
        }
    }
    Ok(())
}

/// One line of each anchor's PEM form, by which it is found in files of any name.
fn lines_assignment(anchors: &[Anchor]) -> Vec<String> {
    list("lines='", anchors.iter().map(|a| a.line.clone()).collect(), "'; ", 0)
}

/// Words with something before and after them: on one line, or each on its own.
fn list(before: &str, words: Vec<String>, after: &str, steps: usize) -> Vec<String> {
    let step = |steps: usize| "\u{1}".repeat(steps);
    match &words[..] {
        [word] => vec![format!("{}{before}{word}{after}", step(steps))],
        _ => {
            let first = [format!("{}{before}", step(steps))];
            let middle = words.iter().map(|word| format!("{}{word} ", step(steps + 1)));
            first.into_iter().chain(middle).chain([format!("{}{after}", step(steps))]).collect()
        }
    }
}

/// Puts `!` before the entries and lets the distribution's tool do the rest. Only with a configuration: without one Debian's tool
/// deletes every link and Alpine's empties the bundle, both with status 0. A last line without newline is ended first, for Debian's tool
/// does not see it. An entry that is missing or commented out counts as new at the next upgrade and comes back, so it gets its `!` too.
fn deselect(anchors: &[Anchor]) -> Vec<String> {
    let names = anchors.iter().map(|anchor| match &anchor.entry {
        Some(entry) => entry.clone(),
        None => format!("$(cd /usr/share/ca-certificates && grep -rlsF '{}' * || true)", anchor.line),
    });
    let names: Vec<String> = names.collect();
    let mut script = vec![
        "conf=/etc/ca-certificates.conf; ".to_owned(),
        "if [ -s $conf ]; then ".to_owned(),
        "\u{1}if [ -n \"$(tail -c 1 $conf)\" ]; then echo >>$conf; fi; ".to_owned(),
    ];
    script.extend(list("for name in ", names, "; do ", 1));
    script.extend(
        [
            "\u{1}\u{1}sed -i \"s|^[[:blank:]#]*$name[[:blank:]]*\\$|!$name|\" $conf; ",
            "\u{1}\u{1}if [ -e \"/usr/share/ca-certificates/$name\" ] && ! grep -qxF \"!$name\" $conf; then ",
            "\u{1}\u{1}\u{1}echo \"!$name\" >>$conf; ",
            "\u{1}\u{1}fi; ",
            "\u{1}done; ",
            "\u{1}update-ca-certificates; ",
            "\u{1}if ! grep -qs 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt; then ",
            "\u{1}\u{1}echo 'certdoctor: update-ca-certificates left no bundle; is /etc/ca-certificates.conf in order?' >&2; exit 1; ",
            "\u{1}fi; ",
            "fi; ",
        ]
        .map(str::to_owned),
    );
    script
}

/// Cuts the anchors out of bundles that still hold them: those that no tool generates. `cat` keeps links, owner and mode.
fn cut_bundles() -> Vec<String> {
    let mut script = vec![
        "for bundle in /etc/ssl/cert.pem /etc/ssl/certs/ca-certificates.crt; do ".to_owned(),
        "\u{1}for line in $lines; do ".to_owned(),
        "\u{1}\u{1}if grep -qsF \"$line\" $bundle; then ".to_owned(),
    ];
    let (last, first) = CUT.split_last().unwrap_or((&"", &[]));
    script.push("\u{1}\u{1}\u{1}awk -v line=\"$line\" '".to_owned());
    script.extend(first.iter().map(|part| format!("\u{1}\u{1}\u{1}{part}")));
    script.push(format!("\u{1}\u{1}\u{1}{last}' $bundle >$bundle.certdoctor; "));
    script.extend(
        ["\u{1}\u{1}\u{1}cat $bundle.certdoctor >$bundle; rm $bundle.certdoctor; ", "\u{1}\u{1}fi; ", "\u{1}done; ", "done; "]
            .map(str::to_owned),
    );
    script
}

/// Fails the build when the bundle, a link or a file in the hash directory still holds an anchor.
fn verify() -> Vec<String> {
    [
        "for line in $lines; do ",
        // Only with -q does GNU grep report a match when another file could not be read.
        "\u{1}if grep -qsF \"$line\" /etc/ssl/cert.pem /etc/ssl/certs/*; then ",
        "\u{1}\u{1}echo 'certdoctor: what was to be removed is still in' >&2; ",
        "\u{1}\u{1}grep -lsF \"$line\" /etc/ssl/cert.pem /etc/ssl/certs/* >&2 || true; exit 1; ",
        "\u{1}fi; ",
        "done",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The distribution's own fix.
fn upgrade(family: Family) -> Vec<String> {
    match family {
        Family::Alpine => vec!["apk add --no-cache --upgrade ca-certificates".to_owned()],
        _ => vec![
            "apt-get update && ".to_owned(),
            "apt-get install -y --no-install-recommends --only-upgrade ca-certificates && ".to_owned(),
            "rm -rf /var/lib/apt/lists/*".to_owned(),
        ],
    }
}

/// A `RUN` of some lines; `\u{1}` at the beginning of a line stands for one more step of indentation.
fn run(request: &Snippet, script: &[String]) -> String {
    let layout = &request.layout;
    let mut out = format!("{} ", keyword(request, "RUN"));
    for (at, line) in script.iter().enumerate() {
        let text = line.trim_start_matches('\u{1}');
        if at > 0 {
            let steps = line.len() - text.len() + 1;
            let _ = write!(out, "{}\n{}", layout.escape, layout.indent.repeat(steps));
        }
        out.push_str(text);
    }
    out.push('\n');
    out
}

fn keyword(request: &Snippet, word: &str) -> String {
    if request.layout.lower_case { word.to_ascii_lowercase() } else { word.to_owned() }
}

fn finish(request: &Snippet, text: String) -> String {
    if request.layout.crlf { text.replace('\n', "\r\n") } else { text }
}

/// Names come from certificates: nothing in them may end the comment.
fn one_line(title: &str) -> String {
    title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
