//! What the commands have in common: options turned into a request, gathering, judging, and the frame of a report.

use std::{collections::BTreeSet, io, path::Path};

use crate::{
    base::{At, Fingerprint, TreePath, shell},
    cli::{Connection, Format, Global},
    client::{self, Client},
    command::{Machine, Outcome, target},
    facts::{Endpoint, Facts, FileState, Protocol, Redirect, Target, TargetSource},
    finding::{Finding, Intent, Severity},
    gather::{self, Request, Sources},
    host::{DirTree, Hello, ImageTree, Tree as _, TreeMut, on_this_host},
    judge::{self, Grade, Inquiry, Judgement},
    path::Verdict,
    plan::{
        self,
        dockerfile::{Anchor, DockerfileError},
    },
    policy::Policy,
    render, renewal,
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
    /// The tree that is looked at: `/`, `--root` or `--image`.
    pub tree: Ground,
    /// This host's own tree: targets and CA files are named in it.
    pub files: DirTree,
    /// The directory that relative names count from.
    pub cwd: TreePath,
    /// The clients to ask.
    pub clients: Vec<Client>,
    /// The purpose that leaves must serve.
    pub purpose: Purpose,
    /// What holds for every run here, and the file that says so.
    pub policy: Option<(String, Policy)>,
    /// The instant of judgement.
    pub at: At,
    /// Whether to colour.
    pub color: bool,
}

/// What a run stands on.
#[derive(Debug)]
pub enum Ground {
    /// A directory of this host: `/`, or an unpacked root.
    Directory(DirTree),
    /// An image in an archive, which can be read only.
    Image(Box<ImageTree>),
}

impl std::ops::Deref for Ground {
    type Target = dyn TreeMut;

    fn deref(&self) -> &Self::Target {
        match self {
            Ground::Directory(tree) => tree,
            Ground::Image(tree) => &**tree,
        }
    }
}

