//! Checks: one file is one finding, a pure function over the facts and verdicts.
//!
//! A check's file is named after its slug; [`ALL`] lists them by code, and `tests/registry.rs` compares the two. The doc comment
//! in a check's `rule!` is the whole explanation: it is the rustdoc, the text of `certdoctor explain CDnnn` and a section of
//! `docs/findings.md`.
//!
//! Absent on purpose: any reading of files, clocks or the environment, and any opinion of one check on another's findings.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use crate::{
    base::At,
    facts::Facts,
    finding::{Finding, Severity},
    path::{Attempt, Verdict},
    x509::Certificate,
};

/// Defines a file's `CHECK`; the doc comment becomes its rustdoc and its explanation.
macro_rules! rule {
    ($(#[doc = $doc:literal])* $code:literal $slug:literal $severity:ident $title:literal) => {
        $(#[doc = $doc])*
        pub(in $crate::check) static CHECK: $crate::check::Check = $crate::check::Check {
            code: $code,
            slug: $slug,
            title: $title,
            severity: $crate::finding::Severity::$severity,
            doc: concat!($($doc, "\n"),*),
            run,
        };
    };
}

mod anchor_expired;
mod anchor_expiring;
mod anchor_not_yet_valid;
mod certificate_unreadable;
mod chain_refused;
mod clock_implausible;
mod conf_last_line_without_newline;
mod connection_refused;
mod connection_reset;
mod connection_timed_out;
mod corrupt_certificate;
mod crlf;
mod dangling_link;
mod dead_anchor_chosen;
mod deleted_or_commented_line;
mod deselect_name_mapped;
mod dockerfile_keeps_anchor;
mod drift;
mod duplicate_anchor;
mod duplicate_presented;
mod empty_store;
mod environment_redirect;
mod eof_after_hello;
mod expired_cross_sign_presented;
mod interception;
mod intermediate_expired;
mod leaf_expired;
mod leaf_not_yet_valid;
mod missing_configuration;
mod missing_final_newline;
mod missing_intermediate;
mod model_and_client_disagree;
mod multi_certificate_file;
mod name_does_not_resolve;
mod no_certificate_presented;
mod no_route;
mod no_store_found;
mod non_ca_anchor;
mod not_tls;
mod old_protocol;
mod parked_configuration;
mod private_key_in_store;
mod protocol_mismatch;
mod proxy_refused;
mod renewal;
mod root_included;
mod same_basename;
mod same_name_order;
mod self_signed_leaf;
mod stale_new_file;
mod starttls_failed;
mod tls_alert;
mod unknown_root;
mod unreadable_file;
mod unrelated_presented;
mod weak_anchor;
mod weak_presented;
mod will_be_refused;
mod wrong_extension;
mod wrong_name;
mod wrong_order;

mod doc;
mod support;
#[cfg(test)]
pub(crate) mod testing;

pub use doc::findings_markdown;

/// One check.
pub struct Check {
    /// `CDnnn`.
    pub code: &'static str,
    /// The code in words.
    pub slug: &'static str,
    /// One line: what is wrong.
    pub title: &'static str,
    /// The severity of its findings unless a finding says otherwise.
    pub severity: Severity,
    /// What it means, how it was found, what to do, sources: Markdown, as the doc comment has it (each line begins with a blank;
    /// [`Check::text`] is without).
    pub doc: &'static str,
    /// Looks, and appends what it finds.
    pub run: fn(&Case<'_>, &mut Vec<Finding>),
}

/// What a check looks at.
pub struct Case<'a> {
    /// Everything gathered.
    pub facts: &'a Facts,
    /// The instant of judgement.
    pub at: At,
    /// Days ahead in which an expiry is worth a word (`--within`).
    pub within: i64,
    /// What each client says about each endpoint, in the order of the endpoints.
    pub verdicts: &'a [ClientVerdict],
    /// For each endpoint, every path that exists (against the union of the stores).
    pub paths: &'a [Vec<Attempt>],
    /// The refusals to come, if anybody asked for them.
    pub lapses: &'a [Lapse],
    /// What some client may trust, gathered at the first question.
    pub union: Union,
}

/// Everything that some client of this host may trust; checks ask for it through their common support.
#[derive(Debug, Default)]
pub struct Union(OnceLock<Vec<Certificate>>);

/// The verdicts about one endpoint: verdicts come endpoint after endpoint, and there may be thousands.
#[must_use]
pub fn of_endpoint(verdicts: &[ClientVerdict], endpoint: usize) -> &[ClientVerdict] {
    &verdicts[place_of_endpoint(verdicts, endpoint)]
}

/// Where the verdicts about one endpoint stand.
#[must_use]
pub fn place_of_endpoint(verdicts: &[ClientVerdict], endpoint: usize) -> Range<usize> {
    place_of(verdicts, endpoint, |v| v.endpoint)
}

/// The refusals to come of one endpoint, which come endpoint after endpoint too.
#[must_use]
pub fn lapses_of(lapses: &[Lapse], endpoint: usize) -> &[Lapse] {
    &lapses[place_of(lapses, endpoint, |l| l.endpoint)]
}

fn place_of<T>(items: &[T], endpoint: usize, of: impl Fn(&T) -> usize) -> Range<usize> {
    let start = items.partition_point(|item| of(item) < endpoint);
    let len = items[start..].partition_point(|item| of(item) == endpoint);
    start..start + len
}

/// What one client says about one endpoint.
#[derive(Clone, Debug)]
pub struct ClientVerdict {
    /// The identifier that was asked for.
    pub client: String,
    /// The profile that answers.
    pub profile: &'static crate::client::Profile,
    /// Index into [`Facts::endpoints`].
    pub endpoint: usize,
    /// The places where it reads its anchors.
    pub store: Vec<String>,
    /// Its answer.
    pub verdict: Verdict,
    /// For a refusal: each remedy that was tried by judging again; those that work stand first, the smallest first among them.
    pub would_help: Vec<Trial>,
}

impl ClientVerdict {
    /// The smallest remedy that works.
    #[must_use]
    pub fn smallest_remedy(&self) -> Option<&Trial> {
        self.would_help.first().filter(|trial| trial.trusts)
    }
}

/// One remedy, tried by judging again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its kind.
    pub kind: RemedyKind,
    /// In words: `remove the anchor X`.
    pub words: String,
    /// Whether the client trusts then.
    pub trusts: bool,
    /// The clients that trust the same endpoint now, and would refuse it then.
    pub harms: Vec<String>,
}

/// What a remedy changes, the smallest first: what is wrong anyway, then what is done on this host and trusts nobody new, then what the
/// server's owner has to do for everybody, then what trusts somebody new, and last another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemedyKind {
    /// The clock.
    Clock,
    /// An anchor goes.
    RemoveAnchor,
    /// One client is led to another store, or to other rules.
    Variable,
    /// The server sends the same in another order.
    Reorder,
    /// The server sends less.
    StopServing,
    /// The server sends more.
    Serve,
    /// An anchor comes.
    AddAnchor,
    /// A later version of the client.
    Upgrade,
}

