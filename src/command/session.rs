//! What the commands have in common: options turned into a request, gathering, judging, and the frame of a report.

use std::{collections::BTreeSet, io, path::Path};

use crate::{
    base::{At, TreePath, shell},
    cli::{Connection, Format, Global},
    client::{self, Client},
    command::{Machine, Outcome, target},
    facts::{Endpoint, Facts, FileState, Protocol, Redirect, Target, TargetSource},
    finding::Severity,
    gather::{self, Request, Sources},
    host::{DirTree, Hello, Tree as _, on_this_host},
    judge::{self, Inquiry, Judgement},
    path::Verdict,
    plan, render, renewal,
    report::Report,
    x509::Purpose,
};

/// The tool could not do what was asked: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure(error.to_string())
    }
}

/// One run: the machine, the tree that is looked at, and what was asked for.
pub struct Session<'a> {
    /// The machine.
    pub machine: &'a Machine<'a>,
    /// Options of every command.
    pub global: Global,
    /// How to connect and what to trust.
    pub connection: Connection,
    /// The tree that is looked at: `/`, or `--root`.
    pub tree: DirTree,
    /// This host's own tree: targets and CA files are named in it.
    pub files: DirTree,
    /// The directory that relative names count from.
    pub cwd: TreePath,
    /// The clients to ask.
    pub clients: Vec<Client>,
    /// The purpose that leaves must serve.
    pub purpose: Purpose,
    /// The instant of judgement.
    pub at: At,
    /// Whether to colour.
    pub color: bool,
}

