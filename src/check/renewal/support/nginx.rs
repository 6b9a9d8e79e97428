//! nginx: validations that fail, and the patches that let them succeed.

use std::{collections::BTreeMap, mem::discriminant, ops::Range};

use crate::{
    base::TreePath,
    check::Check,
    edit::{Applicability, Change},
    facts::{
        Renewal,
        renewal::{
            HttpChallenge, Lineage,
            nginx::{Directive, Instance, Pair, Word},
        },
    },
    finding::{Evidence, Finding, Intent, Remedy},
    format::nginx::{indentation, quoted, whole_lines},
    nginx::{
        Model,
        answer::Outcome,
        challenge::{Course, DIRECTORY, End, TOKEN},
        server::{Chosen, Server},
    },
};

use super::{by_hand, list};

/// Why the file of a challenge is not served.
#[derive(Clone, Debug)]
pub(in crate::check::renewal) enum Fault<'a> {
    /// A server-level directive answers before any location is looked at.
    BeforeLocations(&'a Directive),
    /// A location falls back to a page that it has for everything.
    CatchAll,
    /// 401 or 403.
    Denied,
    /// The path is put together wrongly: twice the same part, or a slash missing.
    Doubled(TreePath),
    /// nginx looks in another directory.
    Elsewhere(TreePath),
    /// A redirect, a proxy, a status: no file at all.
    NotServed,
    /// Another server block answers than the one that has the name.
    OtherServer(Server<'a>),
}

/// Names of one lineage whose challenges fail in one server for one reason.
#[derive(Clone, Debug)]
pub(in crate::check::renewal) struct Failing<'a> {
    pub(in crate::check::renewal) instance: &'a Instance,
    pub(in crate::check::renewal) challenges: Vec<&'a HttpChallenge>,
    pub(in crate::check::renewal) course: Course<'a>,
    pub(in crate::check::renewal) fault: Fault<'a>,
}

/// The instances whose configuration is in force: those that run, or, in an unpacked root, all.
pub(in crate::check::renewal) fn in_force(renewal: &Renewal) -> impl Iterator<Item = &Instance> {
    let is_root = renewal.processes.all.is_empty();
    renewal.nginx.instances.iter().filter(move |i| is_root || i.master.is_some())
}

/// Every validation that fails in an nginx of this host.
pub(in crate::check::renewal) fn failing(renewal: &Renewal) -> Vec<Failing<'_>> {
    let is_certain = |end: &End| !matches!(end, End::Unknown(_));
    in_force(renewal).flat_map(|instance| all_in(instance, &renewal.challenges, is_certain)).collect()
}

/// Those of these validations of which it is not certain that they would succeed in this server.
pub(in crate::check::renewal) fn unserved<'a>(instance: &'a Instance, challenges: &'a [HttpChallenge]) -> Vec<Failing<'a>> {
    all_in(instance, challenges, |_| true)
}

/// Those of these validations that end badly in this server and in a wanted way, joined where one reason stops several.
fn all_in<'a>(instance: &'a Instance, challenges: &'a [HttpChallenge], is_wanted: fn(&End) -> bool) -> Vec<Failing<'a>> {
    let mut all: Vec<Failing<'_>> = Vec::new();
    let model = Model::new(instance);
    for challenge in challenges {
        for address in model.addresses(challenge.port) {
            let course = model.challenge(challenge, address);
            let Some(fault) = fault(instance, challenge, &course).filter(|_| is_wanted(&course.end)) else { continue };
            let same = |f: &&mut Failing<'_>| {
                let server =
                    |c: &Course<'_>| c.first().and_then(|a| a.server.as_ref()).map(|s| std::ptr::from_ref(s.server.directive));
                f.challenges[0].lineage == challenge.lineage
                    && discriminant(&f.fault) == discriminant(&fault)
                    && server(&f.course) == server(&course)
            };
            match all.iter_mut().find(same) {
                Some(known) if known.challenges.iter().any(|c| c.name == challenge.name) => {}
                Some(known) => known.challenges.push(challenge),
                None => all.push(Failing { instance, challenges: vec![challenge], course, fault }),
            }
        }
    }
    all
}

