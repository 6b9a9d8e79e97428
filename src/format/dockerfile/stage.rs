//! Stages: what each is built on, and as whom its instructions run.

use std::{collections::BTreeMap, ops::Range};

use super::{Dockerfile, Kind, expand::expand};

/// From one `FROM` to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case as builders compare it.
    pub name: Option<String>,
    /// The base, as written.
    pub written: String,
    /// The base, resolved.
    pub base: Base,
    /// The place of `FROM` among the items.
    pub from: usize,
    /// The items after `FROM`.
    pub body: Range<usize>,
    /// Every `USER`: its place among the items, and the user as written.
    pub users: Vec<(usize, String)>,
}

/// What a stage is built on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// An image, variables replaced.
    Image(String),
    /// Nothing (`FROM scratch`).
    Scratch,
    /// An earlier stage of the same file: its number.
    Stage(usize),
    /// It depends on these variables, which have no value: the text as far as it goes.
    Unresolved(String, Vec<String>),
}

/// See [`Dockerfile::stages`].
pub(super) fn stages(file: &Dockerfile, build_arguments: &BTreeMap<String, String>) -> Vec<Stage> {
    let mut globals = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for (at, _, instruction) in file.instructions() {
        match instruction.keyword.as_str() {
            "ARG" if stages.is_empty() => {
                for word in split_assignments(&instruction.arguments) {
                    let (name, default) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
                    if let Some(value) = build_arguments.get(name) {
                        globals.insert(name.to_owned(), value.clone());
                    } else if let Some(default) = default {
                        globals.insert(name.to_owned(), expand(default, &globals, file.escape).text);
                    }
                }
            }
            "FROM" => {
                let words: Vec<&str> = instruction.arguments.split_whitespace().collect();
                let written = words.first().copied().unwrap_or_default();
                let name = match words[..] {
                    [_, keyword, name, ..] if keyword.eq_ignore_ascii_case("as") => Some(name.to_ascii_lowercase()),
                    _ => None,
                };
                let expanded = expand(written, &globals, file.escape);
                // A stage wins over an image of the same name; the last of several stages of one name.
                let earlier = stages.iter().rposition(|s| s.name.as_deref() == Some(&expanded.text.to_ascii_lowercase()));
                let base = if !expanded.missing.is_empty() || expanded.text.is_empty() {
                    Base::Unresolved(expanded.text, expanded.missing.into_iter().collect())
                } else if let Some(earlier) = earlier {
                    Base::Stage(earlier)
                } else if expanded.text == "scratch" {
                    Base::Scratch
                } else {
                    Base::Image(expanded.text)
                };
                stages.push(Stage { name, written: written.to_owned(), base, from: at, body: at + 1..at + 1, users: Vec::new() });
            }
            "USER" => {
                if let Some(stage) = stages.last_mut() {
                    stage.users.push((at, instruction.arguments.trim().to_owned()));
                }
            }
            _ => {}
        }
    }
    let ends: Vec<usize> = stages.iter().skip(1).map(|s| s.from).chain([file.items.len()]).collect();
    for (stage, end) in stages.iter_mut().zip(ends) {
        stage.body.end = end;
    }
    stages
}

impl Stage {
    /// The user that the last `USER` before item `at` sets in this stage itself.
    #[must_use]
    pub fn user_before(&self, at: usize) -> Option<&str> {
        self.users.iter().rev().find(|(place, _)| *place < at).map(|(_, user)| user.as_str())
    }

    /// The stage that a reference of `COPY --from=` names: by name, else by number.
    #[must_use]
    pub fn find(stages: &[Stage], reference: &str) -> Option<usize> {
        let name = reference.to_ascii_lowercase();
        stages
            .iter()
            .rposition(|s| s.name.as_deref() == Some(&name))
            .or_else(|| reference.parse().ok().filter(|number| *number < stages.len()))
    }
}

impl Dockerfile {
    /// The `SHELL` in force at item `at` of a stage, where the file sets one there or in the stages below.
    #[must_use]
    pub fn shell_before(&self, stages: &[Stage], stage: usize, at: usize) -> Option<Vec<String>> {
        let here = stages.get(stage)?;
        let own = self.items[here.body.start..at.clamp(here.body.start, here.body.end)].iter().rev().find_map(|item| match &item
            .kind
        {
            Kind::Instruction(i) if i.keyword == "SHELL" => i.exec.clone(),
            _ => None,
        });
        match here.base {
            Base::Stage(below) if own.is_none() => self.shell_before(stages, below, stages[below].body.end),
            _ => own,
        }
    }
}

/// Splits `A=1 B="x y"` at white space outside of quotes.
fn split_assignments(text: &str) -> Vec<&str> {
    let mut quote = None;
    text.split(move |c: char| {
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            quote = Some(c);
        }
        quote.is_none() && c.is_whitespace()
    })
    .filter(|word| !word.is_empty())
    .collect()
}
