//! A configuration file in ConfigObj's form (certbot's renewal configurations), with the place of everything in it, so that a change
//! touches no other byte.

use std::ops::Range;

/// A file, taken apart by [`crate::format::config_obj`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The sections in file order; the first is the top level.
    pub sections: Vec<Section>,
    /// The settings in file order.
    pub settings: Vec<Setting>,
    /// What ConfigObj would refuse; one is enough for it to refuse the file.
    pub faults: Vec<Fault>,
    /// Length of the file in bytes.
    pub len: usize,
    /// Whether its last line has no line end.
    pub is_open: bool,
}

/// A section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The names from the outermost in; empty for the top level.
    pub path: Vec<String>,
    /// The line of its header, from 1; 0 for the top level.
    pub line: u32,
    /// Where a further setting of its own goes: behind its last one, before any section in it.
    pub own_end: usize,
    /// Where a further section in it goes: behind everything in it.
    pub end: usize,
}

/// `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Index into [`Config::sections`].
    pub section: usize,
    /// The key, without quotes.
    pub key: String,
    /// The value: one without a comma, several else (`a,` is a list of one).
    pub value: Value,
    /// Its line, from 1.
    pub line: u32,
    /// Its lines as a whole, with their line ends.
    pub span: Range<usize>,
    /// What stands right of `=`, without a comment behind it.
    pub value_span: Range<usize>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    One(String),
    /// A list of strings.
    Many(Vec<String>),
}

/// A line that ConfigObj refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: u32,
    /// The line with its end.
    pub span: Range<usize>,
    /// The beginning of its text.
    pub text: String,
    /// Why.
    pub why: &'static str,
}

/// The fault of a line that is not read: a limit of this program's own, behind which nothing is read.
pub const TOO_MUCH: &str = "more than is read";

/// Bytes in the place of others.
pub type Replacement = (Range<usize>, Vec<u8>);

impl Config {
    /// A setting by the path of its section and its key.
    #[must_use]
    pub fn get(&self, section: &[&str], key: &str) -> Option<&Setting> {
        let index = self.section(section)?;
        self.settings.iter().find(|s| s.section == index && s.key == key)
    }

    /// The text of a setting that is no list.
    #[must_use]
    pub fn text(&self, section: &[&str], key: &str) -> Option<&str> {
        match &self.get(section, key)?.value {
            Value::One(text) => Some(text),
            Value::Many(_) => None,
        }
    }

    /// The settings of a section itself.
    pub fn all<'a>(&'a self, section: &[&str]) -> impl Iterator<Item = &'a Setting> {
        let index = self.section(section);
        self.settings.iter().filter(move |s| Some(s.section) == index)
    }

    /// Index of a section by its path.
    #[must_use]
    pub fn section(&self, path: &[&str]) -> Option<usize> {
        self.sections.iter().position(|s| s.path == path)
    }

    /// The change that gives a setting this value; a setting that is not there yet goes behind the others of its section. `None` when
    /// there is no such section.
    #[must_use]
    pub fn set(&self, section: &[&str], key: &str, value: &Value) -> Option<Replacement> {
        match self.get(section, key) {
            Some(setting) => Some((setting.value_span.clone(), value.written().into_bytes())),
            None => self.insert(section, &[(key, value)]),
        }
    }

    /// The change that adds these settings to a section, in this order. `None` when there is no such section.
    #[must_use]
    pub fn insert(&self, section: &[&str], settings: &[(&str, &Value)]) -> Option<Replacement> {
        let at = self.sections[self.section(section)?].own_end;
        Some(self.addition(at, &lines(settings)))
    }

    /// The change that adds settings to a section and, behind all of its own, a section in it. `None` when there is no such section, or
    /// when the inner one is there already.
    #[must_use]
    pub fn insert_with_section(
        &self,
        section: &[&str],
        settings: &[(&str, &Value)],
        inner: &str,
        of_inner: &[(&str, &Value)],
    ) -> Option<Replacement> {
        let mut path = section.to_vec();
        path.push(inner);
        let outer = &self.sections[self.section(section)?];
        // Two places would be two changes: an inner section keeps the settings from being put at the end.
        if self.section(&path).is_some() || outer.own_end != outer.end {
            return None;
        }
        let depth = path.len();
        let header = format!("{}{inner}{}\n", "[".repeat(depth), "]".repeat(depth));
        Some(self.addition(outer.end, &(lines(settings) + &header + &lines(of_inner))))
    }

    /// The change that takes a setting out with its line.
    #[must_use]
    pub fn remove(&self, section: &[&str], key: &str) -> Option<Replacement> {
        Some((self.get(section, key)?.span.clone(), Vec::new()))
    }

    fn addition(&self, at: usize, lines: &str) -> Replacement {
        match self.is_open && at == self.len {
            // The line end that the last line lacks comes before, and none after.
            true => (at..at, format!("\n{}", lines.trim_end_matches('\n')).into_bytes()),
            false => (at..at, lines.as_bytes().to_vec()),
        }
    }
}

fn lines(settings: &[(&str, &Value)]) -> String {
    settings.iter().map(|(key, value)| format!("{key} = {}\n", value.written())).collect()
}

impl Value {
    /// The value of a list of one (`a,`).
    #[must_use]
    pub fn list_of(one: &str) -> Value {
        Value::Many(vec![one.to_owned()])
    }

    /// The strings in it.
    #[must_use]
    pub fn strings(&self) -> Vec<&str> {
        match self {
            Value::One(text) => vec![text],
            Value::Many(texts) => texts.iter().map(String::as_str).collect(),
        }
    }

    /// The value as ConfigObj writes it.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Value::One(text) => quoted(text),
            Value::Many(texts) => match texts.as_slice() {
                [] => ",".to_owned(),
                [one] => quoted(one) + ",",
                all => all.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(", "),
            },
        }
    }
}

/// A string in the quotes that it needs. Line ends, and both kinds of quotes in one string, have no form in a list; they are not among
/// what is ever written here.
fn quoted(text: &str) -> String {
    let bare = !text.is_empty()
        && !text.starts_with(['"', '\'', ' ', '\t'])
        && !text.ends_with(['"', '\'', ' ', '\t'])
        && !text.contains([',', '#', '\n', '\r']);
    match (bare, text.contains('"')) {
        (true, _) => text.to_owned(),
        (false, false) => format!("\"{text}\""),
        (false, true) => format!("'{text}'"),
    }
}
