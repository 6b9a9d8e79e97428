//! CD741.

use std::net::IpAddr;

use super::{
    super::Case,
    support::{self, by_hand, njet::Managing},
};
use crate::{
    edit::{Applicability, Change},
    facts::{
        Renewal,
        renewal::{
            nginx::{Directive, Instance, named},
            njet::{BROKER_CONF, BROKER_MODULE, COPILOT_CONF, COPILOT_MODULE, Copilot, PROGRAM},
        },
    },
    finding::{Evidence, Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** `ssl_certificate_management acme` only sends a request over NJet's broker of messages (MQTT, port 1883). What issues
    /// is a program of its own, cert-manager, that a `helper` line starts. Without the line, the broker, or a program that its TOML file
    /// names (`progName`), nothing is ever issued, and NJet serves the certificate that lies in `ssl_certificate`.
    ///
    /// **How it is found.** The `helper` lines, the TOML file and the program; on a live host whether the program runs and the broker's port is listened
    /// on. Also a word that is not `acme`, and a server without a name, with which NJet does not start or asks for nothing.
    ///
    /// **What to do.** The patch adds the line or the value where the files of an ordinary installation are there; helpers are started when NJet
    /// is restarted.
    ///
    /// **Sources.** OpenNJet's source: `njt_http_ssl_module.c` and `njt_helper_go_copilot_module.c` ("provided file is not a valid go copliot config, exit
    /// and not respawn"). NJet is not packaged: this check was never compared with a running one.
    "CD741" "cert-manager-missing" Warning "the certificate manager of NJet is not started, or not asked"
}

/// What is missing.
struct Fault {
    what: String,
    evidence: Vec<Evidence>,
    remedy: Remedy,
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for managing in support::njet::managing(renewal) {
        let mut faults = Vec::new();
        match managing.njet.cert_manager() {
            None => faults.push(no_helper(&managing)),
            Some(copilot) => faults.extend(program(&managing, copilot).or_else(|| not_running(renewal, &managing, copilot))),
        }
        faults.extend(no_broker(renewal, &managing));
        let names = managing.names();
        for fault in faults {
            let about = if names.is_empty() { "anything".to_owned() } else { support::list(&names, 3) };
            let message = format!("nothing is issued for {about}: {}", fault.what);
            let mut finding = managing.finding(case, &CHECK, &names, message);
            finding.evidence = fault.evidence;
            finding.evidence.extend(
                managing.servers.iter().filter_map(|s| s.management()).take(1).map(|d| support::place(managing.instance, d)),
            );
            finding.remedies.push(fault.remedy);
            finding.remedies.push(managing.restart());
            out.push(finding);
        }
        out.extend(managing.servers.iter().filter(|s| s.names().iter().all(|n| n.is_empty())).map(|server| {
            let message = "nothing is issued for a server without a name: NJet asks for the names of `server_name`";
            let mut finding = managing.finding(case, &CHECK, &[], message);
            finding.evidence = vec![support::place(managing.instance, server.directive)];
            finding.remedies.push(by_hand("name its host in `server_name`", None));
            finding
        }));
    }
    for instance in support::in_force(renewal).filter(|i| i.is_whole()) {
        out.extend(
            instance.servers().iter().filter(|s| !s.is_managed()).filter_map(|s| s.management()).map(|d| other_word(instance, d)),
        );
    }
}

/// NJet's own words for a value that does not begin with `acme`.
fn other_word(instance: &Instance, directive: &Directive) -> Finding {
    let message = "NJet does not start: the \"ssl_certificate_management\" directive only support acme now";
    let mut finding = Finding::new(&CHECK, instance.conf.to_string(), message);
    finding.evidence = vec![support::place(instance, directive)];
    let verify = Some(support::test_command(instance));
    let change = directive.words.get(1).and_then(|word| support::reword(instance, directive, word, "acme"));
    finding.remedies.push(match change {
        Some(change) => {
            Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, "write `ssl_certificate_management acme`", verify)
        }
        None => by_hand("write `ssl_certificate_management acme;`", verify),
    });
    finding
}

