//! What certbot keeps, and which certbots are installed.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use crate::{
    base::{At, Fingerprint, TreePath},
    x509::Certificate,
};

/// The directory of the CA that certbot orders from unless it is told another one.
pub const USUAL_SERVER: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The four files of a lineage, in certbot's order.
pub const KINDS: [&str; 4] = ["cert", "privkey", "chain", "fullchain"];

/// Certbot's directory, and the installed programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certbot {
    /// The renewal configurations, sorted by name.
    pub confs: Vec<RenewalConf>,
    /// The account directories: `accounts/<server>/<id>`, sorted.
    pub accounts: BTreeSet<TreePath>,
    /// The files in `renewal-hooks/{pre,deploy,post}`.
    pub hooks: Vec<HookFile>,
    /// `cli.ini`: its options in order, each with its line.
    pub options: Vec<(String, String, u32)>,
    /// The certbots found: those in Python's folders, then the Debian package without files, then the snap.
    pub installed: Vec<Installed>,
    /// Processes that hold certbot's lock, with the lock file.
    pub lock_holders: Vec<(u32, TreePath)>,
    /// What could not be read, and why.
    pub unread: Vec<(TreePath, String)>,
}

/// `renewal/NAME.conf` and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalConf {
    /// NAME.
    pub name: String,
    /// The file.
    pub path: TreePath,
    /// The SHA-256 of what was read, or why it can't be read.
    pub read: Result<Fingerprint, String>,
    /// When it was last written.
    pub modified: At,
    /// What stands in it.
    pub config: Config,
    /// `live/NAME/KIND.pem`, in the order of [`KINDS`], those that the configuration names.
    pub live: Vec<LiveFile>,
    /// Files that lie beside those, for the kinds that the configuration does not name.
    pub unnamed: Vec<(&'static str, TreePath)>,
    /// `previous_KIND.pem` in `live/NAME`: left by an update that was interrupted.
    pub previous: Vec<TreePath>,
    /// Where the versions lie.
    pub archive: TreePath,
    /// For each version in the archive, the kinds that are there.
    pub versions: BTreeMap<u32, BTreeSet<&'static str>>,
    /// The leaf of the newest whole version.
    pub newest: Option<Certificate>,
    /// Files with credentials that it names.
    pub credentials: Vec<Credentials>,
}

/// One of the four files in `live/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFile {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// Where the configuration says that it lies.
    pub path: TreePath,
    /// The line that says so.
    pub line: u32,
    /// What lies there.
    pub state: LiveState,
}

/// What lies at a path in `live/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// Nothing.
    Missing,
    /// No link: what it looks like from outside ([`crate::host::shape()`]), and, where that could be read, the certificate. A key is not
    /// read.
    Copied {
        /// The shape.
        shape: Fingerprint,
        /// The first certificate in it.
        leaf: Option<Certificate>,
    },
    /// A link to nothing: its target as written.
    Dangling(String),
    /// A link into the archive: its target as written, and the version.
    Linked(String, u32),
    /// A link to something else.
    Elsewhere(String),
}

impl LiveState {
    /// The version that it is linked to.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        if let LiveState::Linked(_, version) = self { Some(*version) } else { None }
    }
}

/// A file in `renewal-hooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFile {
    /// `pre`, `deploy` or `post`.
    pub when: &'static str,
    /// The file.
    pub path: TreePath,
    /// Whether it may be executed.
    pub is_executable: bool,
}

/// A file with credentials of a DNS plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The key that names it: `dns_cloudflare_credentials`.
    pub key: String,
    /// The line.
    pub line: u32,
    /// The file.
    pub path: TreePath,
    /// Its permission bits; `None` when it is not there.
    pub mode: Option<u32>,
}

/// An installed certbot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// How it came: `Debian package`, `RPM package`, `Python package`, `snap`.
    pub how: &'static str,
    /// Where it says what it is.
    pub path: TreePath,
    /// Its version; `None` when it does not say.
    pub version: Option<String>,
    /// Names of plugins beside its own: `nginx`, `dns-cloudflare`; `None` when that can't be seen.
    pub plugins: Option<BTreeSet<String>>,
}

/// The plugins that come with certbot itself.
pub const OWN_PLUGINS: [&str; 4] = ["manual", "null", "standalone", "webroot"];

impl Certbot {
    /// The configuration of this name.
    #[must_use]
    pub fn conf(&self, name: &str) -> Option<&RenewalConf> {
        self.confs.iter().find(|c| c.name == name)
    }

    /// An option of `cli.ini`, the last one given.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(key, ..)| key == name).map(|(_, value, _)| value.as_str())
    }

    /// The certbot that is taken for the one that renews: the newest that is installed.
    #[must_use]
    pub fn current(&self) -> Option<&Installed> {
        self.installed.iter().rev().max_by_key(|i| i.version.as_deref().and_then(Version::parse))
    }

    /// The version that renews: of what is installed the newest, else the one that wrote the configuration.
    #[must_use]
    pub fn version(&self, conf: &RenewalConf) -> Option<Version> {
        let installed = self.current().and_then(|i| Version::parse(i.version.as_deref()?));
        installed.or_else(|| Version::parse(conf.config.text(&[], "version")?))
    }
}

impl RenewalConf {
    /// A parameter of the renewal; certbot writes `None` for none.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.config.text(&[PARAMETERS], key).filter(|v| *v != "None")
    }

    /// The CA's directory; certbot's default when it names none.
    #[must_use]
    pub fn server(&self) -> &str {
        self.parameter("server").unwrap_or(USUAL_SERVER)
    }

    /// The port on which the CA's requests come to this host.
    #[must_use]
    pub fn http01_port(&self) -> u16 {
        self.parameter("http01_port").and_then(|p| p.parse().ok()).unwrap_or(80)
    }

    /// The line of a parameter.
    #[must_use]
    pub fn line(&self, key: &str) -> Option<u32> {
        self.config.get(&[PARAMETERS], key).map(|s| s.line)
    }

    /// The newest version that has all four files.
    #[must_use]
    pub fn newest_whole(&self) -> Option<u32> {
        self.versions.iter().rev().find(|(_, kinds)| kinds.len() == KINDS.len()).map(|(version, _)| *version)
    }
}

/// The section with the parameters of the renewal.
pub const PARAMETERS: &str = "renewalparams";

/// A version by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `2.1.0`, `2.1.0-4`, `5.8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let major = numbers.next()?.ok()?;
        Some(Version(major, numbers.next().and_then(Result::ok).unwrap_or(0), numbers.next().and_then(Result::ok).unwrap_or(0)))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}
