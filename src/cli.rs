//! The command line: clap definitions only. One definition feeds parsing, help, man page and completions.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::{base::At, facts::StartTls, finding::Severity};

/// Finds the dead root that breaks TLS here, patches the store, and proves the fix with a handshake.
#[derive(Debug, Parser)]
#[command(name = "certdoctor", version, max_term_width = 110, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit status: 0 nothing to complain about, or fixed and verified; 1 findings remain or a target is refused; \
    2 could not do it, nothing was changed; 3 --check: it would change something."
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub fn of(words: &[OsString]) -> Result<Cli, clap::Error> {
        // clap copies every global argument into each command before it looks which one is meant, and that is more work than all the
        // rest: so it is shown the one that is named first of all. For what it has to say to people it needs all of them.
        let named = words.get(1).and_then(|name| Cli::named(name.to_str()?, words));
        named.map_or_else(|| Cli::try_parse_from(words), Ok)
    }

    fn named(name: &str, words: &[OsString]) -> Option<Cli> {
        let one = Command::augment_subcommands(clap::Command::new("")).find_subcommand(name)?.clone();
        let command = Global::augment_args(clap::Command::new("")).subcommand(one);
        Cli::from_arg_matches_mut(&mut command.try_get_matches_from(words).ok()?).ok()
    }
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Look at (and with fix --apply change) an unpacked root file system instead of this host; links stay inside it
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Look at the image in this archive: what docker save, podman save or an OCI layout in a tar file holds
    #[arg(long, global = true, value_name = "TAR", conflicts_with = "root")]
    pub image: Option<PathBuf>,
    /// Judge as of this instant: RFC 3339, a date, or Unix seconds
    #[arg(long, global = true, value_name = "TIME", value_parser = |s: &str| At::parse(s))]
    pub at: Option<At>,
    /// Form of the report
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "human")]
    pub format: Format,
    /// Only these client profiles: openssl-1.0.2, gnutls-3.6.13, go, java-17, all, … (repeatable)
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',')]
    pub client: Vec<String>,
    /// What holds for every run here [default: certdoctor.toml, then /etc/certdoctor.toml, if they are there]; none for nothing
    #[arg(long, global = true, value_name = "FILE|none")]
    pub policy: Option<PathBuf>,
    /// Lowest severity that makes the exit status 1
    #[arg(long, global = true, value_enum, value_name = "SEVERITY", default_value = "error")]
    pub fail_on: SeverityArg,
    /// Grade a finding down to a note (code or name; repeatable)
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// Grade a finding as a warning
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',')]
    pub warn: Vec<String>,
    /// Grade a finding as an error
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// How many targets are looked at at once
    #[arg(long, global = true, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: u16,
    /// Seconds for each target
    #[arg(long, global = true, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// More: every path, every client, every place
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Less: the last line only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// The result of an Ansible module
    Ansible,
    /// Annotations of GitHub Actions
    Github,
    /// One JSON document
    Json,
    /// JUnit's XML
    Junit,
    /// For a comment under a pull request or a ticket
    Markdown,
    /// A monitoring plugin's line; exit status 0, 1, 2 or 3
    Nagios,
    /// Metrics for the textfile collector
    Prometheus,
    /// As `openssl s_client` prints it (inspect only)
    #[value(name = "s_client")]
    SClient,
    /// The return of a Salt state
    Salt,
    /// SARIF 2.1.0
    Sarif,
}