fn no_helper(managing: &Managing<'_>) -> Fault {
    let at_hand = |path: &str| managing.njet.at_hand.contains(path);
    let text = format!("helper cert-manager {COPILOT_MODULE} {COPILOT_CONF};");
    let change = || {
        let is_there = at_hand(COPILOT_MODULE) && at_hand(COPILOT_CONF);
        is_there.then(|| add_line(managing.instance, &text, false))?
    };
    Fault {
        what: "no `helper` line starts cert-manager".to_owned(),
        evidence: vec![Evidence::file(&managing.instance.conf, None, "no such line")],
        remedy: remedy(change(), format!("add `{text}`"), running(managing, PROGRAM)),
    }
}

/// A line of the main block, before the first helper or behind the last; with none, before the first block. The broker comes first, as in
/// NJet's own configurations: the others want to reach it.
fn add_line(instance: &Instance, line: &str, first: bool) -> Option<Change> {
    let main = |d: &&Directive| d.file == 0;
    let helpers: Vec<&Directive> = named(&instance.directives, "helper").filter(main).collect();
    if let (Some(last), false) = (helpers.last(), first) {
        return support::splice(instance, 0, last.span.end..last.span.end, format!("\n{line}"));
    }
    let block = || instance.directives.iter().find(|d| d.file == 0 && d.block.is_some());
    let before = helpers.first().copied().or_else(block)?.span.start;
    support::splice(instance, 0, before..before, format!("{line}\n"))
}

/// The TOML file, and the program that it names.
fn program(managing: &Managing<'_>, copilot: &Copilot) -> Option<Fault> {
    let helper = Evidence::file(&copilot.said.0, Some(copilot.said.1), "the helper");
    let verify = running(managing, copilot.program.as_ref().map_or(PROGRAM.to_owned(), ToString::to_string).as_str());
    let fault = |what: String, line: Option<u32>, remedy: Remedy| {
        Some(Fault { what, evidence: vec![Evidence::file(&copilot.path, line, "its file"), helper.clone()], remedy })
    };
    let settings = match &copilot.settings {
        Ok(settings) => settings,
        Err((line, why)) => {
            let what = format!("{} can't be read: {why}", copilot.path);
            return fault(what, *line, by_hand(format!("put {} right", copilot.path), verify));
        }
    };
    let given = settings.get("copilot", "progName");
    let Some(program) = &copilot.program else {
        let what = format!("{} names no program (`progName` of `[copilot]`)", copilot.path);
        let value = format!("progName = {}", crate::format::toml_table::quoted(PROGRAM));
        let change = match (given, settings.header("copilot")) {
            _ if !managing.njet.at_hand.contains(PROGRAM) => None,
            (Some(setting), _) => support::njet::reset(copilot, setting, PROGRAM),
            (None, Some(at)) => support::njet::splice(copilot, at..at, format!("{value}\n")),
            (None, None) => None,
        };
        return fault(what, given.map(|s| s.line), remedy(change, format!("write `{value}` below `[copilot]`"), verify));
    };
    if copilot.is_executable {
        return None;
    }
    let what = format!("{program} is no program that can be started");
    let usual = given.filter(|_| managing.njet.at_hand.contains(PROGRAM) && *program != managing.njet.prefix.join(PROGRAM));
    let change = usual.and_then(|setting| support::njet::reset(copilot, setting, PROGRAM));
    let text = match change {
        Some(_) => format!("start {PROGRAM}"),
        None => format!("install {program}, and have it executable"),
    };
    fault(what, given.map(|s| s.line), remedy(change, text, verify))
}

