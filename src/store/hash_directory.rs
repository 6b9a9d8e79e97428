//! The directory that OpenSSL looks up by subject hash.

use crate::{
    base::TreePath,
    facts::{DirectoryEntry, HashDirectory},
    store::read::{Led, Member, Reader},
};

/// Loads every name of the directory at `path`; `None` when nothing is there.
pub fn load(reader: &mut Reader<'_>, path: &TreePath) -> Option<HashDirectory> {
    let mut directory = HashDirectory { path: path.clone(), real: path.clone(), state: Ok(()), entries: Vec::new() };
    match reader.resolve(path) {
        Ok(Led { end: None, .. }) => return None,
        Ok(Led { path: real, .. }) => directory.real = real,
        Err(why) => {
            directory.state = Err(why);
            return Some(directory);
        }
    }
    match reader.members(path, &directory.real) {
        Ok(members) => directory.entries = members.into_iter().map(DirectoryEntry::from).collect(),
        Err(why) => directory.state = Err(why),
    }
    Some(directory)
}

impl From<Member> for DirectoryEntry {
    fn from(Member { name, link, file }: Member) -> Self {
        DirectoryEntry { hash: hash_of(&name), link, file, name }
    }
}

/// The subject hash and number of a name of the form `hash.N`, as `by_dir.c` writes them (`%08lx.%d`).
#[must_use]
pub fn hash_of(name: &[u8]) -> Option<(u32, u32)> {
    let (hash, number) = name.split_at_checked(8)?;
    let number = number.strip_prefix(b".")?;
    let lower_hex = hash.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let plain = number.iter().all(u8::is_ascii_digit) && (number == b"0" || number.first() != Some(&b'0'));
    if !lower_hex || !plain {
        return None;
    }
    let hash = u32::from_str_radix(std::str::from_utf8(hash).ok()?, 16).ok()?;
    Some((hash, std::str::from_utf8(number).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_hash_names() {
        assert_eq!(hash_of(b"157753a5.0"), Some((0x1577_53a5, 0)));
        assert_eq!(hash_of(b"157753a5.12"), Some((0x1577_53a5, 12)));
        for other in ["157753A5.0", "157753a5.", "157753a5.r0", "157753a5.01", "57753a5.0", "ca-certificates.crt"] {
            assert_eq!(hash_of(other.as_bytes()), None, "{other}");
        }
    }
}
