//! What the checks of certbot share: what they look at, words, and how urgent it is.

pub(in crate::check::renewal) mod due;
pub(in crate::check::renewal) mod rate_limit;

use crate::{
    base::{At, Fingerprint, TreePath, shell},
    check::{Case, Check},
    edit::{Applicability, Change},
    facts::renewal::{
        Certbot, Event, EventKind, HttpChallenge, Lineage, Renewal,
        certbot::{LiveState, RenewalConf, USUAL_SERVER, Version},
        config::Replacement,
        nginx::Instance,
        schedule::Job,
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
    x509::Certificate,
};

use super::{challenge_roots, in_force, place, unserved};

/// A lineage of certbot with everything about it.
pub(in crate::check::renewal) struct Subject<'a> {
    pub(in crate::check::renewal) renewal: &'a Renewal,
    pub(in crate::check::renewal) certbot: &'a Certbot,
    pub(in crate::check::renewal) conf: &'a RenewalConf,
    pub(in crate::check::renewal) lineage: &'a Lineage,
    pub(in crate::check::renewal) at: At,
    within: i64,
}

/// Every lineage of certbot.
pub(in crate::check::renewal) fn lineages<'a>(case: &Case<'a>) -> Vec<Subject<'a>> {
    let Some(renewal) = &case.facts.renewal else { return Vec::new() };
    let subject = |conf: &'a RenewalConf| {
        let lineage = renewal.lineage("certbot", &conf.name)?;
        Some(Subject { renewal, certbot: &renewal.certbot, conf, lineage, at: case.at, within: case.within })
    };
    renewal.certbot.confs.iter().filter_map(subject).collect()
}

/// What concerns the host and with it every lineage: the renewal facts and the lineages, when certbot keeps any.
pub(in crate::check::renewal) fn host<'a>(case: &Case<'a>) -> Option<(&'a Renewal, Vec<Subject<'a>>)> {
    let all = lineages(case);
    let renewal = case.facts.renewal.as_ref()?;
    (!all.is_empty()).then_some((renewal, all))
}