impl<'a> Session<'a> {
    /// Whether this host is looked at, and not a root or an image.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.global.root.is_none() && self.global.image.is_none()
    }

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
        let tree = match &global.image {
            Some(file) => {
                let image =
                    ImageTree::open(file).map_err(|e| Failure(format!("can't read the image {}: {e}", file.display())))?;
                Ground::Image(Box::new(image))
            }
            None => Ground::Directory(open(global.root.as_deref().unwrap_or(Path::new("/")))?),
        };
        let files = open(Path::new("/"))?;
        let cwd = on_this_host(Path::new("."))?;
        let policy = policy(&files, &cwd, global.policy.as_deref())?;
        let wanted = match &policy {
            Some((_, policy)) if global.client.is_empty() && global.format != Format::SClient => &policy.clients,
            _ => &global.client,
        };
        let clients = clients(wanted, global.format, &connection)?;
        let purpose = purpose(connection.purpose.as_deref())?;
        let at = global.at.unwrap_or(machine.now);
        Ok(Session { machine, global, connection, tree, files, cwd, clients, purpose, policy, at, color })
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
                    texts.extend(listed(file, &bytes)?);
                }
                None => texts.push(text.clone()),
            }
        }
        if let (true, Some(address)) = (texts.is_empty(), &self.connection.connect) {
            texts.push(address.clone());
        }
        self.parsed(&texts)
    }

    /// The targets as typed; where none is, those of the policy.
    ///
    /// # Errors
    /// As [`Session::targets`]; no target at all.
    pub fn targets_or_policy(&self, typed: &[String]) -> Result<Vec<Target>, Failure> {
        let targets = self.targets(typed)?;
        if !targets.is_empty() || !typed.is_empty() {
            return Ok(targets);
        }
        let guarded = self.guarded()?;
        if guarded.is_empty() {
            let usage = "no target: name one (host, host:port, a file, - or @FILE), or list targets in certdoctor.toml";
            return Err(Failure(usage.to_owned()));
        }
        Ok(guarded)
    }

    /// The targets that the policy guards.
    ///
    /// # Errors
    /// A target that can't be read as one.
    pub fn guarded(&self) -> Result<Vec<Target>, Failure> {
        self.policy.as_ref().map_or(Ok(Vec::new()), |(_, policy)| self.parsed(&policy.targets))
    }

    fn parsed(&self, texts: &[String]) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::new();
        for text in texts {
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
            live: self.is_live(),
            no_proxy: self.no_proxy(),
        };
        let sources = Sources {
            tree: &*self.tree,
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
        Ok(gather::renewal(&renewal::Host { public, ..self.renewal_host() }, self.clock()))
    }

    fn clock(&self) -> crate::facts::Clock {
        crate::facts::Clock {
            at: self.at,
            injected: self.global.at.is_some(),
            built: crate::host::clock::built(),
            newest_file: None,
            server_dates: Vec::new(),
        }
    }

    /// The report on a Dockerfile.
    ///
    /// # Errors
    /// As [`Session::inquiry`].
    pub fn report_on(&self, dockerfile: crate::facts::Dockerfile) -> Result<Report, Failure> {
        let facts = Facts { dockerfile: Some(dockerfile), ..Facts::new(self.clock()) };
        let judgement = self.judge(&facts, 0)?;
        Ok(self.report("dockerfile", facts, judgement))
    }

    /// What the readers of the server side are lent.
    #[must_use]
    pub fn renewal_host(&self) -> renewal::Host<'_> {
        renewal::Host {
            tree: &*self.tree,
            dial: self.machine.dial,
            live: self.is_live(),
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
        let mut regrade = self.grades()?;
        for (names, severity) in
            [(&self.global.allow, Severity::Note), (&self.global.warn, Severity::Warning), (&self.global.deny, Severity::Error)]
        {
            for name in names {
                crate::check::find(name)
                    .ok_or_else(|| Failure(format!("no finding is called `{name}`; certdoctor list findings shows them")))?;
                regrade.push(Grade { name: name.clone(), severity, why: None });
            }
        }
        Ok(Inquiry { at: self.at, within, horizon: None, purpose: self.purpose.clone(), clients: self.clients.clone(), regrade })
    }

    /// The grades of the policy that are in force.
    fn grades(&self) -> Result<Vec<Grade>, Failure> {
        let Some((file, policy)) = &self.policy else { return Ok(Vec::new()) };
        let mut grades = Vec::new();
        for regrade in &policy.regrade {
            let name = &regrade.code;
            crate::check::find(name)
                .ok_or_else(|| Failure(format!("{file}: no finding is called `{name}`; certdoctor list findings shows them")))?;
            if regrade.until > self.at {
                let why = format!("by {file} until {}: {}", regrade.until, regrade.reason);
                grades.push(Grade { name: name.clone(), severity: regrade.severity, why: Some(why) });
            }
        }
        Ok(grades)
    }

    /// The grades of the policy that have come to their end: who wrote them believes that they hold.
    fn ended(&self) -> String {
        let Some((file, policy)) = &self.policy else { return String::new() };
        let ended = policy.regrade.iter().filter(|r| r.until <= self.at);
        ended
            .map(|r| {
                format!("note: {file}: the grade of {} ended {}: it has its own severity again ({})\n", r.code, r.until, r.reason)
            })
            .collect()
    }

    /// The report of facts and judgement.
    #[must_use]
    pub fn report(&self, command: &'static str, mut facts: Facts, mut judgement: Judgement) -> Report {
        for finding in &mut judgement.findings {
            // What mends a store is done in its root; what looks at a server, where one stands.
            let of_store = is_of_store(finding.code);
            self.name_layers(finding);
            for remedy in &mut finding.remedies {
                let Some(command) = remedy.command.take() else { continue };
                match (self.in_image(&command, finding.code), &remedy.intent) {
                    (None, _) => remedy.command = Some(self.to_copy(&command, of_store, &facts.endpoints)),
                    // Its stores are changed by building it anew.
                    (Some(_), Intent::Distrust(anchor, _)) if command.starts_with("certdoctor ") => {
                        match self.anew(&facts, &[anchor.fingerprint()]) {
                            Some(Ok(command)) => remedy.command = Some(command),
                            Some(Err(why)) => remedy.text = format!("{}; {why}", remedy.text),
                            None => {}
                        }
                    }
                    // What is done in it is not done on this host.
                    (Some(place), _) => remedy.text = format!("{}; {place}: {command}", remedy.text),
                }
            }
        }
        for endpoint in facts.endpoints.iter().filter(|e| e.outcome.is_ok() && e.target.host.is_none()) {
            let what = format!("the name in the certificate of {}", endpoint.target);
            facts.not_checked.push((what, "none was asked for: --verify-hostname NAME".to_owned()));
        }
        if let Ground::Image(image) = &self.tree {
            let open = image.layers().iter().filter(|layer| !layer.ended);
            let why = "no block of zeros ends it: if it was cut between two files, the rest is not seen";
            facts.not_checked.extend(open.map(|layer| (format!("the end of layer {}", layer.number), why.to_owned())));
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
            compare: false,
            fail_on: self.global.fail_on.into(),
            verbosity: if self.global.quiet { -1 } else { i8::try_from(self.global.verbose).unwrap_or(i8::MAX) },
        }
    }

    /// Says of each place in an image which layer brought it in.
    fn name_layers(&self, finding: &mut Finding) {
        let Ground::Image(image) = &self.tree else { return };
        for evidence in &mut finding.evidence {
            let Some(layer) = evidence.path.as_ref().and_then(|path| image.layer(path)) else { continue };
            let made_by = layer.made_by.as_deref().map(|by| format!(": {}", shortened(by))).unwrap_or_default();
            let layer = format!("layer {} of {}{made_by}", layer.number, image.layers().len());
            evidence.what = if evidence.what.is_empty() { layer } else { format!("{}, {layer}", evidence.what) };
        }
    }

    /// Where a command of a finding of this code is to be run that is about the image that is looked at; `None` where it is run here.
    fn in_image(&self, command: &str, code: &str) -> Option<&'static str> {
        self.global.image.as_ref()?;
        match command.strip_prefix("certdoctor ") {
            Some(arguments) => arguments.starts_with("fix ").then_some(IN_BUILD),
            None if is_of_store(code) || installs(command) => Some(IN_BUILD),
            None => code.starts_with("CD7").then_some("in a container of the image"),
        }
    }

    /// The command that takes these anchors out of the image that is looked at, for its next build, or why none can; `None` where no
    /// image is.
    #[must_use]
    pub fn anew(&self, facts: &Facts, anchors: &[Fingerprint]) -> Option<Result<String, DockerfileError>> {
        let mut command = format!("certdoctor dockerfile --image {}", shell(&self.global.image.as_ref()?.display().to_string()));
        let mut refused = None;
        let mut refuse = |why| {
            refused.get_or_insert(why);
        };
        let mut any = false;
        for print in anchors {
            let held = facts.stores.iter().map(|store| Anchor::from_store(store, *print));
            match held.into_iter().find(|held| !matches!(held, Err(DockerfileError::AbsentAnchor(_)))) {
                Some(Ok(_)) => {
                    any = true;
                    command.push_str(&format!(" --anchor {}", print.short()));
                }
                Some(Err(why)) => refuse(why),
                None => refuse(DockerfileError::AbsentAnchor(*print)),
            }
        }
        match refused {
            Some(why) if !any => Some(Err(why)),
            _ => Some(Ok(command)),
        }
    }

    /// A remedy's command with the options of this run that it needs to mean the same here.
    fn to_copy(&self, command: &str, of_store: bool, endpoints: &[Endpoint]) -> String {
        let Some(arguments) = command.strip_prefix("certdoctor ") else {
            return match &self.global.root {
                Some(root) if of_store || installs(command) => {
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
            ("--image", path(&self.global.image), true),
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
            Some(command) if self.global.image.is_some() => format!("better: {}; {IN_BUILD}: {command}", advice.text),
            Some(command) => format!("better: {}: {}", advice.text, self.to_copy(command, true, &[])),
            None => format!("note: {}", advice.text),
        }
    }

    /// A failure whose paths count from the root that is looked at.
    pub fn in_root(&self, error: impl std::fmt::Display) -> Failure {
        Failure(self.root().map_or_else(|| error.to_string(), |root| format!("in {root}: {error}")))
    }

    /// `--root` or `--image`, as typed.
    #[must_use]
    pub fn root(&self) -> Option<String> {
        self.global.root.as_ref().or(self.global.image.as_ref()).map(|r| r.display().to_string())
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
        let (out, status) = match self.global.format {
            Format::Ansible => (render::configuration::ansible(report, status), status),
            Format::Github => (render::github::render(report), status),
            Format::Json => (render::json::render(report), status),
            Format::Junit => (render::junit::render(report), status),
            Format::Markdown => (render::markdown::render(report), status),
            Format::Nagios => (render::nagios::render(report), render::nagios::status(report)),
            // A target that is down is a metric, and no reason to keep the old ones: 2 is for a run that has none.
            Format::Prometheus => (render::prometheus::render(report), if status == 2 { 1 } else { status }),
            Format::Salt => (render::configuration::salt(report, status), status),
            Format::Sarif => (render::sarif::render(report), status),
            // s_client's form is inspect's alone, which renders it itself.
            Format::Human | Format::SClient => {
                (render::human::render(report, render::human::Style::new(self.color, self.machine.width)), status)
            }
        };
        Outcome { out: out.into_bytes(), err: self.ended(), status }
    }
}

/// Where the stores of an image are changed.
const IN_BUILD: &str = "as a RUN instruction of its Dockerfile";

/// Whether a finding of this code is about a store, and not about a target.
fn is_of_store(code: &str) -> bool {
    code.starts_with("CD3") || code.starts_with("CD4")
}

/// Whether a command changes what is installed.
fn installs(command: &str) -> bool {
    ["apk ", "apt-get ", "cp ", "update-ca-certificates"].iter().any(|program| command.starts_with(program))
}

/// The targets of a list, one a line; `#` begins a comment, and editors of Windows put a byte order mark before the first.
fn listed(file: &str, bytes: &[u8]) -> Result<Vec<String>, Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + memchr::memchr_iter(b'\n', &bytes[..e.valid_up_to()]).count();
        Failure(format!("{file}:{line}: this is not UTF-8 text; write one target a line"))
    })?;
    let targets: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    match targets.is_empty() {
        true => Err(Failure(format!("no target in {file}; write one a line"))),
        false => Ok(targets),
    }
}

