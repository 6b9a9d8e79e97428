//! CD731.

use super::{super::Case, support};
use crate::{
    finding::{Evidence, Finding},
    nginx::{Model, challenge::End},
};

rule! {
    /// **What it means.** nginx looks in the manager's webroot, but its workers' user may not enter a directory on the way: 403 for every
    /// challenge.
    ///
    /// **How it is found.** Owner and permission bits of each directory on the way, against the user that `user` names and its groups in
    /// /etc/passwd and /etc/group. Labels of SELinux and lists of access are not looked at.
    ///
    /// **What to do.** Let others pass the directory (`chmod o+x`), or put the webroot elsewhere.
    ///
    /// **Sources.** path_resolution(7); measured with nginx 1.22.1 (`open() … failed (13: Permission denied)`).
    "CD731" "webroot-closed" Warning "nginx's workers may not enter the webroot"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal) {
        if instance.directories.iter().all(|d| d.closed.is_none()) {
            continue;
        }
        let model = Model::new(instance);
        for directory in &instance.directories {
            let Some((closed, mode)) = &directory.closed else { continue };
            let served = |c: &&crate::facts::renewal::HttpChallenge| {
                let ends = || model.addresses(c.port).into_iter().map(|a| model.challenge(c, a).end);
                c.webroot == directory.path && ends().any(|end| end == End::Served)
            };
            let Some(challenge) = renewal.challenges.iter().find(served) else { continue };
            let message = format!(
                "nginx's workers may not enter {closed} (mode {mode:04o}), so they can't read the challenges in {}",
                directory.path
            );
            let mut finding = Finding::new(&CHECK, &challenge.lineage.1, message);
            finding.lineages = vec![challenge.lineage.clone()];
            finding.evidence = vec![
                Evidence::file(closed, None, format!("mode {mode:04o}")),
                Evidence::file(&challenge.said.0, challenge.said.1, "the manager's webroot"),
            ];
            let command = format!("chmod o+x {}", support::shell(&closed.to_string()));
            finding.remedies.push(support::by_hand("let the workers pass the directory", Some(command)));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};
    use crate::facts::renewal::nginx::Directory;

    fn world(closed: Option<(crate::base::TreePath, u32)>) -> World {
        let mut instance = nginx("server { listen 80; server_name a.test; root /srv/le; }");
        instance.directories.push(Directory { path: "/srv/le".into(), real: "/srv/le".into(), exists: true, closed });
        World::at(LAB).webroot("a.test", "/srv/le").renewal(|r| r.nginx.instances.push(instance))
    }

    #[test]
    fn catches_a_closed_directory() {
        let finding = world(Some(("/srv".into(), 0o700))).one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("chmod o+x /srv"));
    }

    #[test]
    fn is_silent_where_all_may_pass() {
        world(None).silent(&CHECK);
    }
}