/// A client that trusts an endpoint now, and will refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// The first instant at which it refuses.
    pub at: At,
    /// Index into [`Facts::endpoints`].
    pub endpoint: usize,
    /// The client.
    pub client: String,
    /// The certificate whose time has come then.
    pub certificate: Option<Certificate>,
    /// What the client will say.
    pub text: String,
}

/// A check that failed itself: what it would have found is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The check's code.
    pub code: &'static str,
    /// The words of its panic.
    pub why: String,
}

/// Every check, by code.
pub static ALL: &[&Check] = &[
    &connection_refused::CHECK,
    &connection_timed_out::CHECK,
    &connection_reset::CHECK,
    &not_tls::CHECK,
    &tls_alert::CHECK,
    &name_does_not_resolve::CHECK,
    &eof_after_hello::CHECK,
    &old_protocol::CHECK,
    &starttls_failed::CHECK,
    &proxy_refused::CHECK,
    &no_route::CHECK,
    &no_certificate_presented::CHECK,
    &leaf_expired::CHECK,
    &leaf_not_yet_valid::CHECK,
    &wrong_name::CHECK,
    &missing_intermediate::CHECK,
    &wrong_order::CHECK,
    &duplicate_presented::CHECK,
    &root_included::CHECK,
    &expired_cross_sign_presented::CHECK,
    &self_signed_leaf::CHECK,
    &intermediate_expired::CHECK,
    &weak_presented::CHECK,
    &unrelated_presented::CHECK,
    &certificate_unreadable::CHECK,
    &anchor_expired::CHECK,
    &anchor_expiring::CHECK,
    &anchor_not_yet_valid::CHECK,
    &same_name_order::CHECK,
    &non_ca_anchor::CHECK,
    &weak_anchor::CHECK,
    &duplicate_anchor::CHECK,
    &drift::CHECK,
    &dangling_link::CHECK,
    &multi_certificate_file::CHECK,
    &missing_final_newline::CHECK,
    &crlf::CHECK,
    &wrong_extension::CHECK,
    &deselect_name_mapped::CHECK,
    &deleted_or_commented_line::CHECK,
    &conf_last_line_without_newline::CHECK,
    &stale_new_file::CHECK,
    &unreadable_file::CHECK,
    &private_key_in_store::CHECK,
    &corrupt_certificate::CHECK,
    &parked_configuration::CHECK,
    &no_store_found::CHECK,
    &empty_store::CHECK,
    &same_basename::CHECK,
    &missing_configuration::CHECK,
    &dockerfile_keeps_anchor::CHECK,
    &dead_anchor_chosen::CHECK,
    &unknown_root::CHECK,
    &environment_redirect::CHECK,
    &interception::CHECK,
    &protocol_mismatch::CHECK,
    &chain_refused::CHECK,
    &will_be_refused::CHECK,
    &clock_implausible::CHECK,
    &renewal::timer_disabled::CHECK,
    &renewal::timer_masked::CHECK,
    &renewal::timer_unit_gone::CHECK,
    &renewal::runs_too_rarely::CHECK,
    &renewal::scheduled_service_fails::CHECK,
    &renewal::no_scheduler::CHECK,
    &renewal::two_certbots::CHECK,
    &renewal::standalone_port_held::CHECK,
    &renewal::standalone_hooks::CHECK,
    &renewal::autorenew_off::CHECK,
    &renewal::renewal_conf_broken::CHECK,
    &renewal::live_not_links::CHECK,
    &renewal::live_dangling::CHECK,
    &renewal::live_mixed_versions::CHECK,
    &renewal::interrupted_update::CHECK,
    &renewal::account_missing::CHECK,
    &renewal::wrong_server::CHECK,
    &renewal::plugin_missing::CHECK,
    &renewal::dns_credentials::CHECK,
    &renewal::ca_unreachable::CHECK,
    &renewal::clock_behind::CHECK,
    &renewal::clock_ahead::CHECK,
    &renewal::always_due::CHECK,
    &renewal::old_lego_line::CHECK,
    &renewal::client_lock_held::CHECK,
    &renewal::challenge_not_served::CHECK,
    &renewal::redirect_before_locations::CHECK,
    &renewal::challenge_denied::CHECK,
    &renewal::challenge_path_doubled::CHECK,
    &renewal::webroot_differs::CHECK,
    &renewal::webroot_closed::CHECK,
    &renewal::other_server_answers::CHECK,
    &renewal::catch_all_answers::CHECK,
    &renewal::no_ipv6_listener::CHECK,
    &renewal::address_elsewhere::CHECK,
    &renewal::challenge_port_closed::CHECK,
    &renewal::terminated_before_server::CHECK,
    &renewal::unshared_storage::CHECK,
    &renewal::challenge_port_unreached::CHECK,
    &renewal::challenge_server_missing::CHECK,
    &renewal::cert_manager_missing::CHECK,
    &renewal::caa_forbids::CHECK,
    &renewal::rate_limited::CHECK,
    &renewal::retry_loop::CHECK,
    &renewal::already_replaced::CHECK,
    &renewal::stuck_lock::CHECK,
    &renewal::damaged_storage::CHECK,
    &renewal::storage_owner::CHECK,
    &renewal::wildcard_without_dns::CHECK,
    &renewal::order_refused::CHECK,
    &renewal::not_reloaded::CHECK,
    &renewal::reload_refused::CHECK,
    &renewal::deploy_hook::CHECK,
    &renewal::old_file_mounted::CHECK,
    &renewal::other_file_served::CHECK,
    &renewal::pair_refused::CHECK,
    &renewal::leaf_only_served::CHECK,
    &renewal::chain_file_wrong::CHECK,
    &renewal::one_of_two_renewed::CHECK,
    &renewal::default_server_answers::CHECK,
    &renewal::redirect_loop::CHECK,
    &renewal::hsts_over_expired::CHECK,
    &renewal::behind_amazon::CHECK,
    &renewal::unreachable_from_here::CHECK,
    &renewal::last_renewal_failed::CHECK,
    &renewal::renewal_unexplained::CHECK,
    &model_and_client_disagree::CHECK,
];

