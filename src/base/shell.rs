//! Words for commands that people copy.

/// A word that a POSIX shell reads back as it is.
#[must_use]
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_read_otherwise() {
        assert_eq!(shell("/etc/ssl/certs"), "/etc/ssl/certs");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("a b$(c)"), "'a b$(c)'");
        assert_eq!(shell("it's"), r"'it'\''s'");
    }
}