fn fault<'a>(instance: &'a Instance, challenge: &HttpChallenge, course: &Course<'a>) -> Option<Fault<'a>> {
    let (first, last) = (course.first()?, course.last()?);
    if course.end == End::Served {
        return None;
    }
    let selection = first.server.as_ref()?;
    if let Some(ignored) = selection.ignored.iter().find(|s| has_location(s)) {
        return Some(Fault::OtherServer(*ignored));
    }
    if selection.chosen == Chosen::ByDefault {
        let listens_there = |s: &Server<'_>| s.listens().iter().any(|l| l.port == challenge.port && !l.tls);
        let named = instance
            .servers()
            .into_iter()
            .find(|s| listens_there(s) && s.plain_names().contains(&challenge.name.to_ascii_lowercase()));
        if let Some(named) = named {
            return Some(Fault::OtherServer(named));
        }
    }
    if let Some(directive) = instance.before_locations(first) {
        return Some(Fault::BeforeLocations(directive));
    }
    if let End::OtherFile(found) = &course.end {
        let doubled = found.to_string().matches(DIRECTORY.trim_end_matches('/')).count() > 1 || found.name() != TOKEN.as_bytes();
        return Some(if doubled { Fault::Doubled(found.clone()) } else { Fault::Elsewhere(found.clone()) });
    }
    Some(match (&last.outcome, last.by.map(Directive::name)) {
        (Outcome::Status(401 | 403), Some("deny" | "auth_basic")) => Fault::Denied,
        (Outcome::File(_), _) => Fault::CatchAll,
        (Outcome::Status(404), Some("try_files")) => match looked_in(instance, first.locations.last().copied(), selection.server)
        {
            Some(root) if root != instance.real(&challenge.webroot) => Fault::Elsewhere(root),
            _ => Fault::NotServed,
        },
        _ => Fault::NotServed,
    })
}

fn has_location(server: &Server<'_>) -> bool {
    server.directive.named("location").any(|l| l.arguments().any(|a| a.contains("acme-challenge") || a.contains("well-known")))
}

/// The literal root in force in a location of a server.
fn looked_in(instance: &Instance, location: Option<&Directive>, server: Server<'_>) -> Option<TreePath> {
    let blocks = location.into_iter().chain([server.directive, server.http]);
    let root = blocks.flat_map(|b| b.named("root")).next()?.argument(0).filter(|r| !r.contains('$'))?;
    instance.from_prefix(root).map(|p| instance.real(&p))
}

impl<'a> Failing<'a> {
    /// The names, for people.
    pub(in crate::check::renewal) fn names(&self) -> String {
        list(&self.challenges.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), 4)
    }

    /// The server that is asked first.
    pub(in crate::check::renewal) fn server(&self) -> Option<Server<'a>> {
        self.course.first().and_then(|a| a.server.as_ref()).map(|s| s.server)
    }

    /// A finding with what every failing validation has to tell: who answers, with what, where the manager puts its file, the patch, and
    /// how to see that it helped.
    pub(in crate::check::renewal) fn finding(&self, check: &Check, message: impl Into<String>) -> Finding {
        let challenge = self.challenges[0];
        let mut finding = Finding::new(check, &challenge.lineage.1, message);
        finding.lineages = vec![challenge.lineage.clone()];
        finding.evidence = self.places();
        finding.evidence.push(Evidence::file(&challenge.said.0, challenge.said.1, "the manager's webroot"));
        finding.facts.push(("names", self.names()));
        finding.facts.push(("a challenge gets", self.steps()));
        finding.facts.push(("the file is put in", format!("{}{DIRECTORY}", challenge.webroot)));
        match self.patch() {
            Some(changes) => {
                let text = format!("serve {DIRECTORY} of {} from {}", self.names(), challenge.webroot);
                finding.remedies.push(Remedy::new(Intent::Patch(changes), Applicability::Auto, text, Some(verify(challenge))));
            }
            None => {
                let text = format!(
                    "put `location ^~ {DIRECTORY} {{ root {}; }}` where it is looked at before what answers now, by hand: this server does more \
                     than can be moved safely",
                    quoted(&challenge.webroot.to_string())
                );
                finding.remedies.push(by_hand(text, Some(verify(challenge))));
            }
        }
        finding
    }

    /// What decides: the directive that answers, the location, the server.
    pub(in crate::check::renewal) fn places(&self) -> Vec<Evidence> {
        let blocks = self.course.by().into_iter().chain(self.course.last().and_then(|a| a.locations.last().copied()));
        let first = self.course.first().and_then(|a| a.by);
        let server = self.server().map(|s| s.directive);
        let mut places = Vec::new();
        for directive in blocks.chain(first).chain(server) {
            let evidence = place(self.instance, directive);
            if !places.contains(&evidence) {
                places.push(evidence);
            }
        }
        places
    }

    /// What a validation gets, for people.
    pub(in crate::check::renewal) fn steps(&self) -> String {
        self.course.answers.iter().map(|a| shown(&a.outcome)).collect::<Vec<_>>().join(", then ")
    }

    /// The change of the configuration after which the challenge's file is served; `None` when only a person can tell what else the
    /// server must go on doing.
    pub(in crate::check::renewal) fn patch(&self) -> Option<Vec<Change>> {
        let server = match &self.fault {
            Fault::OtherServer(_) => self.course.first()?.server.as_ref()?.server,
            _ => self.server()?,
        };
        serve_challenge(self.instance, server, &self.challenges[0].webroot)
    }
}

