//! From the host to facts: the first half of every run, and again after every change.
//!
//! Absent on purpose: opinions, and memory of an earlier look.

use std::io;

use crate::{
    base::{At, Limits, TreePath},
    facts::{
        CertFile, Clock, ConnectFailure, Endpoint, Environment, Facts, FileState, HashDirectory, Override, Presented, Redirect,
        Store, Target, TargetSource,
    },
    format::sniff,
    host::{Dial, Env, Hello, TRUST_VARIABLES, Tree, clock, in_order, terminal::Progress},
    renewal,
    store::{self, hash_directory, read::Reader},
};

/// Where facts come from.
pub struct Sources<'a> {
    /// The tree that is looked at: `/`, or `--root`.
    pub tree: &'a dyn Tree,
    /// This host's own tree: targets and CA files are named in it.
    pub files: &'a dyn Tree,
    /// The environment of this process; it counts only when this host is looked at.
    pub env: &'a Env,
    /// Talking to servers.
    pub dial: &'a dyn Dial,
    /// Standard input.
    pub stdin: &'a (dyn Fn() -> io::Result<Vec<u8>> + Sync),
}

/// What to gather.
pub struct Request<'a> {
    /// The targets.
    pub targets: &'a [Target],
    /// How to say hello to those that are servers.
    pub hello: &'a Hello,
    /// How many at once.
    pub jobs: usize,
    /// `--CAfile`.
    pub ca_file: Option<TreePath>,
    /// `--CApath`.
    pub ca_path: Option<TreePath>,
    /// The instant of judgement.
    pub at: At,
    /// Whether `--at` gave it.
    pub injected: bool,
    /// Whether this host is looked at, not a root.
    pub live: bool,
    /// Hosts that the proxy of the environment is not for, as in `NO_PROXY`.
    pub no_proxy: Option<&'a str>,
}

/// Gathers.
#[must_use]
pub fn gather(sources: &Sources<'_>, request: &Request<'_>) -> Facts {
    let given = (request.ca_file.is_some() || request.ca_path.is_some()).then(|| Redirect {
        file: request.ca_file.as_ref().map(|path| file(sources.files, path)),
        directories: request.ca_path.iter().map(|path| directory(sources.files, path)).collect(),
    });
    // With --CAfile or --CApath no client reads the host's stores, and no variable leads it elsewhere.
    let stores: Vec<Store> = match given {
        Some(_) => Vec::new(),
        None => store::load_all(sources.tree),
    };
    let environment = if request.live && given.is_none() { environment(sources) } else { Environment::default() };
    let progress = Progress::new(request.targets.len());
    let endpoints = in_order(request.targets, request.jobs, |target| {
        let outcome = look(sources, &for_target(request.hello, target, request.no_proxy), target);
        progress.tick();
        Endpoint { target: target.clone(), only: request.hello.only, outcome }
    });
    drop(progress);
    let not_checked = not_checked(&stores);
    let clock = Clock {
        at: request.at,
        injected: request.injected,
        built: clock::built(),
        newest_file: newest(&stores),
        server_dates: endpoints.iter().filter_map(|e| Some((e.target.text.clone(), e.outcome.as_ref().ok()?.date?))).collect(),
    };
    Facts { stores, given, endpoints, environment, renewal: None, dockerfile: None, clock, not_checked }
}

/// The hello for one target: without the proxy when `NO_PROXY` (curl's rules: names and their subdomains, `*`, addresses) or a loopback
/// address says so.
#[must_use]
pub fn for_target(hello: &Hello, target: &Target, no_proxy: Option<&str>) -> Hello {
    let TargetSource::Server { host, .. } = &target.source else { return hello.clone() };
    let host = hello.connect.as_ref().map_or(host, |(host, _)| host).to_ascii_lowercase();
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let spared = no_proxy
        .unwrap_or_default()
        .split(',')
        .map(|n| n.trim().trim_start_matches('.').to_ascii_lowercase())
        .any(|name| name == "*" || (!name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))));
    match no_proxy.is_some() && (local || spared) {
        true => Hello { proxy: None, ..hello.clone() },
        false => hello.clone(),
    }
}

/// Gathers what `renewal` looks at: certificates kept and served here, and nothing of the stores.
#[must_use]
pub fn renewal(host: &renewal::Host<'_>, clock: Clock) -> Facts {
    let renewal = renewal::gather(host);
    let unread = renewal.certbot.unread.iter().chain(&renewal.log.unread).chain(&renewal.schedule.unread);
    let mut not_checked: Vec<(String, String)> = unread.map(|(path, why)| (path.to_string(), why.clone())).collect();
    let of_nginx = renewal.nginx.instances.iter().flat_map(|i| &i.unread);
    not_checked.extend(of_nginx.map(|d| (d.path.to_string(), d.what.clone())));
    let of_stores = renewal.certmagic.storages.iter().flat_map(|s| &s.unlisted).chain(&renewal.lego.unread);
    not_checked.extend(of_stores.chain(&renewal.certmagic.unread).map(|(path, why)| (path.to_string(), why.clone())));
    not_checked.dedup();
    Facts { renewal: Some(renewal), not_checked, ..Facts::new(clock) }
}