pub use model_and_client_disagree::disagreement;

/// Runs every check. The findings come worst first, then by code and subject; a check that panics fails alone.
#[must_use]
pub fn run_all(case: &Case<'_>) -> (Vec<Finding>, Vec<Broken>) {
    // What `renewal` gathers is its own business: an absent store is none, and where it gathered nothing its checks have no say.
    let renewal = case.facts.renewal.is_some();
    let has_a_say = |check: &&'static Check| match &case.facts.dockerfile {
        Some(_) => check.code == dockerfile_keeps_anchor::CHECK.code,
        None => check.is_of_renewal() == renewal || check.code.starts_with("CD6"),
    };
    let wanted: Vec<&'static Check> = ALL.iter().copied().filter(has_a_say).collect();
    run_these(&wanted, case)
}

/// Runs some checks, as [`run_all`] does.
#[must_use]
pub fn run_these(checks: &[&'static Check], case: &Case<'_>) -> (Vec<Finding>, Vec<Broken>) {
    let mut findings = Vec::new();
    let mut broken = Vec::new();
    for check in checks {
        // What a check was about to append when it panicked is dropped with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut found = Vec::new();
            (check.run)(case, &mut found);
            found
        }));
        match outcome {
            Ok(found) => findings.extend(found),
            Err(panic) => {
                let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let why = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into());
                broken.push(Broken { code: check.code, why });
            }
        }
    }
    sort(&mut findings);
    (findings, broken)
}