/// A directive as evidence: its file, its line, its words.
pub(in crate::check::renewal) fn place(instance: &Instance, directive: &Directive) -> Evidence {
    let words: Vec<&str> = directive.words.iter().map(|w| w.text.as_str()).collect();
    let mut what = words.join(" ");
    if what.chars().count() > 80 {
        what = what.chars().take(79).chain(['…']).collect();
    }
    let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Evidence {
        path: Some(instance.path_of(directive).clone()),
        line: Some(directive.line),
        span: Some(directive.span.clone()),
        fingerprint: None,
        what: format!("`{what}`"),
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::File(path) => format!("the file {path}"),
        Outcome::Redirect(code, to) => format!("{code} to {to}"),
        Outcome::Status(code) => format!("status {code}"),
        Outcome::Text(code) => format!("status {code} with a text of the configuration"),
        Outcome::Handler(to) => format!("what {to} answers"),
        Outcome::NoServer => "no server".to_owned(),
        Outcome::Unknown(why) => format!("what can't be said ({why})"),
    }
}

/// A `Host` header as a word of a shell's command: names come from files, and may be anything there.
pub(in crate::check::renewal) fn host_header(name: &str) -> String {
    super::shell(&format!("Host: {name}"))
}

/// The commands that show that a challenge's file comes.
fn verify(challenge: &HttpChallenge) -> String {
    let directory = challenge.webroot.join(&DIRECTORY[1..]);
    let directory = super::shell(&directory.to_string());
    let port = if challenge.port == 80 { String::new() } else { format!(":{}", challenge.port) };
    format!(
        "mkdir -p {directory} && echo ok > {directory}/certdoctor && curl -s -H {} http://127.0.0.1{port}{DIRECTORY}certdoctor; rm {directory}/certdoctor",
        host_header(&challenge.name)
    )
}

/// Other bytes in the place of some of a configuration file.
pub(in crate::check::renewal) fn splice(
    instance: &Instance,
    file: usize,
    at: Range<usize>,
    with: impl Into<Vec<u8>>,
) -> Option<Change> {
    let file = instance.files.get(file)?;
    Some(Change::Splice { path: file.real.clone(), read: file.read, at, with: with.into() })
}

/// Another word in the place of one.
pub(in crate::check::renewal) fn reword(instance: &Instance, directive: &Directive, word: &Word, with: &str) -> Option<Change> {
    splice(instance, directive.file, word.span.clone(), quoted(with))
}

/// Directives of the rewrite module that answer in the same way wherever they stand: none goes on with another path.
fn can_be_moved(directive: &Directive) -> bool {
    match directive.name() {
        "return" | "set" => true,
        "if" => {
            directive.children().iter().all(|d| matches!(d.name(), "return" | "set") || d.name() == "rewrite" && can_be_moved(d))
        }
        "rewrite" => {
            let absolute =
                directive.argument(1).is_some_and(|to| ["http://", "https://", "$scheme"].iter().any(|p| to.starts_with(p)));
            absolute || matches!(directive.argument(2), Some("redirect" | "permanent"))
        }
        _ => false,
    }
}