impl Format {
    /// The name of [`Format::Ansible`].
    pub const ANSIBLE: &str = "ansible";
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SeverityArg {
    Note,
    Warning,
    Error,
}

impl From<SeverityArg> for Severity {
    fn from(arg: SeverityArg) -> Self {
        match arg {
            SeverityArg::Note => Severity::Note,
            SeverityArg::Warning => Severity::Warning,
            SeverityArg::Error => Severity::Error,
        }
    }
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is presented, every path that exists, and which clients accept it (openssl s_client, and more)
    Inspect {
        /// What to look at
        #[arg(
            value_name = "TARGET",
            help = "host, host:port, https://host/…, smtp://host, [::1]:443, a PEM, DER or PKCS #7 file, - or @FILE (one target a line)"
        )]
        targets: Vec<String>,
        /// How to connect and what to trust
        #[command(flatten)]
        connection: Connection,
        /// Show two targets side by side: where their chains part, and which clients tell them apart
        #[arg(long)]
        compare: bool,
        /// Print every certificate as PEM too
        #[arg(long)]
        showcerts: bool,
    },
    /// Every trust store here: expired, expiring, duplicate, drifting, broken; who reads which
    Scan {
        /// An anchor that expires within this many days is worth a word
        #[arg(long, value_name = "DAYS", default_value = "90", value_parser = days)]
        within: i64,
    },
    /// Why does this connection fail here? Cause, evidence, remedy, and which clients the remedy helps
    Diagnose {
        /// As for inspect
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// Also tell which clients will begin to refuse within this many days, and because of which certificate
        #[arg(long, value_name = "DAYS", value_parser = days)]
        horizon: Option<i64>,
        /// How to connect and what to trust
        #[command(flatten)]
        connection: Connection,
    },
    /// Plan the remedy and show the diff; --apply writes it, refreshes, verifies, rolls back if that fails
    Fix {
        /// Cure what diagnose finds at these; they must verify afterwards
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// How to connect and what to trust
        #[command(flatten)]
        connection: Connection,
        /// What to take out, and how
        #[command(flatten)]
        fix: FixArgs,
    },
    /// Why a certificate of this host was not renewed, or is not the one being served; with the patch
    Renewal {
        /// Only these: a certificate's name here, or one that it carries
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// What to do about it
        #[command(flatten)]
        renewal: RenewalArgs,
    },
    /// Put back what a fix or renewal changed
    Undo {
        /// The backup's identifier; the newest without one
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// Show what can be undone
        #[arg(long)]
        list: bool,
        /// Where the backups lie
        #[arg(long, value_name = "DIR")]
        backup_dir: Option<PathBuf>,
        /// Put back also what somebody else changed since
        #[arg(long)]
        force: bool,
    },
    /// Print the RUN snippet for an image, or patch FILE (a diff; --write to write it)
    Dockerfile(DockerfileArgs),
    /// A fresh handshake against the stores as they are now, with the real clients found here
    Verify {
        /// As for inspect
        #[arg(value_name = "TARGET")]
        targets: Vec<String>,
        /// How to connect and what to trust
        #[command(flatten)]
        connection: Connection,
    },
    /// What a finding means, how it was found, what to do, sources
    Explain {
        /// CDnnn or its name; all of them in one line each without one
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// What this program knows
    List {
        /// Which list
        #[arg(value_enum)]
        what: Listing,
    },
    /// Replay an outage in a private root with a loopback server
    Demo {
        /// Which outage
        #[arg(value_enum, default_value = "addtrust")]
        scenario: Scenario,
    },
    /// Man page, shell completions, JSON schema, and the generated documents
    Generate {
        /// What to print
        #[command(subcommand)]
        what: Generate,
    },
}

/// How to connect and what to trust: the names that users of s_client know.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection and trust")]
pub struct Connection {
    /// Go to this address, keep the target's name
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// Name to send in SNI; none sends none
    #[arg(long, value_name = "NAME|none")]
    pub servername: Option<String>,
    /// Speak this protocol before TLS
    #[arg(long, value_name = "PROTO", value_parser = starttls)]
    pub starttls: Option<StartTls>,
    /// Trust the certificates of this file instead of the host's stores
    #[arg(long = "CAfile", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Trust this hashed directory instead of the host's stores
    #[arg(long = "CApath", value_name = "DIR")]
    pub ca_path: Option<PathBuf>,
    /// The name that the certificate must carry; none checks no name
    #[arg(long, alias = "verify_hostname", value_name = "NAME|none")]
    pub verify_hostname: Option<String>,
    /// Application protocols to offer, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub alpn: Vec<String>,
    /// The CONNECT proxy
    #[arg(
        long,
        value_name = "URL|none",
        help = "CONNECT through this proxy (http://[user:password@]host:port); none ignores the environment's"
    )]
    pub proxy: Option<String>,
    /// Client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Accept any certificate of the store as an anchor (OpenSSL's X509_V_FLAG_PARTIAL_CHAIN)
    #[arg(long, alias = "partial_chain")]
    pub partial_chain: bool,
    /// OpenSSL's security level for the OpenSSL clients (0 to 5)
    #[arg(long, alias = "auth_level", value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub auth_level: Option<u8>,
    /// The purpose that the leaf must serve: sslserver, sslclient, smimesign, timestampsign, ocsphelper, any
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
    /// Offer TLS 1.2 only
    #[arg(long = "tls1_2", conflicts_with = "tls1_3")]
    pub tls1_2: bool,
    /// Offer TLS 1.3 only
    #[arg(long = "tls1_3")]
    pub tls1_3: bool,
}

impl Connection {
    /// The name that `--verify-hostname` gives, if it gives one.
    #[must_use]
    pub fn named(&self) -> Option<String> {
        self.verify_hostname.clone().filter(|name| name != "none")
    }
}

/// Flags of `fix`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Fix")]
pub struct FixArgs {
    /// Write it: backed up, atomic, refreshed, verified; rolled back if that fails
    #[arg(long, conflicts_with = "check")]
    pub apply: bool,
    /// Only say whether it would change anything (exit status 3)
    #[arg(long)]
    pub check: bool,
    /// Print the unified diff and nothing else: for patch -p0 and git apply, in the root directory
    #[arg(long)]
    pub diff: bool,
    /// Agree to what needs a yes: the name or SHA-256 of a local anchor (repeatable)
    #[arg(long, value_name = "ANCHOR", value_delimiter = ',')]
    pub yes: Vec<String>,
    /// Edit the sources only; leave bundle and links to the next refresh
    #[arg(long)]
    pub no_refresh: bool,
    /// Where to keep the backup; inside the tree of --root, when that is given [default: /var/lib/certdoctor/backup]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// List the processes that still hold the old store
    #[arg(long)]
    pub restart_list: bool,
    /// Only cure findings of this code
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Take out this anchor, by SHA-256 (or its beginning) or name
    #[arg(long, value_name = "SHA256|NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub anchor: Vec<String>,
    /// Comment the section out instead of cutting it (cert.pem)
    #[arg(long)]
    pub comment_out: bool,
    /// Go on although a target's only valid path would go
    #[arg(long)]
    pub force: bool,
}