fn environment(sources: &Sources<'_>) -> Environment {
    let mut overrides = Vec::new();
    for variable in TRUST_VARIABLES {
        let Some(value) = sources.env.get(variable) else { continue };
        let path = |text: &str| TreePath::new(text);
        let redirect = match *variable {
            // Options among others, or switches: nothing to read.
            "JAVA_TOOL_OPTIONS" | "NODE_OPTIONS" | "UV_SYSTEM_CERTS" => Redirect::default(),
            "SSL_CERT_DIR" => Redirect {
                file: None,
                directories: value.split(':').filter(|p| !p.is_empty()).map(|p| directory(sources.files, &path(p))).collect(),
            },
            // A bundle, or (REQUESTS_CA_BUNDLE and its kin) a hashed directory.
            _ => {
                let file = file(sources.files, &path(value));
                match file.state {
                    FileState::NotAFile("directory") => {
                        Redirect { file: None, directories: vec![directory(sources.files, &path(value))] }
                    }
                    _ => Redirect { file: Some(file), directories: Vec::new() },
                }
            }
        };
        overrides.push(Override { variable, value: value.to_owned(), redirect });
    }
    Environment { overrides }
}

fn file(tree: &dyn Tree, path: &TreePath) -> CertFile {
    Reader::new(tree).file(path)
}

/// A hash directory; one that is not there is a fact too.
fn directory(tree: &dyn Tree, path: &TreePath) -> HashDirectory {
    hash_directory::load(&mut Reader::new(tree), path).unwrap_or_else(|| HashDirectory {
        path: path.clone(),
        real: path.clone(),
        state: Err("no such directory".into()),
        entries: Vec::new(),
    })
}

fn look(sources: &Sources<'_>, hello: &Hello, target: &Target) -> Result<Presented, ConnectFailure> {
    let presented = read(sources, hello, target)?;
    let (count, limit) = (presented.certificates.len() + presented.opaque.len(), Limits::DEFAULT.presented);
    if count <= limit {
        return Ok(presented);
    }
    Err(match &target.source {
        TargetSource::Server { .. } => {
            ConnectFailure::Io(format!("the server sends {count} certificates; at most {limit} are read"))
        }
        _ => {
            ConnectFailure::Unreadable(format!("it holds {count} certificates, which no server sends; at most {limit} are read"))
        }
    })
}

fn read(sources: &Sources<'_>, hello: &Hello, target: &Target) -> Result<Presented, ConnectFailure> {
    let bytes = match &target.source {
        TargetSource::Server { .. } => return sources.dial.observe(target, hello),
        TargetSource::Stdin => (sources.stdin)().map_err(|e| ConnectFailure::Unreadable(format!("standard input: {e}")))?,
        TargetSource::File(path) => match sources.files.read(path, Limits::DEFAULT.file) {
            Ok((bytes, _)) => bytes,
            Err(e) => return Err(ConnectFailure::Unreadable(format!("{path}: {e}"))),
        },
    };
    let found = sniff::certificates(&bytes);
    if found.certificates.is_empty() && found.opaque.is_empty() {
        return Err(ConnectFailure::Unreadable("no certificate in it: neither PEM, nor DER, nor PKCS #7".into()));
    }
    Ok(Presented { certificates: found.certificates, opaque: found.opaque, handshake_completed: true, ..Presented::default() })
}

/// Places that could not be read for want of permission: said at the end of every report, since what lies there may matter.
fn not_checked(stores: &[Store]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for store in stores {
        let files = store.sources.iter().map(|s| &s.file).chain(&store.bundle).chain(&store.derived).chain(&store.unread);
        for file in files {
            if let FileState::Unreadable(why) = &file.state {
                out.push((file.path.to_string(), why.clone()));
            }
        }
        if let Some(Err(why)) = store.directory.as_ref().map(|d| &d.state) {
            out.push((store.location.to_string(), why.clone()));
        }
    }
    out
}

fn newest(stores: &[Store]) -> Option<(At, TreePath)> {
    stores
        .iter()
        .flat_map(|s| s.sources.iter().map(|s| &s.file).chain(&s.bundle))
        .filter_map(|file| match file.state {
            FileState::Read { modified, .. } => Some((modified, file.path.clone())),
            _ => None,
        })
        .max()
}