impl<'a> Session<'a> {
    /// Checks the options and opens the trees.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn open(machine: &'a Machine<'a>, global: Global, connection: Connection, color: bool) -> Result<Self, Failure> {
        let open = |path: &Path| {
            DirTree::new(path).map_err(|e| {
                Failure(format!("can't open {}: {e}; give the directory of an unpacked root file system", path.display()))
            })
        };
        let tree = open(global.root.as_deref().unwrap_or(Path::new("/")))?;
        let files = open(Path::new("/"))?;
        let cwd = on_this_host(Path::new("."))?;
        let clients = clients(&global.client, global.format, &connection)?;
        let purpose = purpose(connection.purpose.as_deref())?;
        let at = global.at.unwrap_or(machine.now);
        Ok(Session { machine, global, connection, tree, files, cwd, clients, purpose, at, color })
    }

    /// The targets as typed, `@FILE` read.
    ///
    /// # Errors
    /// A target that can't be read as one.
    pub fn targets(&self, typed: &[String]) -> Result<Vec<Target>, Failure> {
        let mut texts = Vec::new();
        for text in typed {
            match text.strip_prefix('@') {
                Some(file) => {
                    let (bytes, _) = self.read(Path::new(file))?;
                    let list = String::from_utf8_lossy(&bytes).into_owned();
                    texts.extend(list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
                }
                None => texts.push(text.clone()),
            }
        }
        if let (true, Some(address)) = (texts.is_empty(), &self.connection.connect) {
            texts.push(address.clone());
        }
        let mut targets = Vec::new();
        for text in &texts {
            let mut target = target::parse(text, &self.connection, &self.cwd).map_err(|e| Failure(e.to_string()))?;
            // A bare word that is the name of a file here is that file.
            let place = self.cwd.join(text);
            if matches!(target.source, TargetSource::Server { .. }) && !text.contains(':') && self.files.exists(&place) {
                target = Target { text: text.clone(), source: TargetSource::File(place), host: self.connection.named() };
            }
            // As s_client: no name is checked unless it is asked for.
            if self.global.format == Format::SClient && self.connection.verify_hostname.is_none() {
                target.host = None;
            }
            targets.push(target);
        }
        Ok(targets)
    }

    /// A file of this host.
    ///
    /// # Errors
    /// Its name and why it can't be read.
    pub fn read(&self, path: &Path) -> Result<(Vec<u8>, TreePath), Failure> {
        let place = on_this_host(path)?;
        let (bytes, resolved) = self
            .files
            .read(&place, crate::base::Limits::DEFAULT.file)
            .map_err(|e| Failure(format!("can't read {}: {e}", path.display())))?;
        Ok((bytes, resolved.path))
    }

    /// How to say hello.
    ///
    /// # Errors
    /// An address or file that can't be used.
    pub fn hello(&self) -> Result<Hello, Failure> {
        let connection = &self.connection;
        let connect = connection.connect.as_deref().map(target::address).transpose().map_err(|e| Failure(e.to_string()))?;
        let identity = match (&connection.cert, &connection.key) {
            (Some(cert), Some(key)) => Some((self.read(cert)?.0, self.read(key)?.0)),
            _ => None,
        };
        let proxy = match connection.proxy.as_deref() {
            Some("none") => None,
            Some(url) => Some(url.to_owned()),
            None => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
                .iter()
                .find_map(|v| self.machine.env.get(v))
                .map(str::to_owned),
        };
        Ok(Hello {
            connect,
            servername: connection.servername.as_ref().map(|name| (name != "none").then(|| name.clone())),
            alpn: connection.alpn.clone(),
            proxy,
            only: if connection.tls1_2 {
                Some(Protocol::Tls12)
            } else if connection.tls1_3 {
                Some(Protocol::Tls13)
            } else {
                None
            },
            identity,
            once: false,
            timeout: self.global.timeout,
        })
    }

    /// The hosts that the environment's proxy is not for; an explicit `--proxy` is for all.
    #[must_use]
    pub fn no_proxy(&self) -> Option<&str> {
        match self.connection.proxy {
            Some(_) => None,
            None => ["no_proxy", "NO_PROXY"].iter().find_map(|v| self.machine.env.get(v)),
        }
    }

    /// What one client says about one endpoint.
    ///
    /// # Errors
    /// As [`Session::inquiry`].
    pub fn ask_one(&self, facts: &Facts, client: &Client, endpoint: usize) -> Result<Verdict, Failure> {
        Ok(judge::one(facts, &self.inquiry(0)?, client, endpoint))
    }

    /// Gathers afresh: nothing of an earlier look is used.
    ///
    /// # Errors
    /// What can't be read although it was named.
    pub fn gather(&self, targets: &[Target]) -> Result<Facts, Failure> {
        let hello = self.hello()?;
        let request = Request {
            targets,
            hello: &hello,
            jobs: usize::from(self.global.jobs),
            ca_file: self.connection.ca_file.as_deref().map(on_this_host).transpose()?,
            ca_path: self.connection.ca_path.as_deref().map(on_this_host).transpose()?,
            at: self.at,
            injected: self.global.at.is_some(),
            live: self.global.root.is_none(),
            no_proxy: self.no_proxy(),
        };
        let sources = Sources {
            tree: &self.tree,
            files: &self.files,
            env: &self.machine.env,
            dial: self.machine.dial,
            stdin: self.machine.stdin,
        };
        let facts = gather::gather(&sources, &request);
        match facts.given.as_ref().and_then(unusable) {
            Some(why) => Err(Failure(why)),
            None => Ok(facts),
        }
    }

    /// Gathers the server side afresh; with `public` also what the public addresses of its names answer.
    ///
    /// # Errors
    /// As [`Session::gather`].
    pub fn gather_renewal(&self, public: bool) -> Result<Facts, Failure> {
        let clock = crate::facts::Clock {
            at: self.at,
            injected: self.global.at.is_some(),
            built: crate::host::clock::built(),
            newest_file: None,
            server_dates: Vec::new(),
        };
        Ok(gather::renewal(&renewal::Host { public, ..self.renewal_host() }, clock))
    }

    /// What the readers of the server side are lent.
    #[must_use]
    pub fn renewal_host(&self) -> renewal::Host<'_> {
        renewal::Host {
            tree: &self.tree,
            dial: self.machine.dial,
            live: self.global.root.is_none(),
            public: false,
            at: self.at,
            now: self.machine.now,
            timeout: self.global.timeout,
            jobs: usize::from(self.global.jobs),
        }
    }

    /// Judges what was gathered.
    ///
    /// # Errors
    /// A code that does not exist.
    pub fn judge(&self, facts: &Facts, within: i64) -> Result<Judgement, Failure> {
        Ok(judge::judge(facts, &self.inquiry(within)?))
    }

    /// What is asked of the facts.
    ///
    /// # Errors
    /// A code that does not exist.
    pub fn inquiry(&self, within: i64) -> Result<Inquiry, Failure> {
        let mut regrade = Vec::new();
        for (names, severity) in
            [(&self.global.allow, Severity::Note), (&self.global.warn, Severity::Warning), (&self.global.deny, Severity::Error)]
        {
            for name in names {
                crate::check::find(name)
                    .ok_or_else(|| Failure(format!("no finding is called `{name}`; certdoctor list findings shows them")))?;
                regrade.push((name.clone(), severity));
            }
        }
        Ok(Inquiry { at: self.at, within, horizon: None, purpose: self.purpose.clone(), clients: self.clients.clone(), regrade })
    }

    /// The report of facts and judgement.
    #[must_use]
    pub fn report(&self, command: &'static str, mut facts: Facts, mut judgement: Judgement) -> Report {
        for finding in &mut judgement.findings {
            // What mends a store is done in its root; what looks at a server, where one stands.
            let of_store = finding.code.starts_with("CD3") || finding.code.starts_with("CD4");
            for remedy in &mut finding.remedies {
                remedy.command = remedy.command.take().map(|c| self.to_copy(&c, of_store, &facts.endpoints));
            }
        }
        for endpoint in facts.endpoints.iter().filter(|e| e.outcome.is_ok() && e.target.host.is_none()) {
            let what = format!("the name in the certificate of {}", endpoint.target);
            facts.not_checked.push((what, "none was asked for: --verify-hostname NAME".to_owned()));
        }
        facts.not_checked.extend(judgement.broken.into_iter().map(|b| (format!("check {}", b.code), b.why)));
        Report {
            command,
            at: self.at,
            request: self.request(&facts),
            root: self.root(),
            options: self.options(true, ""),
            facts,
            verdicts: judgement.verdicts,
            paths: judgement.paths,
            findings: judgement.findings,
            causes: judgement.causes,
            headlines: judgement.headlines,
            plan: None,
            applied: None,
            verified: Vec::new(),
            restart: None,
            fail_on: self.global.fail_on.into(),
            verbosity: if self.global.quiet { -1 } else { i8::try_from(self.global.verbose).unwrap_or(i8::MAX) },
        }
    }

    /// A remedy's command with the options of this run that it needs to mean the same here.
    fn to_copy(&self, command: &str, of_store: bool, endpoints: &[Endpoint]) -> String {
        let Some(arguments) = command.strip_prefix("certdoctor ") else {
            return match &self.global.root {
                Some(root)
                    if of_store
                        || ["apk ", "apt-get ", "cp ", "update-ca-certificates"].iter().any(|c| command.starts_with(c)) =>
                {
                    format!("chroot {} sh -c {}", shell(&root.display().to_string()), shell(command))
                }
                _ => command.to_owned(),
            };
        };
        let names_target = endpoints.iter().any(|e| arguments.split(' ').any(|word| word.trim_matches('\'') == e.target.text));
        format!("certdoctor {arguments}{}", self.options(names_target, arguments))
    }

    /// The options of this run that a command needs to mean the same here, but for those that it has.
    fn options(&self, about_target: bool, has: &str) -> String {
        let path = |p: &Option<std::path::PathBuf>| p.as_ref().map(|p| shell(&p.display().to_string()));
        let options = [
            ("--root", path(&self.global.root), true),
            ("--connect", self.connection.connect.as_deref().map(shell), about_target),
            ("--starttls", self.connection.starttls.map(|p| p.name().to_owned()), about_target),
            ("--servername", self.connection.servername.as_deref().map(shell), about_target),
            ("--verify-hostname", self.connection.verify_hostname.as_deref().map(shell), about_target),
            ("--CAfile", path(&self.connection.ca_file), about_target),
            ("--CApath", path(&self.connection.ca_path), about_target),
        ];
        let wanted = options.into_iter().filter(|(name, _, wanted)| *wanted && !has.contains(name));
        wanted.filter_map(|(name, value, _)| Some(format!(" {name} {}", value?))).collect()
    }

    /// Advice beside a plan, in one line: what has a command is the better way, the rest is worth knowing.
    pub fn advice(&self, advice: &plan::Advice) -> String {
        match &advice.command {
            Some(command) => format!("better: {}: {}", advice.text, self.to_copy(command, true, &[])),
            None => format!("note: {}", advice.text),
        }
    }

    /// A failure whose paths count from the root that is looked at.
    pub fn in_root(&self, error: impl std::fmt::Display) -> Failure {
        Failure(self.root().map_or_else(|| error.to_string(), |root| format!("in {root}: {error}")))
    }

    /// `--root`, as typed.
    #[must_use]
    pub fn root(&self) -> Option<String> {
        self.global.root.as_ref().map(|r| r.display().to_string())
    }

    fn request(&self, facts: &Facts) -> Vec<(&'static str, Vec<String>)> {
        let mut request = vec![("target", facts.endpoints.iter().map(|e| e.target.text.clone()).collect::<Vec<_>>())];
        request.push(("client", self.global.client.clone()));
        let path = |p: &Option<std::path::PathBuf>| p.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
        request.push(("CAfile", path(&self.connection.ca_file)));
        request.push(("CApath", path(&self.connection.ca_path)));
        request.push(("partial_chain", self.connection.partial_chain.then(|| "yes".to_owned()).into_iter().collect()));
        request.push(("connect", self.connection.connect.iter().cloned().collect()));
        request.retain(|(_, values)| !values.is_empty());
        request
    }

    /// The report as bytes, and its exit status.
    #[must_use]
    pub fn finish(&self, report: &Report, status: u8) -> Outcome {
        let out = match self.global.format {
            Format::Json => render::json::render(report),
            // s_client's form is inspect's alone, which renders it itself.
            Format::Human | Format::SClient => {
                render::human::render(report, render::human::Style::new(self.color, self.machine.width))
            }
        };
        Outcome { out: out.into_bytes(), err: String::new(), status }
    }
}

