//! CD754.

use super::{super::Case, support};
use crate::{
    base::TreePath,
    finding::{Evidence, Finding},
};

rule! {
    /// **What it means.** A single file of the manager's archive is mounted into a container (`docker run -v …/fullchain.pem:…`). The mount
    /// follows the link once, to the version of that day; each renewal writes another file, so the container never sees a renewed certificate, however
    /// often it is reloaded.
    ///
    /// **How it is found.** The root field of /proc/PID/mountinfo is a numbered file (`archive/NAME/fullchain3.pem`), and a higher number lies beside
    /// it.
    ///
    /// **What to do.** Mount the directory (all of /etc/letsencrypt, so that links lead somewhere), and make the container again: a restart keeps the
    /// mount.
    ///
    /// **Sources.** proc(5), mountinfo; mount(8), bind mounts; certbot's live and archive directories; measured with a bind mount.
    "CD754" "old-file-mounted" Error "a container has an old version of a certificate mounted"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    let mut told: Vec<&TreePath> = Vec::new();
    for bound in &renewal.processes.bound {
        let Some(newer) = bound.newer.as_ref().filter(|_| !told.contains(&&bound.root)) else { continue };
        told.push(&bound.root);
        let process = renewal.processes.get(bound.pid);
        let who = process.map_or_else(|| format!("pid {}", bound.pid), |p| format!("{} (pid {})", p.program(), p.pid));
        let message = format!("{who} has {} mounted at {}; the newest is {newer}", bound.root, bound.point);
        let directory = bound.root.parent();
        let name = String::from_utf8_lossy(directory.name()).into_owned();
        let lineage = renewal.lineages.iter().find(|l| l.name == name);
        let mut finding = Finding::new(&CHECK, &name, message);
        finding.lineages = lineage.iter().map(|l| support::key(l)).collect();
        finding.evidence = vec![
            Evidence::file(
                &TreePath::from(format!("/proc/{}/mountinfo", bound.pid).as_str()),
                None,
                format!("{} is mounted from {}", bound.point, bound.root),
            ),
            Evidence::file(newer, None, "the newest version"),
        ];
        finding.facts.extend(process.and_then(|p| p.unit.clone()).map(|unit| ("unit", unit)));
        let text = "mount the directory /etc/letsencrypt instead of the file, and make the container again";
        finding.remedies.push(support::by_hand(
            text,
            Some(format!("grep -F {} /proc/{}/mountinfo", support::shell(&format!(" {} ", bound.point)), bound.pid)),
        ));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::facts::renewal::BoundFile;

    fn world(newer: Option<&str>) -> World {
        World::at(LAB).lineage("a.test", Vec::new()).renewal(|r| {
            let root = "/etc/letsencrypt/archive/a.test/fullchain3.pem".into();
            r.processes.bound.push(BoundFile {
                pid: 7,
                root,
                point: "/certs/fullchain.pem".into(),
                newer: newer.map(TreePath::from),
            });
        })
    }

    #[test]
    fn catches_an_old_version() {
        let finding = world(Some("/etc/letsencrypt/archive/a.test/fullchain4.pem")).one(&CHECK);
        assert_eq!(finding.lineages, [("certbot", "a.test".to_owned())]);
    }

    #[test]
    fn is_silent_about_the_newest() {
        world(None).silent(&CHECK);
    }
}
