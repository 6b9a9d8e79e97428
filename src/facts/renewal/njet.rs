//! What NJet's own certificate manager (cert-manager, a lego 4 inside) is told: the `helper` lines of the configuration, and the TOML file
//! of the one that starts it. Which server is managed stands in the configuration itself ([`super::nginx`]).

use std::{collections::BTreeSet, ops::Range};

use crate::base::{Fingerprint, TreePath};

/// The NJets here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Njet {
    /// Each, in the order of [`super::Nginx::instances`].
    pub installed: Vec<Installed>,
}

/// One NJet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The main file: that of its [`super::nginx::Instance`].
    pub conf: TreePath,
    /// What paths of helpers count from.
    pub prefix: TreePath,
    /// Whether a `helper` line starts the broker of messages (MQTT).
    pub has_broker: bool,
    /// The `helper` lines that start programs (`njt_helper_go_copilot_module.so`).
    pub copilots: Vec<Copilot>,
    /// Those of [`USUAL`] that lie below the prefix.
    pub at_hand: BTreeSet<&'static str>,
}

/// The files of an ordinary installation that a `helper` line needs, below the prefix.
pub const USUAL: &[&str] = &[BROKER_MODULE, BROKER_CONF, COPILOT_MODULE, COPILOT_CONF, PROGRAM];

/// The module that starts the broker.
pub const BROKER_MODULE: &str = "modules/njt_helper_broker_module.so";
/// The broker's own file.
pub const BROKER_CONF: &str = "conf/mqtt.conf";
/// The module that starts a program.
pub const COPILOT_MODULE: &str = "modules/njt_helper_go_copilot_module.so";
/// The file of the certificate manager.
pub const COPILOT_CONF: &str = "conf/cert.toml";
/// The certificate manager.
pub const PROGRAM: &str = "sbin/cert-manager";

/// A `helper` line that starts a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copilot {
    /// The configuration file and the line.
    pub said: (TreePath, u32),
    /// Its TOML file.
    pub path: TreePath,
    /// Where links lead: what a patch changes.
    pub real: TreePath,
    /// The SHA-256 of what was read.
    pub read: Option<Fingerprint>,
    /// What stands in it; the line, where there is one, and why it can't be read.
    pub settings: Result<Settings, (Option<u32>, String)>,
    /// The program that it names.
    pub program: Option<TreePath>,
    /// Whether that is a file that may be executed.
    pub is_executable: bool,
}

/// The values of a TOML file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the parser's order.
    pub values: Vec<Setting>,
    /// The tables with a line of their own, and the offset behind that line.
    pub headers: Vec<(String, usize)>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: String,
    /// The value as text.
    pub text: String,
    /// Whether it is a string; NJet reads nothing else.
    pub is_string: bool,
    /// Line, from 1.
    pub line: u32,
    /// The value's bytes, quotes included.
    pub span: Range<usize>,
}

impl Settings {
    /// A value.
    #[must_use]
    pub fn get(&self, table: &str, key: &str) -> Option<&Setting> {
        self.values.iter().find(|s| s.table == table && s.key == key)
    }

    /// Behind the line of a table.
    #[must_use]
    pub fn header(&self, table: &str) -> Option<usize> {
        self.headers.iter().find(|(name, _)| name == table).map(|(_, at)| *at)
    }
}

impl Copilot {
    /// A value of its file.
    #[must_use]
    pub fn setting(&self, table: &str, key: &str) -> Option<&Setting> {
        self.settings.as_ref().ok()?.get(table, key)
    }

    /// Whether it is the certificate manager, and no other program that NJet can start. A file that can't be read is taken for it by its
    /// name.
    #[must_use]
    pub fn is_cert_manager(&self) -> bool {
        match &self.settings {
            Ok(settings) => {
                let kind = settings.get("copilot", "copilotType").is_some_and(|s| s.text == "cert");
                kind || settings.values.iter().any(|s| s.table == "acme")
            }
            Err(_) => String::from_utf8_lossy(self.path.name()).contains("cert"),
        }
    }
}

impl Installed {
    /// The line that starts the certificate manager.
    #[must_use]
    pub fn cert_manager(&self) -> Option<&Copilot> {
        self.copilots.iter().find(|c| c.is_cert_manager())
    }
}
