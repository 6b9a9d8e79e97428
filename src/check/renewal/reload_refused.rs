//! CD752.

use super::{super::Case, support};
use crate::finding::{Evidence, Finding};

rule! {
    /// **What it means.** nginx runs, but with the configuration as it lies on disk it would not start. A reload changes nothing then: the old
    /// workers go on with the old certificates, and after a restart or a reboot nothing is served at all.
    ///
    /// **How it is found.** The grammar and the includes are read as nginx reads them; the newest `[emerg]` lines of the error log show that a
    /// reload was refused. Certificates that nginx refuses are told by CD756. What could not be read for want of permission is no fault of
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
        let Some(defect) = instance.defects.first() else { continue };
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

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::facts::renewal::nginx::Defect;

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