/// Flags of `dockerfile`.
#[derive(Args, Clone, Debug, Default)]
pub struct DockerfileArgs {
    /// The Dockerfile to patch; without one the RUN snippet is printed
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The image that the snippet is for: debian:bookworm, alpine:3.20, …
    #[arg(long, value_name = "IMAGE", conflicts_with = "file")]
    pub base: Option<String>,
    /// The image's family, where its name does not tell
    #[arg(long, value_name = "FAMILY")]
    pub family: Option<String>,
    /// Patch this stage instead of the last
    #[arg(long, value_name = "NAME", requires = "file")]
    pub stage: Option<String>,
    /// Take out this anchor, by SHA-256 (or its beginning) or name; without it, what has expired
    #[arg(long, value_name = "SHA256|NAME")]
    pub anchor: Vec<String>,
    /// Upgrade the distribution's package first (needs the network while the image is built)
    #[arg(long)]
    pub upgrade: bool,
    /// A value for an ARG that the FROM line depends on (repeatable)
    #[arg(long, value_name = "NAME=VALUE", requires = "file")]
    pub build_arg: Vec<String>,
    /// Write the patched Dockerfile
    #[arg(long, requires = "file", conflicts_with = "check")]
    pub write: bool,
    /// Only say whether it would change anything (exit status 3)
    #[arg(long, requires = "file")]
    pub check: bool,
}

/// What `renewal` does about what it finds.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Renewal options")]
pub struct RenewalArgs {
    /// Write the patch, look again, and roll back if it did not help; never issues a certificate
    #[arg(long)]
    pub apply: bool,
    /// Only say whether it would change anything (exit status 3)
    #[arg(long, conflicts_with = "apply")]
    pub check: bool,
    /// Print the diff alone
    #[arg(long)]
    pub diff: bool,
    /// Put a file into each webroot, fetch it from this host's web server, and remove it
    #[arg(long, conflicts_with_all = ["apply", "check", "diff"])]
    pub self_test: bool,
    /// Where backups are kept
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// Also resolve the names of the certificates, and ask port 443 of their public addresses
    #[arg(long)]
    pub public: bool,
    /// A certificate that expires within this many days is worth a word
    #[arg(long, value_name = "DAYS", default_value = "14", value_parser = days)]
    pub watch_days: i64,
}

/// `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Client profiles
    Clients,
    /// Findings
    Findings,
    /// Output formats
    Formats,
    /// Certificate managers and servers that renewal knows
    Managers,
    /// Kinds of stores
    Stores,
}

/// `demo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 30 May 2020: AddTrust External CA Root
    Addtrust,
    /// 30 September 2021: DST Root CA X3
    DstRootX3,
}

/// `generate`.
#[derive(Clone, Debug, Subcommand)]
pub enum Generate {
    /// The man page, in roff
    Man,
    /// Completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// The JSON schema of --format json
    Schema,
    /// A generated document of docs/: clients, findings, stores or cli
    Docs {
        /// Which
        #[arg(value_enum)]
        document: Document,
    },
}

/// Generated documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Document {
    Clients,
    Findings,
    Managers,
    Stores,
}

fn days(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    number.parse().ok().filter(|n| (0..=36_500).contains(n)).ok_or_else(|| "write a number of days, such as 90 or 90d".to_owned())
}

fn starttls(text: &str) -> Result<StartTls, String> {
    StartTls::ALL.iter().find(|(name, ..)| *name == text).map(|(_, protocol, _)| *protocol).ok_or_else(|| {
        let known: Vec<&str> = StartTls::ALL.iter().map(|(name, ..)| *name).collect();
        format!("known protocols: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_named_command_is_read_as_among_all() {
        let lines = [
            "scan --root /srv/image --at 2026-11-22 --within 30",
            "inspect a.example:8443 --CAfile ca.pem --format json --client go,java-17",
            "fix --anchor Dead --apply --yes Dead --deny CD301",
            "renewal a.example --public",
            "dockerfile Dockerfile --write",
            "list findings",
        ];
        for line in lines {
            let words: Vec<OsString> = ["certdoctor"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            let named = Cli::named(line.split(' ').next().expect("a command"), &words);
            let all = Cli::try_parse_from(&words);
            assert_eq!(format!("{:?}", named.expect(line)), format!("{:?}", all.expect(line)));
        }
        for line in ["scan --nonsense", "scan --help", "nonsense", "--root / scan"] {
            let words: Vec<OsString> = ["certdoctor"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            let told = |read: Result<Cli, clap::Error>| read.map(|cli| format!("{cli:?}")).map_err(|e| e.to_string());
            assert_eq!(told(Cli::of(&words)), told(Cli::try_parse_from(&words)), "{line}");
        }
    }
}
