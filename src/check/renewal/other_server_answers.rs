//! CD732.

use super::{
    super::Case,
    support::{self, Fault},
};
use crate::finding::Finding;

rule! {
    /// **What it means.** The server block that was written for the name does not get the request: another block has the same name on the same
    /// address and comes first (nginx warns `conflicting server name … ignored`), or the block listens on another address than the one that
    /// requests come to, and the default server answers.
    ///
    /// **How it is found.** Addresses, names and order of the server blocks, as nginx chooses.
    ///
    /// **What to do.** Join the two blocks, or give them the same `listen`. Until then `certdoctor renewal --apply` lets the block that does answer
    /// serve the challenges.
    ///
    /// **Sources.** nginx.org/en/docs/http/request_processing.html; measured with nginx 1.22.1.
    "CD732" "other-server-answers" Warning "another server block answers challenges than the one that has the name"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for failing in support::failing(renewal) {
        if let (Fault::OtherServer(meant), Some(server)) = (&failing.fault, failing.server()) {
            let place = |d| format!("{}:{}", failing.instance.path_of(d), d.line);
            let message = format!(
                "the challenges of {} are answered by the server at {}, not by the one at {}",
                failing.names(),
                place(server.directive),
                place(meant.directive)
            );
            let mut finding = failing.finding(&CHECK, message);
            finding.evidence.push(support::place(failing.instance, meant.directive));
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_the_same_name_twice_and_another_address() {
        let twice = "server {\n listen 80; server_name a.test; location / { proxy_pass http://127.0.0.1:1; }\n}\n\
                     server {\n listen 80; server_name a.test; location /.well-known/ { root /var/www/le; }\n}";
        let address = "server {\n listen 192.0.2.1:80; server_name b.test; location / { proxy_pass http://127.0.0.1:1; }\n}\n\
                       server {\n listen 80; server_name a.test; root /var/www/le;\n}";
        for text in [twice, address] {
            let finding = World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).one(&CHECK);
            assert!(finding.message.contains("nginx.conf:2, not by the one at /etc/nginx/nginx.conf:5"), "{}", finding.message);
        }
    }

    #[test]
    fn is_silent_where_the_default_serves_it_too() {
        let text = "server { listen 80 default_server; root /var/www/le; } server { listen 127.0.0.1:80; server_name a.test; return 404; }";
        World::at(LAB).webroot("a.test", "/var/www/le").nginx(text).silent(&CHECK);
    }
}
