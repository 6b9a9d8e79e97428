//! CD752.

use super::{super::Case, support};
use crate::{
    facts::renewal::{
        Renewal,
        nginx::{Instance, LogLine},
    },
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** nginx runs, but with the configuration as it lies on disk it would not start. A reload changes nothing then: the old
    /// workers go on with the old certificates, and after a restart or a reboot nothing is served at all.
    ///
    /// **How it is found.** The grammar and the includes are read as nginx reads them. What else nginx refuses (a directive that it does not
    /// know, an address that is taken) stands as `[emerg]` in its error log: when the running master wrote it after its youngest worker
    /// started, the last reload was refused. Certificates that nginx refuses are told by CD756. What could not be read for want of permission is no fault of
    /// nginx's: it stands among what was not checked.
    ///
    /// **What to do.** Mend the configuration, ask `nginx -t`, then reload.
    ///
    /// **Sources.** nginx.org/en/docs/control.html ("if this fails, it rolls back changes and continues to work with old configuration"); measured
    /// with nginx 1.22.1.
    "CD752" "reload-refused" Error "nginx does not accept its configuration as it is now"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal) {
        let Some(defect) = instance.defects.first() else {
            out.extend(refused(instance).map(|(first, last)| at_the_last_reload(renewal, instance, first, last)));
            continue;
        };
        let at = defect.line.map_or(defect.path.to_string(), |line| format!("{}:{line}", defect.path));
        let runs = if instance.master.is_some() { "goes on with an older one" } else { "does not start with it" };
        let message = format!("nginx can't read its configuration at {at} ({}) and {runs}", defect.what);
        let mut finding = Finding::new(&CHECK, instance.conf.to_string(), message);
        finding.evidence = instance.defects.iter().take(4).map(|d| Evidence::file(&d.path, d.line, d.what.clone())).collect();
        finding
            .evidence
            .extend(instance.emergencies.last().map(|line| Evidence::file(&line.path, Some(line.line), line.text.clone())));
        finding.remedies.push(support::by_hand("mend it and ask nginx", Some(support::test_command(instance))));
        // What is renewed meanwhile is not served.
        finding.lineages = renewal.lineages.iter().filter(|_| instance.master.is_some()).map(support::key).collect();
        out.push(finding);
    }
}

/// Seconds by which the start of a process may be off: it is counted from the start of the machine, which is told in whole ones.
const BLUR: i64 = 1;
/// Seconds that one refusal takes: nginx tries for an address five times, half a second apart.
const ONE_TRY: i64 = 5;

/// The first and the last line of the last reload, if it was refused and none has succeeded since. `nginx -t` writes into the log as well, but
/// as another process.
fn refused(instance: &Instance) -> Option<(&LogLine, &LogLine)> {
    let master = instance.master.as_ref()?;
    let loaded = master.youngest_worker?;
    let by_master = || instance.emergencies.iter().filter(|line| line.pid == Some(master.pid));
    let last = by_master().next_back()?;
    let at = last.at.filter(|at| at.0 > loaded.0 + BLUR)?;
    let first = by_master().find(|line| line.at.is_some_and(|begin| begin.0 >= (at.0 - ONE_TRY).max(loaded.0 + BLUR + 1)))?;
    // Those are CD756's.
    let is_of_a_pair = ["cannot load certificate", "SSL_CTX_"].iter().any(|words| first.text.contains(words));
    (!is_of_a_pair).then_some((first, last))
}

fn at_the_last_reload(renewal: &Renewal, instance: &Instance, first: &LogLine, last: &LogLine) -> Finding {
    let said = first.text.split_once(": ").map_or(first.text.as_str(), |(_, said)| said);
    let message =
        format!("nginx was told at {} to load its configuration, refused ({said}), and goes on with an older one", first.time);
    let mut finding = Finding::new(&CHECK, instance.conf.to_string(), message);
    let lines = [first, last].into_iter().take(if first == last { 1 } else { 2 });
    finding.evidence = lines.map(|line| Evidence::file(&line.path, Some(line.line), line.text.clone())).collect();
    let text = "ask nginx whether it still refuses, and mend what it names";
    finding.remedies.push(support::by_hand(text, Some(support::test_command(instance))));
    finding.remedies.push(support::reload(instance));
    finding.lineages = renewal.lineages.iter().map(support::key).collect();
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::{
        base::At,
        facts::renewal::nginx::{Defect, Master},
    };

    #[test]
    fn catches_a_configuration_that_ends_too_early() {
        let mut instance = nginx("server { listen 80; }");
        let what = "unexpected end of file, expecting \"}\"".to_owned();
        instance.defects.push(Defect { path: "/etc/nginx/conf.d/a.conf".into(), line: Some(7), what });
        let finding = World::at(LAB).renewal(|r| r.nginx.instances.push(instance)).one(&CHECK);
        assert!(
            finding.message.starts_with("nginx can't read its configuration at /etc/nginx/conf.d/a.conf:7"),
            "{}",
            finding.message
        );
        assert_eq!(finding.remedies[0].command.as_deref(), Some("nginx -t -c /etc/nginx/nginx.conf"));
    }

    #[test]
    fn catches_what_the_running_master_refused_at_its_last_reload() {
        let refused = |text: &str, pid, seconds| {
            let mut instance = nginx("server { listen 80; }");
            instance.master = Some(Master { pid: 7, exe: None, arguments: Vec::new(), youngest_worker: Some(At(1000)) });
            instance.emergencies = [(text, seconds), ("still could not bind()", seconds + 3)]
                .map(|(text, at)| LogLine {
                    path: "/var/log/nginx/error.log".into(),
                    line: 3,
                    time: "2026/11/22 00:28:50".to_owned(),
                    at: Some(At(at)),
                    pid: Some(pid),
                    text: format!("[emerg] {pid}#{pid}: {text}"),
                })
                .into();
            World::at(LAB).renewal(|r| r.nginx.instances.push(instance))
        };
        let taken = "bind() to 0.0.0.0:80 failed (98: Address already in use)";
        let finding = refused(taken, 7, 1010).one(&CHECK);
        assert!(finding.message.contains(&format!("refused ({taken})")), "{}", finding.message);
        assert_eq!(finding.evidence.len(), 2);
        // `nginx -t` said so; or it has been loaded since.
        refused(taken, 8, 1010).silent(&CHECK);
        refused(taken, 7, 990).silent(&CHECK);
        // CD756 tells.
        refused("cannot load certificate \"/x.pem\": BIO_new_file() failed", 7, 1010).silent(&CHECK);
    }

    #[test]
    fn what_this_program_may_not_read_is_no_refusal() {
        let mut instance = nginx("server { listen 80; }");
        let what = "open() \"/etc/nginx/secret.conf\" failed: Permission denied".to_owned();
        instance.unread.push(Defect { path: "/etc/nginx/nginx.conf".into(), line: Some(3), what });
        World::at(LAB).renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
    }

    #[test]
    fn is_silent_about_a_whole_one() {
        World::at(LAB).nginx("server { listen 80; }").silent(&CHECK);
    }
}