/// A finding about the host's certbot as a whole.
pub(in crate::check::renewal) fn of_host(check: &Check, subject: &str, all: &[Subject<'_>], message: String) -> Finding {
    let mut finding = Finding::new(check, subject, message);
    finding.lineages = all.iter().map(|s| ("certbot", s.conf.name.clone())).collect();
    finding.severity = all.iter().map(Subject::urgency).max().unwrap_or(Severity::Warning);
    finding
}

impl Subject<'_> {
    /// The name, for people and commands.
    pub(in crate::check::renewal) fn name(&self) -> &str {
        &self.conf.name
    }

    /// A finding about this lineage, its first place being the key's line in the renewal configuration.
    pub(in crate::check::renewal) fn finding(&self, check: &Check, key: Option<&str>, message: String) -> Finding {
        let mut finding = Finding::new(check, self.name(), message);
        finding.lineages = vec![("certbot", self.name().to_owned())];
        finding.severity = self.urgency();
        let line = key.and_then(|key| self.conf.line(key).or_else(|| self.conf.config.get(&[], key).map(|s| s.line)));
        finding.evidence.push(Evidence::file(&self.conf.path, line, "renewal configuration"));
        finding.facts.extend(self.state());
        finding
    }

    /// An error when nobody can wait any longer, else a warning.
    pub(in crate::check::renewal) fn urgency(&self) -> Severity {
        let end = self.lineage.leaf().and_then(|leaf| leaf.validity().not_after);
        match end {
            Some(end) if end > self.at.plus_days(self.within.min(14)) => Severity::Warning,
            // What this user may not read is not known to be bad.
            None if !self.certbot.unread.is_empty() => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// How the certificate stands.
    fn state(&self) -> Option<(&'static str, String)> {
        let end = self.lineage.leaf()?.validity().not_after?;
        let verb = if end < self.at { "expired" } else { "expires" };
        Some(("certificate", format!("{verb} {end}, {}", self.at.relative(end))))
    }

    /// Since when it should have been renewed, when what runs certbot has had its try since, and a day more. A certificate that is younger
    /// may not have been looked at.
    pub(in crate::check::renewal) fn overdue(&self) -> Option<At> {
        let leaf = self.lineage.leaf()?;
        let due = due::due(self.version(), self.conf, leaf)?;
        let since = due.at.max(leaf.validity().not_before?);
        let gap = self.renewal.schedule.starting("certbot").filter_map(|job| job.longest_gap).min().unwrap_or(1);
        (since.plus_days(i64::from(gap) + 1) < self.at).then_some(since)
    }

    /// Whether the newest whole version of the archive, which is `version`, ends before what lies in `live`; also when that can't be told.
    pub(in crate::check::renewal) fn goes_back(&self, version: u32) -> bool {
        let copied = self.conf.live.iter().find_map(|live| match &live.state {
            LiveState::Copied { leaf, .. } => leaf.as_ref(),
            LiveState::Linked(_, v) if *v > version => self.lineage.leaf(),
            _ => None,
        });
        let end = |leaf: &Certificate| leaf.validity().not_after;
        copied.is_some_and(|live| self.conf.newest.as_ref().is_none_or(|newest| newest != live && end(newest) < end(live)))
    }

    /// The version of certbot that renews.
    pub(in crate::check::renewal) fn version(&self) -> Option<Version> {
        self.certbot.version(self.conf)
    }

    /// A change of the renewal configuration.
    pub(in crate::check::renewal) fn splice(&self, replacement: Option<Replacement>) -> Option<Change> {
        let (at, with) = replacement?;
        let read: Fingerprint = *self.conf.read.as_ref().ok()?;
        Some(Change::Splice { path: self.conf.path.clone(), read, at, with })
    }

    /// The remedy of these changes, when each of them can be made.
    pub(in crate::check::renewal) fn patch(&self, text: impl Into<String>, changes: Vec<Option<Change>>) -> Option<Remedy> {
        let changes: Option<Vec<Change>> = changes.into_iter().collect();
        let changes = changes.filter(|c| !c.is_empty())?;
        Some(Remedy::new(Intent::Patch(changes), Applicability::Auto, text, Some(self.dry_run())))
    }

    /// The command that proves a remedy without issuing. With no CA named, certbot tries it at Let's Encrypt's staging server whatever the
    /// renewal configuration says (measured with 2.1.0); `--server` with it since 0.27.
    pub(in crate::check::renewal) fn dry_run(&self) -> String {
        format!("certbot renew --dry-run --cert-name {}{}", shell(self.name()), server(self.conf))
    }

    /// The command that orders the certificate once more in another way, which certbot keeps for the renewals to come. What such a command does
    /// not say again is certbot's default from then on (`write_renewal_config` in `storage.py`; measured with 2.1.0): the CA and the deploy
    /// hook are said. Without a terminal it does nothing before the certificate is due unless it is told to.
    pub(in crate::check::renewal) fn order_once(&self, how: &str, hook: Option<&str>) -> String {
        let hook = hook.or(self.conf.parameter("renew_hook"));
        let hook = hook.map(|hook| format!(" --deploy-hook {}", shell(hook))).unwrap_or_default();
        format!("certbot certonly --cert-name {} {how}{hook}{} --force-renewal", shell(self.name()), server(self.conf))
    }

    /// The same from another CA, in the way in which it is renewed now. Certbot then takes an account of that CA, or makes one.
    pub(in crate::check::renewal) fn order_from(&self, server: &str) -> String {
        let hook = self.conf.parameter("renew_hook").map(|hook| format!(" --deploy-hook {}", shell(hook))).unwrap_or_default();
        let (name, how) = (shell(self.name()), self.how());
        format!("certbot certonly --cert-name {name} {how}{hook} --server {} --force-renewal", shell(server))
    }

    /// The options that validate as the renewal configuration says.
    pub(in crate::check::renewal) fn how(&self) -> String {
        let own = super::key(self.lineage);
        let webroot = self.renewal.challenges.iter().find(|c| c.lineage == own).map(|c| shell(&c.webroot.to_string()));
        match self.conf.parameter("authenticator") {
            None | Some("webroot") => format!("--webroot -w {}", webroot.unwrap_or_else(|| "DIRECTORY".to_owned())),
            Some(authenticator) => format!("-a {}", shell(authenticator)),
        }
    }

    /// The last failed renewal, if it has not succeeded since: the last run that tried counts.
    pub(in crate::check::renewal) fn failed(&self) -> Option<(&Event, &str)> {
        self.renewal.log.since_issued(self.name()).find_map(|e| match &e.kind {
            EventKind::Failed(why) => Some((e, why.as_str())),
            _ => None,
        })
    }

    /// The last failed renewal, if certbot's own server could not have its port.
    pub(in crate::check::renewal) fn port_refused(&self) -> Option<&Event> {
        self.failed().filter(|(_, why)| why.contains("Could not bind TCP port")).map(|(event, _)| event)
    }

    /// What the log says of the run of an event about this lineage, or about none.
    pub(in crate::check::renewal) fn with<'e>(&'e self, event: &'e Event) -> impl DoubleEndedIterator<Item = &'e Event> {
        let of_it = move |e: &&Event| e.run == event.run && e.lineage.as_deref().is_none_or(|name| name == self.name());
        self.renewal.log.events.iter().filter(of_it)
    }

    /// What the CA refused last, if `wanted` picks it. A run in which it answered otherwise has got past what was refused before; a rate
    /// limit shuts before all else, and tells nothing of it.
    pub(in crate::check::renewal) fn refused(&self, wanted: impl Fn(&EventKind) -> bool) -> Option<&Event> {
        /// Failed runs that are looked at.
        const RUNS: usize = 50;
        let failed = self.renewal.log.since_issued(self.name()).filter(|e| matches!(e.kind, EventKind::Failed(_)));
        for run in failed.take(RUNS) {
            if let Some(event) = self.with(run).rev().find(|e| wanted(&e.kind)) {
                return Some(event);
            }
            if self.with(run).any(|e| matches!(&e.kind, EventKind::Acme(kind, _) if kind != "rateLimited")) {
                return None;
            }
        }
        None
    }

    /// The newest event since the last success that `wanted` picks.
    pub(in crate::check::renewal) fn last_event(&self, wanted: impl Fn(&Event) -> bool) -> Option<&Event> {
        self.renewal.log.since_issued(self.name()).find(|e| wanted(e))
    }
}

/// The remedy where nothing is left to mend: an order under the same name. Certbot takes the name only when nothing has it any more
/// (`storage.RenewableCert.new_lineage`), so what is there gets another one first; nothing is deleted.
pub(in crate::check::renewal) fn order_again(subject: &Subject<'_>) -> Remedy {
    let conf = subject.conf;
    let mut names = subject.lineage.names();
    if names.is_empty() {
        names = conf.newest.as_ref().map(super::names).unwrap_or_default();
    }
    if names.is_empty() {
        names.push(subject.name().to_owned());
    }
    let domains: String = names.iter().map(|n| format!(" -d {}", shell(n))).collect();
    let live = conf.live.first().map(|live| live.path.parent());
    let live = live.unwrap_or_else(|| TreePath::from("/etc/letsencrypt/live").join(subject.name()));
    let how = subject.how();
    let aside: String =
        [&conf.path, &live, &conf.archive].map(|path| format!("mv {0} {0}.broken; ", shell(&path.to_string()))).concat();
    let command = format!("{aside}certbot certonly --cert-name {} {how}{domains}{}", shell(subject.name()), server(conf));
    let text =
        "order it again under the same name, which needs that nothing has the name any more; servers keep what they have loaded";
    by_hand(text, command)
}

/// The option that keeps a CA that is not certbot's usual one.
fn server(conf: &RenewalConf) -> String {
    match conf.parameter("server").filter(|server| *server != USUAL_SERVER) {
        Some(server) => format!(" --server {}", shell(server)),
        None => String::new(),
    }
}

/// Something that only a person can do, with the command.
pub(in crate::check::renewal) fn by_hand(text: impl Into<String>, command: impl Into<String>) -> Remedy {
    Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command.into()))
}

