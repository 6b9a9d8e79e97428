//! What CertMagic (the library inside Caddy) keeps on disk.

use std::ops::Range;

use crate::{
    base::{At, Fingerprint, TreePath},
    x509::Certificate,
};

/// The part of a name that tells what this program set aside. CertMagic looks for no such name, and neither does the reader of its
/// storage.
pub const ASIDE: &str = ".certdoctor-aside-";

/// Everything of CertMagic.
#[derive(Clone, Debug, Default)]
pub struct CertMagic {
    /// Its storages, by path.
    pub storages: Vec<Storage>,
    /// What its logs say about renewals, oldest first.
    pub log: Vec<LogLine>,
    /// Places that may be a storage and could not be looked at, and why.
    pub unread: Vec<(TreePath, String)>,
}

/// One storage: the directory that holds `certificates`, `acme` and `locks`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The directory, without links.
    pub path: TreePath,
    /// How it was found: `the home of caddy`, `/etc/caddy/Caddyfile, line 3`.
    pub found_by: String,
    /// Who must be able to read and write it; `None` when that is not known.
    pub user: Option<User>,
    /// Which instance cleaned it last (`last_clean.json`).
    pub instance: Option<String>,
    /// `certificates/CA/SITE`, by CA, then by site.
    pub sites: Vec<Site>,
    /// `acme/CA/users/EMAIL`.
    pub accounts: Vec<Account>,
    /// `locks/*.lock`.
    pub locks: Vec<Lock>,
    /// Challenges in flight: `acme/CA/challenge_tokens/*.json`.
    pub tokens: Vec<TreePath>,
    /// Directories that could not be listed, and why.
    pub unlisted: Vec<(TreePath, String)>,
    /// Files and folders that belong to somebody else than the storage's user, who can't use them; at most [`Storage::STRANGERS`].
    pub strangers: Vec<Stranger>,
    /// How many there are in all.
    pub strangers_in_all: usize,
}

/// A user of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the main group.
    pub gid: u32,
    /// Why it is this one: `User= in /lib/systemd/system/caddy.service`.
    pub because: String,
}

/// A file or folder that the storage's user can't use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Which.
    pub path: TreePath,
    /// Its owner and group.
    pub owner: (u32, u32),
    /// Its permission bits.
    pub mode: u32,
}

/// A file, what it holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<T> {
    /// Where.
    pub path: TreePath,
    /// What it holds.
    pub content: Result<T, Defect>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Nothing is there.
    Missing,
    /// No byte in it.
    Empty,
    /// Not the form that it should have: why, and the line from 1 where that is known.
    Malformed(String, Option<u32>),
    /// It can't be read: why.
    Unreadable(String),
}

/// One certificate with key and metadata, in a folder of its own.
#[derive(Clone, Debug)]
pub struct Site {
    /// The folder.
    pub path: TreePath,
    /// The folder's shape, for moving it; `None` when it can't be looked at.
    pub shape: Option<Fingerprint>,
    /// The CA's folder: `acme-v02.api.letsencrypt.org-directory`.
    pub ca: String,
    /// The folder's name: the domain, `wildcard_.example.com` for `*.example.com`.
    pub name: String,
    /// `.crt`: the certificates, leaf first.
    pub certificate: File<Vec<Certificate>>,
    /// `.key`: whether its public half is the leaf's; `None` when the key is of a kind that is not known here, or there is no leaf.
    pub key: File<Option<bool>>,
    /// `.json`.
    pub metadata: File<Metadata>,
}

/// A certificate's `.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// SHA-256 of the file.
    pub read: Option<Fingerprint>,
    /// `sans`.
    pub sans: Vec<String>,
    /// `issuer_data.ca`, which CertMagic from 0.18 on writes.
    pub ca: Option<String>,
    /// The bytes of the member `"ca"` with the comma and line end that go with it: what is left without them is JSON still.
    pub ca_span: Option<Range<usize>>,
    /// The line of `"ca"`.
    pub ca_line: Option<u32>,
    /// `issuer_data.renewal_info._selectedTime`: when it is to be renewed (RFC 9773).
    pub selected: Option<At>,
    /// `issuer_data.renewal_info.suggestedWindow`: start and end.
    pub window: Option<(At, At)>,
    /// `issuer_data.renewal_info._uniqueIdentifier`.
    pub ari_id: Option<String>,
}

