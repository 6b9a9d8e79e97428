//! CD711.

use super::support::certbot::{self as support, Subject};
use crate::{
    check::Case,
    edit::{Applicability, Change},
    facts::renewal::{
        Value,
        certbot::{KINDS, PARAMETERS},
    },
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** Certbot can't use the renewal configuration and skips the certificate ("parsefail"): a line that is no
    /// ConfigObj, one of the four paths missing, no `[renewalparams]`, no authenticator, or a file that is empty or unreadable.
    ///
    /// **How it is found.** The file is read as ConfigObj reads it, and asked for what certbot asks it for.
    ///
    /// **What to do.** Paths that are missing are put back from `live`; lines that can't be read are taken out. Of an empty file nothing
    /// is left to mend: order the certificate again under the same name, which writes it anew.
    ///
    /// **Sources.** `certbot/_internal/storage.py` and `renewal.py`; each kind measured with certbot 2.1.0.
    "CD711" "renewal-conf-broken" Warning "certbot can't use the renewal configuration"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let conf = subject.conf;
        if let Err(why) = &conf.read {
            let message = format!("{} can't be read: {why}", conf.path);
            let mut finding = subject.finding(&CHECK, None, message);
            finding.remedies.push(again(&subject));
            out.push(finding);
            continue;
        }
        let config = &conf.config;
        let missing: Vec<&str> = KINDS.into_iter().filter(|kind| config.get(&[], kind).is_none()).collect();
        let has_parameters = config.section(&[PARAMETERS]).is_some();
        let (why, line) = match config.faults.first() {
            Some(fault) => (format!("line {} is {}", fault.line, fault.why), Some(fault.line)),
            None if config.settings.is_empty() => ("it is empty".to_owned(), None),
            None if !missing.is_empty() => (format!("it does not say where {} lies", missing.join(", ")), None),
            None if !has_parameters => ("it has no [renewalparams]".to_owned(), None),
            None if conf.parameter("authenticator").is_none() => ("it names no authenticator".to_owned(), None),
            None => continue,
        };
        let mut finding = subject.finding(&CHECK, None, format!("certbot skips {}: {why}", subject.name()));
        finding.evidence = vec![Evidence::file(&conf.path, line, "renewal configuration")];
        let is_rest_whole = missing.is_empty() && conf.parameter("authenticator").is_some();
        if !config.faults.is_empty() && is_rest_whole {
            let lines = config.faults.iter().map(|f| subject.splice(Some((f.span.clone(), Vec::new())))).collect();
            let text = format!("take out what can't be read (line {})", numbers(config.faults.iter().map(|f| f.line)));
            finding.remedies.extend(subject.patch(text, lines));
        } else if config.faults.is_empty() && !missing.is_empty() && conf.parameter("authenticator").is_some() {
            let paths = paths(&subject, &missing);
            finding.remedies.extend(subject.patch(format!("say again where {} lies", missing.join(", ")), vec![paths]));
        }
        finding.remedies.push(again(&subject));
        finding.facts.push(("verify", format!("certbot certificates --cert-name {}", crate::base::shell(subject.name()))));
        out.push(finding);
    }
}

fn numbers(lines: impl Iterator<Item = u32>) -> String {
    lines.map(|l| l.to_string()).collect::<Vec<_>>().join(", ")
}

/// The lines for the paths that are missing; only files that are there are named.
fn paths(subject: &Subject<'_>, missing: &[&str]) -> Option<Change> {
    // The other paths tell the directory.
    let directory = subject.conf.live.first().map(|live| live.path.parent());
    let directory = directory.unwrap_or_else(|| format!("/etc/letsencrypt/live/{}", subject.name()).as_str().into());
    let values: Vec<(&str, Value)> =
        missing.iter().map(|kind| (*kind, Value::One(directory.join(format!("{kind}.pem")).to_string()))).collect();
    let values: Vec<(&str, &Value)> = values.iter().map(|(kind, value)| (*kind, value)).collect();
    subject.splice(subject.conf.config.insert(&[], &values))
}

fn again(subject: &Subject<'_>) -> crate::finding::Remedy {
    let mut names = subject.lineage.names();
    if names.is_empty() {
        names.extend(subject.conf.newest.as_ref().and_then(|c| c.subject_alt_name()).into_iter().flatten().filter_map(
            |n| match n {
                crate::x509::GeneralName::Dns(name) => Some(name.clone()),
                _ => None,
            },
        ));
    }
    if names.is_empty() {
        names.push(subject.name().to_owned());
    }
    let domains: String = names.iter().map(|n| format!(" -d {}", crate::base::shell(n))).collect();
    let name = crate::base::shell(subject.name());
    let command = format!(
        "mv {0} {0}.broken && certbot certonly --webroot -w DIRECTORY --cert-name {name}{domains}",
        crate::base::shell(&subject.conf.path.to_string())
    );
    let mut remedy = support::by_hand("order it again under the same name, which writes the file anew", command);
    remedy.applicability = Applicability::Manual;
    remedy
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn with(text: String) -> World {
        World::renewing(move |tree| edit(tree, CONF, |_| text))
    }

    #[test]
    fn catches_each_kind_and_mends_what_can_be_mended() {
        let broken = RENEWAL_CONF.to_owned() + "[[[broken\n";
        let finding = with(broken.clone()).one(&CHECK);
        assert_eq!(finding.message, "certbot skips a.test: line 17 is neither section nor setting");
        assert_eq!(patched(&broken, &finding.remedies[0]), RENEWAL_CONF);
        let without: String = RENEWAL_CONF.lines().filter(|l| !l.starts_with("fullchain")).map(|l| l.to_owned() + "\n").collect();
        let finding = with(without.clone()).one(&CHECK);
        assert_eq!(finding.message, "certbot skips a.test: it does not say where fullchain lies");
        assert_eq!(patched(&without, &finding.remedies[0]), RENEWAL_CONF);
        assert_eq!(with(String::new()).one(&CHECK).message, "certbot skips a.test: it is empty");
        let top = RENEWAL_CONF.split("\n#").next().expect("the top").to_owned();
        assert_eq!(with(top).one(&CHECK).message, "certbot skips a.test: it has no [renewalparams]");
        assert_eq!(
            with(RENEWAL_CONF.replace("authenticator", "x")).one(&CHECK).message,
            "certbot skips a.test: it names no authenticator"
        );
    }

    #[test]
    fn is_silent_about_what_certbot_writes() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
