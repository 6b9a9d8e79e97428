//! `certdoctor.toml`: what holds for every run on a fleet, so that nobody has to type it.
//!
//! Pure: text in, policy or the place of the first mistake out. An unknown key is a mistake and not a no-op: a slip of the pen must not
//! silently unprotect an anchor.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{base::At, finding::Severity};

/// What a policy file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Targets that must keep working: looked at where none is named, and never left without a valid path.
    pub targets: Vec<String>,
    /// The client profiles that matter, where none is named.
    pub clients: Vec<String>,
    /// Anchors that may not be touched: name, file name or SHA-256.
    pub protected: Vec<String>,
    /// Findings with another severity than their own.
    pub regrade: Vec<Regrade>,
}

/// One finding that is graded otherwise, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regrade {
    /// Code or slug.
    pub code: String,
    /// Its severity here.
    pub severity: Severity,
    /// Why: for who reads the file in a year.
    pub reason: String,
    /// The end of this grade; from then on the finding has its own again.
    pub until: At,
}

/// A mistake in a policy file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PolicyError {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what to write.
    pub what: String,
}

const KEYS: &[&str] = &["clients", "protected", "regrade", "targets"];
const REGRADE_KEYS: &[&str] = &["code", "reason", "severity", "until"];
const SEVERITIES: &[(&str, Severity)] = &[("error", Severity::Error), ("note", Severity::Note), ("warning", Severity::Warning)];

impl Policy {
    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// The first mistake and its line.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let table = DeTable::parse(text)
            .map_err(|e| PolicyError { line: line(text, e.span().unwrap_or_default().start), what: e.message().to_owned() })?;
        let reader = Reader { text };
        let mut policy = Policy::default();
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "clients" => policy.clients = reader.words(value)?,
                "protected" => policy.protected = reader.words(value)?,
                "targets" => policy.targets = reader.words(value)?,
                "regrade" => policy.regrade = reader.regrades(value)?,
                other => return Err(reader.unknown(other, key.span(), KEYS)),
            }
        }
        Ok(policy)
    }
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, at: &Range<usize>, what: impl Into<String>) -> PolicyError {
        PolicyError { line: line(self.text, at.start), what: what.into() }
    }

    fn unknown(&self, key: &str, at: Range<usize>, known: &[&str]) -> PolicyError {
        let near = known.iter().max_by(|a, b| strsim::jaro(key, a).total_cmp(&strsim::jaro(key, b)));
        let near = near.filter(|k| strsim::jaro(key, k) > 0.7).map(|k| format!("; did you mean `{k}`?")).unwrap_or_default();
        self.error(&at, format!("unknown key `{key}`{near} (known: {})", known.join(", ")))
    }

    fn word(&self, value: &Spanned<DeValue<'_>>) -> Result<String, PolicyError> {
        match value.get_ref() {
            DeValue::String(word) if !word.trim().is_empty() => Ok(word.to_string()),
            _ => Err(self.error(&value.span(), "a string is wanted here, and not an empty one")),
        }
    }

    fn words(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, PolicyError> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.word(item)).collect(),
            _ => Err(self.error(&value.span(), "a list of strings is wanted here: [\"…\"]")),
        }
    }

    fn regrades(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Regrade>, PolicyError> {
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.error(&value.span(), "regrade is a list of tables: write [[regrade]]"));
        };
        items.iter().map(|item| self.regrade(item)).collect()
    }

    fn regrade(&self, item: &Spanned<DeValue<'_>>) -> Result<Regrade, PolicyError> {
        let DeValue::Table(table) = item.get_ref() else {
            return Err(self.error(&item.span(), "a table is wanted here: write [[regrade]]"));
        };
        let (mut code, mut severity, mut reason, mut until) = (None, None, None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "code" => code = Some(self.word(value)?),
                "reason" => reason = Some(self.word(value)?),
                "severity" => severity = Some(self.severity(value)?),
                "until" => until = Some(self.instant(value)?),
                other => return Err(self.unknown(other, key.span(), REGRADE_KEYS)),
            }
        }
        match (code, severity, reason, until) {
            (Some(code), Some(severity), Some(reason), Some(until)) => Ok(Regrade { code, severity, reason, until }),
            // Without a reason nobody knows in a year whether it still holds; without an end it would hold for ever.
            _ => Err(self.error(&item.span(), format!("a regrade needs all of {}", REGRADE_KEYS.join(", ")))),
        }
    }

    fn severity(&self, value: &Spanned<DeValue<'_>>) -> Result<Severity, PolicyError> {
        let word = self.word(value)?;
        let known = SEVERITIES.iter().find(|(name, _)| *name == word).map(|(_, severity)| *severity);
        known.ok_or_else(|| self.error(&value.span(), format!("`{word}` is no severity; write note, warning or error")))
    }

    /// A date, or date and time, quoted or not.
    fn instant(&self, value: &Spanned<DeValue<'_>>) -> Result<At, PolicyError> {
        let text = match value.get_ref() {
            DeValue::Datetime(instant) => instant.to_string(),
            _ => self.word(value)?,
        };
        At::parse(&text).map_err(|e| self.error(&value.span(), e.to_string()))
    }
}

/// The line of a byte, from 1.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Policy::parse(text).expect_err("a mistake").to_string()
    }

    #[test]
    fn everything_is_read() {
        let policy = Policy::parse(
            "targets = [\"a.test:443\"]\nclients = ['openssl-3']\nprotected = [\"Corp Root\"]\n\n[[regrade]]\ncode = \"CD301\"\n\
             severity = \"note\"\nreason = \"image is replaced in May\"\nuntil = 2027-05-01\n",
        )
        .expect("a policy");
        assert_eq!(policy.targets, ["a.test:443"]);
        assert_eq!((policy.clients.len(), policy.protected.len()), (1, 1));
        let until = At::parse("2027-05-01").expect("a date");
        let reason = "image is replaced in May".to_owned();
        assert_eq!(policy.regrade, [Regrade { code: "CD301".into(), severity: Severity::Note, reason, until }]);
        assert_eq!(Policy::parse("").expect("nothing"), Policy::default());
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        assert_eq!(
            wrong("\ntargts = []\n"),
            "line 2: unknown key `targts`; did you mean `targets`? (known: clients, protected, regrade, targets)"
        );
        assert_eq!(wrong("xyz = 1"), "line 1: unknown key `xyz` (known: clients, protected, regrade, targets)");
        assert!(wrong("targets = \"a\"").starts_with("line 1: a list of strings"));
        assert!(wrong("targets = [\"a\", 1]").starts_with("line 1: a string is wanted"));
        assert!(wrong("[[regrade]]\ncode = \"CD301\"\n").contains("needs all of code, reason, severity, until"));
        assert!(wrong("[[regrade]]\nseverity = \"bad\"\n").starts_with("line 2: `bad` is no severity"));
        assert!(wrong("[[regrade]]\nuntil = \"soon\"\n").contains("`soon` is not a time"));
        assert!(wrong("targets = [").starts_with("line 1: "));
    }
}
