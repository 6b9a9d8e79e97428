//! CD716.

use super::support::certbot as support;
use crate::{
    check::Case,
    edit::Change,
    facts::renewal::{EventKind, Value, certbot::PARAMETERS},
    finding::Finding,
};

rule! {
    /// **What it means.** The account that the renewal configuration names is not on this host (`accounts/` was not copied along, or was
    /// deleted), or the CA does not know it any more. Every renewal fails.
    ///
    /// **How it is found.** No folder of that name below `accounts/`; or the CA's `accountDoesNotExist` in the log since the last
    /// success.
    ///
    /// **What to do.** Bring the folder back from a backup, or register again. Where exactly one other account of the same server is on
    /// this host, the configuration can name that one: any account may renew any certificate that it can prove control for.
    ///
    /// **Sources.** `account.AccountFileStorage.load`; RFC 8555, section 7.3.1; both measured with certbot 2.1.0.
    "CD716" "account-missing" Warning "the account that renews does not exist"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    let account = subject.conf.parameter("account")?;
    let unknown = |kind: &EventKind| matches!(kind, EventKind::Acme(kind, _) if kind == "accountDoesNotExist");
    let refused = subject.last_event(|e| unknown(&e.kind));
    let is_here = subject.certbot.accounts.iter().any(|path| path.name() == account.as_bytes());
    // What can't be listed may be there.
    let is_readable = !subject.certbot.unread.iter().any(|(path, _)| path.starts_with(&"/etc/letsencrypt/accounts".into()));
    let server = subject.conf.server();
    let message = match (is_here, refused) {
        (false, _) if is_readable => format!("account {account}, which renews {}, is not on this host", subject.name()),
        (_, Some(_)) => format!("the CA does not know account {account}, which renews {}", subject.name()),
        _ => return None,
    };
    let mut finding = subject.finding(&CHECK, Some("account"), message);
    finding.evidence.extend(refused.map(support::logged));
    let folder = format!("/etc/letsencrypt/accounts/{}", server.split_once("://").map_or(server, |(_, rest)| rest));
    let folder = crate::base::TreePath::from(folder.as_str());
    let others: Vec<_> =
        subject.certbot.accounts.iter().filter(|p| p.parent() == folder && p.name() != account.as_bytes()).collect();
    if let [other] = others[..]
        && let Ok(id) = std::str::from_utf8(other.name())
    {
        let set: Option<Change> = subject.splice(subject.conf.config.set(&[PARAMETERS], "account", &Value::One(id.to_owned())));
        finding.remedies.extend(subject.patch(format!("use account {id}, the only other one of this server here"), vec![set]));
    }
    if !is_here {
        finding.facts.push(("expected", folder.join(account).to_string()));
    }
    let command = format!("certbot register --agree-tos -m YOU@EXAMPLE.COM --server {}", crate::base::shell(server));
    finding
        .remedies
        .push(support::by_hand("register again, then run certdoctor renewal once more: it puts the new account in", command));
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_an_account_that_is_gone_and_takes_the_only_other_one() {
        let finding = World::renewing(|tree| tree.remove_directory(&"/etc/letsencrypt/accounts".into())).one(&CHECK);
        assert_eq!(finding.message, "account 0123abcd, which renews a.test, is not on this host");
        assert!(
            finding.remedies[0].command.as_deref().is_some_and(|c| c.starts_with("certbot register")),
            "{:?}",
            finding.remedies
        );
        let finding = World::renewing(|tree| edit(tree, CONF, |text| text.replace("0123abcd", "beef"))).one(&CHECK);
        assert_eq!(patched(&RENEWAL_CONF.replace("0123abcd", "beef"), &finding.remedies[0]), RENEWAL_CONF);
    }

    #[test]
    fn is_silent_when_it_is_there() {
        World::renewing(|_| {}).silent(&CHECK);
    }
}