fn not_running(renewal: &Renewal, managing: &Managing<'_>, copilot: &Copilot) -> Option<Fault> {
    managing.instance.master.as_ref()?;
    let program = copilot.program.as_ref()?;
    let is_it = |p: &crate::facts::renewal::Process| match &p.exe {
        Some(exe) => exe == program || exe.name() == program.name(),
        // Of another user's process only the name is known.
        None => program.name().starts_with(p.comm.as_bytes()) && !p.comm.is_empty(),
    };
    if renewal.processes.all.iter().any(is_it) {
        return None;
    }
    let log = copilot.setting("copilot", "stderrFile").map(|s| s.text.clone());
    let told = log.map_or_else(String::new, |log| format!("; what it said last is in {log}"));
    Some(Fault {
        what: format!("{program} does not run"),
        evidence: vec![Evidence::file(&copilot.said.0, Some(copilot.said.1), "the helper")],
        remedy: by_hand(format!("see why it ended: NJet starts it once{told}"), running(managing, &program.to_string())),
    })
}

fn no_broker(renewal: &Renewal, managing: &Managing<'_>) -> Option<Fault> {
    let copilot = managing.njet.cert_manager()?;
    let setting = copilot.setting("mqtt", "mqttServerAddress");
    let (host, port) = setting.map_or(Some(("127.0.0.1", "1883")), |s| s.text.rsplit_once(':'))?;
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback());
    let port: u16 = port.parse().ok()?;
    let is_live = managing.instance.master.is_some();
    let is_there = match is_live {
        true => renewal.processes.on_port(port).next().is_some(),
        false => managing.njet.has_broker,
    };
    if !is_local || is_there {
        return None;
    }
    let mut evidence: Vec<Evidence> = setting.map(|s| support::njet::said(copilot, s)).into_iter().collect();
    evidence.push(Evidence::file(&managing.instance.conf, None, "the configuration"));
    let verify = Some(format!("ss -tlnp 'sport = :{port}'"));
    if managing.njet.has_broker {
        let what = format!("the broker of messages does not listen on port {port}");
        let text = format!("have it listen there in {}", managing.njet.prefix.join(BROKER_CONF));
        return Some(Fault { what, evidence, remedy: by_hand(text, verify) });
    }
    let text = format!("helper broker {BROKER_MODULE} {BROKER_CONF};");
    let at_hand = |path: &str| managing.njet.at_hand.contains(path);
    let change = (at_hand(BROKER_MODULE) && at_hand(BROKER_CONF)).then(|| add_line(managing.instance, &text, true)).flatten();
    let what = "no `helper` line starts the broker of messages".to_owned();
    Some(Fault { what, evidence, remedy: remedy(change, format!("add `{text}`"), verify) })
}

/// What shows that the program runs.
fn running(managing: &Managing<'_>, program: &str) -> Option<String> {
    let program = managing.njet.prefix.join(program).to_string();
    Some(format!("pgrep -af {}", support::shell(&program)))
}