/// The command that renews before the certificate is due, and reloads as the configuration says.
pub(in crate::check::renewal) fn renew_at_once(name: &str) -> String {
    format!("certbot renew --cert-name {} --force-renewal", shell(name))
}

/// Where a log says it.
pub(in crate::check::renewal) fn logged(event: &Event) -> Evidence {
    Evidence::file(&event.path, Some(event.line), format!("logged {}", event.at))
}

/// Where a job is defined.
pub(in crate::check::renewal) fn defined(job: &Job) -> Evidence {
    Evidence::file(&job.path, job.line, if job.timer().is_some() { "timer" } else { "cron job" })
}

/// The web servers that can answer a challenge out of a directory, by the name of their program: how to reload, for a host with and one
/// without systemd.
pub(in crate::check::renewal) const WEB_SERVERS: &[(&str, &str, &str)] = &[
    ("nginx", "nginx -t && systemctl reload nginx", "nginx -t && nginx -s reload"),
    ("openresty", "openresty -t && systemctl reload openresty", "openresty -t && openresty -s reload"),
    ("apache2", "apache2ctl configtest && systemctl reload apache2", "apache2ctl -k graceful"),
    ("httpd", "apachectl configtest && systemctl reload httpd", "apachectl -k graceful"),
];

/// Who holds a TCP port: by its socket where this host is looked at, else by the configuration that would listen there.
pub(in crate::check::renewal) struct Holder<'a> {
    /// The program: `nginx`.
    pub(in crate::check::renewal) program: String,
    /// For people: `nginx (process 812, nginx.service)`.
    pub(in crate::check::renewal) label: String,
    /// The service it belongs to.
    pub(in crate::check::renewal) unit: Option<String>,
    /// Where it says so.
    pub(in crate::check::renewal) evidence: Option<Evidence>,
    /// The configuration of an nginx whose files are those of this tree.
    pub(in crate::check::renewal) instance: Option<&'a Instance>,
}