/// The order of every report: worst first, then by code, subject and message.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.code.cmp(b.code))
            .then_with(|| a.due.cmp(&b.due))
            .then_with(|| a.subject.cmp(&b.subject))
            .then_with(|| a.message.cmp(&b.message))
    });
}

/// The check with this code (`CD301`, in either case) or slug.
#[must_use]
pub fn find(code_or_slug: &str) -> Option<&'static Check> {
    ALL.iter().copied().find(|c| c.code.eq_ignore_ascii_case(code_or_slug) || c.slug == code_or_slug)
}

impl Check {
    /// Whether it is about the server side: certificates kept and served here.
    #[must_use]
    pub fn is_of_renewal(&self) -> bool {
        self.code.starts_with("CD7")
    }

    /// The explanation as Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::World, *};

    fn panics(_: &Case<'_>, _: &mut Vec<Finding>) {
        panic!("no such luck");
    }

    #[test]
    fn a_broken_check_fails_alone() {
        static BROKEN: Check = Check { code: "CD000", slug: "broken", title: "", severity: Severity::Note, doc: "", run: panics };
        let world = World::at("2026-11-22");
        let (findings, broken) = run_these(&[&BROKEN, &no_store_found::CHECK], &world.case());
        assert_eq!(broken, [Broken { code: "CD000", why: "no such luck".into() }]);
        assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["CD415"]);
    }

    #[test]
    fn is_found_by_code_and_slug() {
        assert_eq!(find("cd301").map(|c| c.slug), Some("anchor-expired"));
        assert_eq!(find("anchor-expired").map(|c| c.code), Some("CD301"));
        assert!(find("CD999").is_none());
    }

    #[test]
    fn orders_by_severity_code_and_subject() {
        let finding = |severity, check: &Check, subject: &str| Finding { severity, ..Finding::new(check, subject, "") };
        let mut findings = [
            finding(Severity::Note, &crlf::CHECK, "a"),
            finding(Severity::Error, &drift::CHECK, "b"),
            finding(Severity::Error, &drift::CHECK, "a"),
            finding(Severity::Error, &anchor_expired::CHECK, "z"),
        ];
        sort(&mut findings);
        let order: Vec<_> = findings.iter().map(|f| (f.code, f.subject.as_str())).collect();
        assert_eq!(order, [("CD301", "z"), ("CD401", "a"), ("CD401", "b"), ("CD405", "a")]);
    }
}