/// The change after which this server serves the challenges of `webroot`: a `location ^~` at its head, and what answers before locations
/// are looked at moved behind it.
pub(in crate::check::renewal) fn serve_challenge(
    instance: &Instance,
    server: Server<'_>,
    webroot: &TreePath,
) -> Option<Vec<Change>> {
    let block = server.directive.block.as_ref()?;
    let file = server.directive.file;
    let bytes = &instance.files.get(file)?.bytes;
    let indent = String::from_utf8_lossy(indentation(bytes, server.directive.span.start)).into_owned();
    let inner = match block.directives.iter().find(|d| d.file == file) {
        Some(first) if first.line != server.directive.line => {
            String::from_utf8_lossy(indentation(bytes, first.span.start)).into_owned()
        }
        _ => format!("{indent}    "),
    };
    let step = inner.strip_prefix(indent.as_str()).filter(|s| !s.is_empty()).unwrap_or("    ").to_owned();
    let location = location(server, webroot, &inner, &step);
    let mut changes = Vec::new();

    let is_challenge = |d: &&Directive| {
        let path = d.arguments().last().unwrap_or_default().trim_start_matches("^~").trim_end_matches('/');
        let modifier = d.words.len() == 2 || d.argument(0) == Some("^~");
        modifier && path == DIRECTORY.trim_end_matches('/')
    };
    let existing: Vec<&Directive> = server.directive.named("location").filter(is_challenge).collect();
    match existing.as_slice() {
        [] => changes.push(splice(instance, file, block.inner.start..block.inner.start, format!("\n{inner}{location}"))?),
        [one] if one.children().iter().all(is_of_a_plain_challenge) => {
            changes.push(splice(instance, one.file, one.span.clone(), location)?)
        }
        _ => return None,
    }

    let rewriting: Vec<&Directive> =
        block.directives.iter().filter(|d| matches!(d.name(), "return" | "rewrite" | "if" | "set" | "break")).collect();
    let deciding = rewriting.iter().any(|d| d.name() != "set");
    if !deciding {
        return Some(changes);
    }
    if rewriting.iter().any(|d| d.file != file || !can_be_moved(d)) {
        return None;
    }
    let others = server.directive.named("location").any(|l| !existing.iter().any(|e| std::ptr::eq(*e, l)));
    if others {
        return wrapped(instance, &rewriting, &step, changes);
    }
    // Everything that is no challenge goes on as before, now in a location of its own.
    let text = |d: &Directive| String::from_utf8_lossy(&bytes[d.span.clone()]).replace('\n', &format!("\n{step}"));
    let all: Vec<String> = rewriting.iter().map(|d| format!("{inner}{step}{}", text(d))).collect();
    let (first, rest) = rewriting.split_first()?;
    changes.push(splice(instance, file, first.span.clone(), format!("location / {{\n{}\n{inner}}}", all.join("\n")))?);
    for directive in rest {
        let at = whole_lines(bytes, &directive.span).unwrap_or_else(|| directive.span.clone());
        changes.push(splice(instance, file, at, "")?);
    }
    Some(changes)
}

/// Where other locations stand behind it, what answers them all is kept in its place, but not for challenges.
fn wrapped(instance: &Instance, rewriting: &[&Directive], step: &str, mut changes: Vec<Change>) -> Option<Vec<Change>> {
    for directive in rewriting.iter().filter(|d| d.name() != "set") {
        // No `if` in an `if`.
        if directive.name() == "if" {
            return None;
        }
        let bytes = &instance.files.get(directive.file)?.bytes;
        let inner = String::from_utf8_lossy(indentation(bytes, directive.span.start)).into_owned();
        let text = String::from_utf8_lossy(&bytes[directive.span.clone()]).into_owned();
        let text = format!("if ($request_uri !~ \"^/\\.well-known/acme-challenge/\") {{\n{inner}{step}{text}\n{inner}}}");
        changes.push(splice(instance, directive.file, directive.span.clone(), text)?);
    }
    Some(changes)
}