/// An ACME account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The folder.
    pub path: TreePath,
    /// The folder's shape.
    pub shape: Option<Fingerprint>,
    /// The CA's folder.
    pub ca: String,
    /// The e-mail address, or `default`.
    pub email: String,
    /// The key: only whether there is one.
    pub key: File<()>,
    /// The registration.
    pub registration: File<()>,
}

/// A lock.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Where.
    pub path: TreePath,
    /// SHA-256 of what was read.
    pub read: Option<Fingerprint>,
    /// Its name without `.lock`: `issue_cert_example.com`.
    pub name: String,
    /// `updated`, or `created` where that is missing.
    pub content: Result<At, Defect>,
    /// When the file was changed last.
    pub modified: At,
    /// Whether nobody refreshed it for longer than its holder ever leaves it alone: seen by its age, or by two looks. `None` when
    /// there was no second look.
    pub is_left: Option<bool>,
}

/// A line of a JSON log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The file.
    pub path: TreePath,
    /// The line, from 1; `None` when only the file's end was read.
    pub line: Option<u32>,
    /// When.
    pub at: At,
    /// The name that it is about, where it says so.
    pub name: Option<String>,
    /// What it says.
    pub event: LogEvent,
}

/// What a log line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The CA refused an order that is to replace this certificate, since another replaced it already (HTTP 409). The serial number
    /// in hex, where the CA says it.
    AlreadyReplaced(Option<String>),
    /// A validation came here by TLS-ALPN and this instance knew nothing of it.
    UnknownChallenge,
    /// The CA saw this alert or this protocol error when it validated by TLS-ALPN: its words.
    AlpnRefused(String),
    /// The lock could not be read: the words.
    LockUnreadable(String),
}

impl LogEvent {
    /// Whether the CA met a server that holds the challenge of another order for the name, or that speaks the protocol and holds none: another
    /// instance, and no terminator. The words are those of Boulder (`va/tlsalpn.go`; alert 80 as Go words it) and of pebble.
    #[must_use]
    pub fn tells_of_another_instance(&self) -> bool {
        let LogEvent::AlpnRefused(words) = self else { return false };
        let other_order = words.contains("acmeValidationV1 extension value") && words.contains("but expected");
        other_order || words.contains("Invalid acmeValidation extension value") || words.contains("tls: internal error")
    }
}

/// The name that a file or folder gets when it is set aside at this instant.
#[must_use]
pub fn aside(path: &TreePath, at: At) -> TreePath {
    TreePath::new([path.as_bytes(), ASIDE.as_bytes(), at.0.to_string().as_bytes()].concat())
}

impl Lock {
    /// Seconds from now to a lock's `updated` from which on it is one of the future: less has gone by before anybody reads about it.
    pub const AHEAD: i64 = 60;
}

impl Storage {
    /// One of which nothing has been read yet.
    #[must_use]
    pub fn new(path: TreePath, found_by: String, user: Option<User>) -> Self {
        Storage {
            path,
            found_by,
            user,
            instance: None,
            sites: Vec::new(),
            accounts: Vec::new(),
            locks: Vec::new(),
            tokens: Vec::new(),
            unlisted: Vec::new(),
            strangers: Vec::new(),
            strangers_in_all: 0,
        }
    }

    /// The most strangers that are kept.
    pub const STRANGERS: usize = 20;

    /// What CertMagic and Caddy make in a storage's directory.
    pub const OWN: &[&str] = &["acme", "certificates", "instance.uuid", "last_clean.json", "locks", "ocsp", "pki"];
}

impl Site {
    /// The domain name: `*.example.com` for the folder `wildcard_.example.com`.
    #[must_use]
    pub fn domain(&self) -> String {
        match self.name.strip_prefix("wildcard_") {
            Some(rest) => format!("*{rest}"),
            None => self.name.clone(),
        }
    }

    /// Whether all three files are there: CertMagic obtains a certificate anew when one is missing, and does not when one is there
    /// and bad.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let missing = |d: Option<&Defect>| d == Some(&Defect::Missing);
        !missing(self.certificate.content.as_ref().err())
            && !missing(self.key.content.as_ref().err())
            && !missing(self.metadata.content.as_ref().err())
    }
}

impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Defect::Missing => f.write_str("is missing"),
            Defect::Empty => f.write_str("is empty"),
            Defect::Malformed(why, _) | Defect::Unreadable(why) => f.write_str(why),
        }
    }
}