fn remedy(change: Option<Change>, text: String, verify: Option<String>) -> Remedy {
    match change {
        Some(change) => Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, text, verify),
        None => by_hand(text, verify),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::facts::renewal::{Listener, Process, nginx::Master};

    fn changed(world: World, change: impl FnOnce(&mut crate::facts::renewal::njet::Installed)) -> World {
        world.renewal(|r| change(&mut r.njet.installed[0]))
    }

    #[test]
    fn a_line_that_is_missing_is_added() {
        let world = changed(njet(HTTPS, "", TLS_TOML), |n| n.copilots.clear());
        let found = world.one(&CHECK);
        assert_eq!(found.message, "nothing is issued for a.test: no `helper` line starts cert-manager");
        let after = njet_patched(&world, TLS_TOML, &found);
        let conf = after.facts.renewal.as_ref().expect("facts").nginx.instances[0].files[0].bytes.clone();
        let line = ";\nhelper cert-manager modules/njt_helper_go_copilot_module.so conf/cert.toml;\nevents";
        assert!(String::from_utf8_lossy(&conf).contains(line));
        let world = changed(njet(HTTPS, "", TLS_TOML), |n| n.has_broker = false);
        let found = world.one(&CHECK);
        assert!(found.message.contains("starts the broker"), "{}", found.message);
        assert!(matches!(found.remedies[0].intent, Intent::Patch(_)));
        let world = changed(njet(HTTPS, "", TLS_TOML), |n| {
            n.copilots.clear();
            n.at_hand.clear();
        });
        assert_eq!(world.one(&CHECK).remedies[0].applicability, Applicability::Manual);
    }

    #[test]
    fn a_program_that_is_not_named_or_not_there_is_told() {
        for toml in [TLS_TOML.replace("progName=\"sbin/cert-manager\"\n", ""), TLS_TOML.replace("sbin/cert-manager", "")] {
            let world = njet(HTTPS, "", &toml);
            let found = world.one(&CHECK);
            assert!(found.message.contains("names no program"), "{}", found.message);
            njet_patched(&world, &toml, &found).silent(&CHECK);
        }
        let toml = TLS_TOML.replace("sbin/cert-manager", "bin/other");
        let world = njet(HTTPS, "", &toml);
        let found = world.one(&CHECK);
        assert!(found.message.contains("/usr/local/njet/bin/other is no program"), "{}", found.message);
        njet_patched(&world, &toml, &found).silent(&CHECK);
        let found = njet(HTTPS, "", "[copilot\n").one(&CHECK);
        assert!(found.message.contains("/usr/local/njet/conf/cert.toml can't be read"), "{}", found.message);
        assert_eq!(found.evidence[0].line, Some(1));
    }

    #[test]
    fn on_a_live_host_both_must_run() {
        let live = |runs: bool, port: u16| {
            njet(HTTPS, "", TLS_TOML).renewal(|r| {
                let master = Master {
                    pid: 7,
                    exe: Some("/usr/local/njet/sbin/njet".into()),
                    arguments: Vec::new(),
                    youngest_worker: None,
                };
                r.nginx.instances[0].master = Some(master);
                let process = |pid, exe: &str| Process {
                    pid,
                    parent: 1,
                    comm: "x".into(),
                    exe: Some(exe.into()),
                    arguments: Vec::new(),
                    started: crate::base::At(0),
                    unit: None,
                };
                r.processes.all.push(process(7, "/usr/local/njet/sbin/njet"));
                if runs {
                    r.processes.all.push(process(8, "/usr/local/njet/sbin/cert-manager"));
                }
                r.processes.listeners.push(Listener { address: IpAddr::from([127, 0, 0, 1]), port, pids: vec![9] });
            })
        };
        live(true, 1883).silent(&CHECK);
        assert!(live(false, 1883).one(&CHECK).message.contains("/usr/local/njet/sbin/cert-manager does not run"));
        assert!(live(true, 1884).one(&CHECK).message.contains("does not listen on port 1883"));
    }

    #[test]
    fn words_that_njet_refuses_are_told() {
        let world = njet(&HTTPS.replace(" acme;", " acne;"), "", TLS_TOML);
        let found = world.one(&CHECK);
        assert!(found.message.contains("only support acme now"), "{}", found.message);
        njet_patched(&world, TLS_TOML, &found).silent(&CHECK);
        njet(&HTTPS.replace(" acme;", " acmeX;"), "", TLS_TOML).silent(&CHECK);
        let found = njet(&HTTPS.replace(" server_name a.test;", ""), "", TLS_TOML).one(&CHECK);
        assert!(found.message.contains("without a name"), "{}", found.message);
    }

    #[test]
    fn is_silent_when_all_is_there() {
        njet(HTTPS, "", TLS_TOML).silent(&CHECK);
        njet("server { listen 443 ssl; server_name a.test; }", "", "[copilot\n").silent(&CHECK);
    }
}