impl Holder<'_> {
    /// The web server that it is.
    pub(in crate::check::renewal) fn web_server(&self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        let name = if self.program == "Apache" { "apache2" } else { &self.program };
        WEB_SERVERS.iter().find(|(program, ..)| *program == name)
    }
}

/// Who holds this port, unless it is certbot itself.
pub(in crate::check::renewal) fn holder(renewal: &Renewal, port: u16) -> Option<Holder<'_>> {
    if renewal.processes.all.is_empty() {
        return configured(renewal, port);
    }
    let listener = renewal.processes.on_port(port).find(|l| !l.address.is_loopback())?;
    let Some(process) = renewal.processes.holder(listener) else {
        // For want of permission the process is not known, but the port is held.
        let label = "another process (run this as root to see which)".to_owned();
        return Some(Holder { program: String::new(), label, unit: None, evidence: None, instance: None });
    };
    if process.arguments.iter().any(|a| a.contains("certbot")) {
        return None;
    }
    let unit = process.unit.clone();
    let of_unit = unit.as_ref().map(|u| format!(", {u}")).unwrap_or_default();
    let label = format!("{} (process {}{of_unit})", process.program(), process.pid);
    let of_it = |i: &&Instance| i.master.as_ref().is_some_and(|m| m.pid == process.pid);
    let instance = renewal.nginx.instances.iter().find(of_it);
    Some(Holder { program: process.program().to_owned(), label, unit, evidence: None, instance })
}

