//! CD601.

use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{Case, support};

rule! {
    /// **What it means.** This host's clock can't be right, so every "expired" and "not valid yet" that it produces may be wrong:
    /// a board without a battery, a virtual machine after a long sleep, a container on a host without NTP.
    ///
    /// **How it is found.** The clock is before the day on which this program was built, or more than a day before the newest
    /// file of a store; a server's `Date` header differs by more than five minutes (one server may be wrong: a warning); more
    /// than a tenth of the anchors, and at least three, are not valid yet. With `--at` nothing of this is looked at.
    ///
    /// **What to do.** Put the clock right first, then look again.
    ///
    /// **Sources.** RFC 9110, section 6.6.1 (Date); RFC 5905 (NTP); moby/moby issue 11534.
    "CD601" "clock-implausible" Error "this host's clock can't be right"
}

/// Seconds by which a server's clock may differ.
const TOLERATED: i64 = 300;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let clock = &case.facts.clock;
    if clock.injected {
        return;
    }
    let now = case.at;
    let mut against: Vec<(Severity, String, Vec<Evidence>)> = Vec::new();
    if let Some(built) = clock.built.filter(|built| now < *built) {
        against.push((Severity::Error, format!("certdoctor was built {built}"), Vec::new()));
    }
    if let Some((modified, path)) = clock.newest_file.as_ref().filter(|(modified, _)| now.plus_days(1) < *modified) {
        against.push((
            Severity::Error,
            format!("{path} was changed {modified}"),
            vec![Evidence::file(path, None, "changed later")],
        ));
    }
    let off: Vec<_> = clock.server_dates.iter().filter(|(_, date)| now.0.abs_diff(date.0) > TOLERATED.unsigned_abs()).collect();
    if let Some((server, date)) = off.first() {
        // One server may be wrong; two that agree to be far away are not.
        let severity = if off.len() > 1 { Severity::Error } else { Severity::Warning };
        against.push((severity, format!("{server} says it is {date}"), Vec::new()));
    }
    let anchors = support::trusted(case);
    let early = anchors.iter().filter(|c| c.is_not_yet_valid(now)).count();
    if early >= 3 && early * 10 > anchors.len() {
        against.push((Severity::Error, format!("{early} of {} anchors are not valid yet", anchors.len()), Vec::new()));
    }
    let Some(severity) = against.iter().map(|(severity, ..)| *severity).max() else { return };
    let reasons: Vec<&str> = against.iter().map(|(_, why, _)| why.as_str()).collect();
    let message = format!("the clock says {now}, but {}", reasons.join(", and "));
    let mut finding = Finding::new(&CHECK, "clock", message);
    finding.severity = severity;
    finding.evidence = against.into_iter().flat_map(|(_, _, evidence)| evidence).collect();
    let text = "put the clock right, then look again: the other findings may come from it";
    let command = "timedatectl set-ntp true && timedatectl".to_owned();
    finding.remedies.push(Remedy::new(Intent::FixClock, Applicability::Manual, text, Some(command)));
    out.push(finding);
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::base::At;

    fn at(time: &str) -> At {
        At::parse(time).expect("a time")
    }

    #[test]
    fn catches_a_clock_before_build_and_files() {
        let mut world = World::at("1970-01-02");
        world.facts.clock.built = Some(at("2026-11-22"));
        world.facts.clock.newest_file = Some((at("2026-11-01"), "/etc/ssl/certs/ca-certificates.crt".into()));
        let finding = world.one(&CHECK);
        assert_eq!(
            finding.message,
            "the clock says 1970-01-02T00:00:00Z, but certdoctor was built 2026-11-22T00:00:00Z, \
             and /etc/ssl/certs/ca-certificates.crt was changed 2026-11-01T00:00:00Z"
        );
    }

    #[test]
    fn catches_servers_and_anchors_that_disagree() {
        let mut world = World::at("2026-11-22");
        world.facts.clock.server_dates.push(("a.example".into(), at("2026-11-22T00:06:00Z")));
        assert_eq!(world.one(&CHECK).severity, Severity::Warning);
        world.facts.clock.server_dates.push(("b.example".into(), at("2026-11-22T00:06:00Z")));
        assert_eq!(world.one(&CHECK).severity, Severity::Error);
        let store = debian(&[
            ("mozilla/1.crt", ISRG_X1),
            ("mozilla/2.crt", USERTRUST),
            ("mozilla/3.crt", GLOBALSIGN),
            ("mozilla/4.crt", BALTIMORE),
        ]);
        let finding = World::at("1990-01-01").store(store).one(&CHECK);
        assert!(finding.message.ends_with("4 of 4 anchors are not valid yet"), "{}", finding.message);
    }

    #[test]
    fn is_silent_when_all_agrees_or_the_time_was_given() {
        let mut world = World::at("2026-11-22").store(debian(&[("mozilla/1.crt", ISRG_X1)]));
        world.facts.clock.built = Some(at("2026-11-20"));
        world.facts.clock.server_dates.push(("a.example".into(), at("2026-11-22T00:04:00Z")));
        world.silent(&CHECK);
        let mut world = World::at("2020-06-01");
        (world.facts.clock.built, world.facts.clock.injected) = (Some(at("2026-11-20")), true);
        world.silent(&CHECK);
    }
}