fn is_of_a_plain_challenge(directive: &Directive) -> bool {
    matches!(
        directive.name(),
        "root"
            | "alias"
            | "default_type"
            | "try_files"
            | "allow"
            | "deny"
            | "auth_basic"
            | "access_log"
            | "log_not_found"
            | "add_header"
    )
}

/// The directories out of which locations made for challenges answer.
pub(in crate::check::renewal) fn challenge_roots(instance: &Instance) -> Vec<TreePath> {
    let is_made_for_it = |d: &&Directive| d.arguments().any(|a| a.contains(DIRECTORY.trim_end_matches('/')));
    let locations = instance.servers().into_iter().flat_map(|s| s.directive.named("location")).filter(is_made_for_it);
    let root = |d: &Directive| d.named("root").next()?.argument(0).filter(|r| !r.contains('$')).map(str::to_owned);
    locations.filter_map(root).filter_map(|r| instance.from_prefix(&r)).collect()
}

/// The location, from its first word to its brace.
fn location(server: Server<'_>, webroot: &TreePath, inner: &str, step: &str) -> String {
    let has = |name: &str| [server.directive, server.http].iter().any(|b| b.named(name).next().is_some());
    let mut lines = vec![format!("root {};", quoted(&webroot.to_string())), "default_type text/plain;".to_owned()];
    if has("auth_basic") {
        lines.push("auth_basic off;".to_owned());
    }
    if has("auth_request") {
        lines.push("auth_request off;".to_owned());
    }
    if has("deny") {
        lines.push("allow all;".to_owned());
    }
    let lines: String = lines.into_iter().map(|l| format!("{inner}{step}{l}\n")).collect();
    format!("location ^~ {DIRECTORY} {{\n{lines}{inner}}}")
}

/// The pairs of a server, each with its directive and that of its key.
pub(in crate::check::renewal) fn pairs<'a>(
    instance: &'a Instance,
    server: Server<'a>,
) -> Vec<(&'a Pair, &'a Directive, Option<&'a Directive>)> {
    let keys = server.inherited("ssl_certificate_key");
    let of = |(n, d): (usize, &'a Directive)| {
        let pair = instance.pairs.iter().find(|p| (p.file, p.start) == (d.file, d.span.start))?;
        Some((pair, d, keys.get(n).copied()))
    };
    server.inherited("ssl_certificate").into_iter().enumerate().filter_map(of).collect()
}

/// A pair with the server that uses it, its directive and that of its key.
type Used<'a> = (&'a Instance, Server<'a>, &'a Pair, &'a Directive, Option<&'a Directive>);

/// Every pair once, with the first server that uses it.
pub(in crate::check::renewal) fn all_pairs(renewal: &Renewal) -> Vec<Used<'_>> {
    let mut all: Vec<Used<'_>> = Vec::new();
    for instance in in_force(renewal) {
        let model = Model::new(instance);
        // By their directives, each of which is taken once.
        let mut left: BTreeMap<(usize, usize), &Pair> = instance.pairs.iter().map(|p| ((p.file, p.start), p)).collect();
        for server in instance.servers().into_iter().chain(instance.other_servers()) {
            let keys = model.inherited(server, "ssl_certificate_key");
            for (n, directive) in model.inherited(server, "ssl_certificate").into_iter().enumerate() {
                if let Some(pair) = left.remove(&(directive.file, directive.span.start)) {
                    all.push((instance, server, pair, directive, keys.get(n).copied()));
                }
            }
        }
    }
    all
}

/// The lineage whose file a pair reads: the same file, or another of the same directory (`cert.pem` beside `fullchain.pem`).
pub(in crate::check::renewal) fn lineage_of<'a>(renewal: &'a Renewal, pair: &Pair) -> Option<&'a Lineage> {
    let path = &pair.certificate.path;
    let exact = renewal.lineages.iter().find(|l| l.path == *path);
    exact.or_else(|| renewal.lineages.iter().find(|l| l.path.parent() == path.parent() && is_of_live(path)))
}

fn is_of_live(path: &TreePath) -> bool {
    matches!(path.name(), b"cert.pem" | b"fullchain.pem" | b"chain.pem")
}