/// Who would hold a port by its configuration.
fn configured(renewal: &Renewal, port: u16) -> Option<Holder<'_>> {
    for instance in in_force(renewal) {
        for server in instance.servers().into_iter().chain(instance.other_servers()) {
            let listen = server.listens().into_iter().find(|l| l.port == port && !l.address.is_loopback());
            if let Some(listen) = listen {
                let evidence = Some(place(instance, listen.directive.unwrap_or(server.directive)));
                let program = instance.program.clone();
                return Some(Holder { label: program.clone(), program, unit: None, evidence, instance: Some(instance) });
            }
        }
    }
    let (path, line) = renewal.apache.on_80.first().filter(|_| port == 80)?;
    let evidence = Some(Evidence::file(path, Some(*line), "listens on port 80"));
    Some(Holder { program: "Apache".to_owned(), label: "Apache".to_owned(), unit: None, evidence, instance: None })
}

/// The directory out of which challenges are to be answered: one out of which the web server answers some already, or that of another
/// lineage; of these one that needs no change for the names of `lineage`, if there is one. Else the usual one.
pub(in crate::check::renewal) fn webroot_for(renewal: &Renewal, holder: Option<&Holder<'_>>, lineage: &Lineage) -> TreePath {
    let instance = holder.and_then(|h| h.instance);
    let mut known = instance.map(challenge_roots).unwrap_or_default();
    known.extend(renewal.challenges.iter().map(|c| c.webroot.clone()));
    let serves = |root: &&TreePath| instance.is_some_and(|i| unserved(i, &challenges_in(lineage, 80, root)).is_empty());
    let found = known.iter().find(serves).or(known.first());
    found.cloned().unwrap_or_else(|| "/var/www/letsencrypt".into())
}

/// The validations of a lineage whose files would be put below `webroot`.
pub(in crate::check::renewal) fn challenges_in(lineage: &Lineage, port: u16, webroot: &TreePath) -> Vec<HttpChallenge> {
    let challenge = |name: String| HttpChallenge {
        lineage: (lineage.manager, lineage.name.clone()),
        name,
        port,
        webroot: webroot.clone(),
        said: (lineage.path.clone(), None),
    };
    validated_names(lineage).into_iter().map(challenge).collect()
}

/// The names that http-01 can validate: those of the certificate; its own name where it can't be read.
pub(in crate::check::renewal) fn validated_names(lineage: &Lineage) -> Vec<String> {
    let mut names = lineage.names();
    names.retain(|n| !n.contains('*') && n.parse::<std::net::IpAddr>().is_err());
    // Certbot takes the names from the certificate; a map with none of them would leave a name without a directory.
    if names.is_empty() {
        names.push(lineage.name.clone());
    }
    names
}

/// How the web server of this host is told to read its certificates again.
pub(in crate::check::renewal) fn reload(renewal: &Renewal, server: &(&str, &str, &str)) -> String {
    let (_, with_systemd, without) = server;
    if renewal.schedule.systemd { *with_systemd } else { *without }.to_owned()
}

/// Whether the links of `live` lead to several versions at once.
pub(in crate::check::renewal) fn has_mixed_links(conf: &RenewalConf) -> bool {
    let mut versions = conf.live.iter().filter_map(|l| l.state.version());
    versions.next().is_some_and(|first| versions.any(|other| other != first))
}

/// The link target that certbot itself writes for a file in `live`.
pub(in crate::check::renewal) fn link_target(conf: &RenewalConf, live: &TreePath, kind: &str, version: u32) -> Vec<u8> {
    let file = format!("{kind}{version}.pem");
    let usual = conf.archive.name() == live.parent().name() && conf.archive.parent().parent() == live.parent().parent().parent();
    match usual {
        true => [b"../../archive/", conf.archive.name(), b"/", file.as_bytes()].concat(),
        false => conf.archive.join(file).as_bytes().to_vec(),
    }
}