/// Why a store that was named by `--CAfile` or `--CApath` can't be used at all: a slip of the pen must not look like an outage.
fn unusable(given: &Redirect) -> Option<String> {
    if let Some(file) = &given.file {
        let why = match &file.state {
            FileState::Read { .. } if file.certificates().next().is_none() => "no certificate in it".to_owned(),
            FileState::Read { .. } => return None,
            FileState::Missing => "no such file".to_owned(),
            FileState::NotAFile(what) => format!("it is a {what}"),
            FileState::TooLarge(len) => format!("it has {len} bytes, more than is read"),
            FileState::Unreadable(why) => why.clone(),
        };
        return Some(format!("can't use --CAfile {}: {why}", file.path));
    }
    given.directories.iter().find_map(|d| d.state.as_ref().err().map(|why| format!("can't use --CApath {}: {why}", d.path)))
}

/// The clients that were asked for: by name, every one, or those shown when nothing is said; with the options of `openssl verify`.
fn clients(names: &[String], format: Format, connection: &Connection) -> Result<Vec<Client>, Failure> {
    let mut clients: Vec<Client> = Vec::new();
    if names.is_empty() && format == Format::SClient {
        clients.push(client::resolve("s_client").map_err(|e| Failure(e.to_string()))?);
    } else if names.is_empty() {
        clients = client::default_clients().map_err(|e| Failure(e.to_string()))?;
    }
    for name in names {
        if name == "all" {
            clients.extend(client::ALL.iter().map(|profile| profile.client()));
        } else {
            clients.push(client::resolve(name).map_err(|e| Failure(e.to_string()))?);
        }
    }
    let mut seen = BTreeSet::new();
    clients.retain(|c| seen.insert(c.id.clone()));
    let mut options = Vec::new();
    if connection.partial_chain {
        options.push("partial".to_owned());
    }
    options.extend(connection.auth_level.map(|level| format!("seclevel{level}")));
    for option in &options {
        // Clients that don't build on OpenSSL have no such option; they are asked as they are.
        clients = clients.into_iter().map(|c| c.with_option(option).unwrap_or(c)).collect();
    }
    Ok(clients)
}

/// `--purpose`, by the names of `openssl verify`.
fn purpose(name: Option<&str>) -> Result<Purpose, Failure> {
    Ok(match name {
        None | Some("sslserver" | "nssslserver") => Purpose::ServerAuth,
        Some("sslclient") => Purpose::ClientAuth,
        Some("smimesign" | "smimeencrypt") => Purpose::EmailProtection,
        Some("timestampsign") => Purpose::TimeStamping,
        Some("ocsphelper") => Purpose::OcspSigning,
        Some("any") => Purpose::Any,
        Some(other) => {
            return Err(Failure(format!(
                "unknown purpose `{other}`; sslserver, sslclient, smimesign, timestampsign, ocsphelper, any"
            )));
        }
    })
}

/// The exit status of a look: 1 when a client refuses or something stands at or above `--fail-on`, 2 when nothing could be looked at.
#[must_use]
pub fn status(report: &Report) -> u8 {
    let endpoints = &report.facts.endpoints;
    if !endpoints.is_empty() && endpoints.iter().all(|e| e.outcome.is_err()) {
        return 2;
    }
    u8::from(report.has_failures() || report.is_refused())
}