/// A step of an image's history without what Docker puts before it, cut to a line.
fn shortened(made_by: &str) -> String {
    let step = made_by.trim_start_matches("/bin/sh -c ").trim_start_matches("#(nop) ").trim();
    let line: String = step.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(72) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The policy: the file that was named, or the first of the usual ones that is there.
fn policy(files: &DirTree, cwd: &TreePath, named: Option<&Path>) -> Result<Option<(String, Policy)>, Failure> {
    let (name, place) = match named {
        Some(file) if file == Path::new("none") => return Ok(None),
        Some(file) => (file.display().to_string(), on_this_host(file)?),
        None => {
            let usual =
                [("certdoctor.toml", cwd.join("certdoctor.toml")), ("/etc/certdoctor.toml", "/etc/certdoctor.toml".into())];
            match usual.into_iter().find(|(_, place)| files.exists(place)) {
                Some((name, place)) => (name.to_owned(), place),
                None => return Ok(None),
            }
        }
    };
    let (bytes, _) = files
        .read(&place, crate::base::Limits::DEFAULT.file)
        .map_err(|e| Failure(format!("can't read the policy {name}: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure(format!("{name} is not UTF-8 text")))?;
    let policy = Policy::parse(&text).map_err(|e| Failure(format!("{name}: {e}")))?;
    Ok(Some((name, policy)))
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
