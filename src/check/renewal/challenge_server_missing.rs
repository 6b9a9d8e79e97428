//! CD740.

use std::net::IpAddr;

use super::{
    super::Case,
    support::{self, by_hand, njet::Managing},
};
use crate::{
    edit::{Applicability, Change},
    facts::renewal::{
        nginx::Instance,
        njet::{Copilot, Setting},
    },
    finding::{Finding, Intent, Remedy},
    format::nginx::{indentation, quoted},
    nginx::{
        Model,
        server::{Chosen, Listen, Selection, Server},
    },
};

rule! {
    /// **What it means.** NJet's certificate manager is told to have the CA come to port 80 (`challengeType = "http"`). It adds the answer to the
    /// server that has the name there, at the address `proxyHttpChallengeServerIp`. Without such a server, or with another address, there is
    /// nothing that it could be added to.
    ///
    /// **How it is found.** For each name of a server with `ssl_certificate_management`: the server that takes it on port 80, and where that listens.
    /// A server that listens on every address fits any.
    ///
    /// **What to do.** The patch adds a server on port 80 for the names that have none, or puts the address in the TOML file right.
    ///
    /// **Sources.** NJet's article on cert-manager (2025-07-21). cert-manager itself is not packaged: this check was never compared with it.
    "CD740" "challenge-server-missing" Warning "no server of NJet on port 80 could take a challenge's answer"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for managing in support::njet::managing(renewal) {
        let Some(copilot) = managing.challenges_by("http") else { continue };
        let model = Model::new(managing.instance);
        for server in &managing.servers {
            let lacking: Vec<String> = server.plain_names().into_iter().filter(|name| taken(&model, name).is_empty()).collect();
            if !lacking.is_empty() {
                out.push(no_server(case, &managing, *server, copilot, &lacking));
            }
        }
        if let Some(address) = copilot.setting("acme", "proxyHttpChallengeServerIp") {
            out.extend(other_address(case, &managing, copilot, address));
        }
    }
}

/// The servers that take a name on port 80, without TLS and because they have it: one for each address that is listened on.
fn taken<'a>(model: &Model<'a>, name: &str) -> Vec<Selection<'a>> {
    let by_name = |s: &Selection<'_>| s.chosen == Chosen::ByName && !s.tls;
    model.addresses(80).into_iter().filter_map(|address| model.select(address, 80, name)).filter(by_name).collect()
}

fn no_server(case: &Case<'_>, managing: &Managing<'_>, server: Server<'_>, copilot: &Copilot, names: &[String]) -> Finding {
    let shown = support::list(names, 3);
    let message = format!("the CA can't validate {shown} on port 80: no server has the name there");
    let mut finding = managing.finding(case, &CHECK, names, message);
    finding.evidence.push(support::place(managing.instance, server.directive));
    finding.evidence.extend(copilot.setting("acme", "challengeType").map(|s| support::njet::said(copilot, s)));
    let verify = names.first().map(|name| format!("curl -sI -H {} http://127.0.0.1/", support::host_header(name)));
    match add_server(managing.instance, server, names) {
        Some(change) => {
            let text = format!("add a server on port 80 for {shown}");
            finding.remedies.push(Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, text, verify));
        }
        None => finding
            .remedies
            .push(by_hand(format!("add `server {{ listen 80; server_name {}; }}` to `http`", names.join(" ")), verify)),
    }
    finding.remedies.push(managing.restart());
    finding
}

fn add_server(instance: &Instance, server: Server<'_>, names: &[String]) -> Option<Change> {
    let (file, start) = (server.directive.file, server.directive.span.start);
    let indent = String::from_utf8_lossy(indentation(&instance.files.get(file)?.bytes, start)).into_owned();
    let names = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(" ");
    // What is no challenge is answered as before, when nobody had the name here: not at all.
    let text = format!("server {{ listen 80; server_name {names}; location / {{ return 404; }} }}\n{indent}");
    support::splice(instance, file, start..start, text)
}

/// The servers on port 80 listen on certain addresses, and none of them is the one that is named.
fn other_address(case: &Case<'_>, managing: &Managing<'_>, copilot: &Copilot, setting: &Setting) -> Option<Finding> {
    let told: IpAddr = setting.text.parse().ok()?;
    let mut names: Vec<String> = managing.names();
    let model = Model::new(managing.instance);
    let listens = |name: &String| -> Vec<Listen<'_>> { taken(&model, name).into_iter().map(|s| s.listen).collect() };
    names.retain(|name| {
        let listens = listens(name);
        !listens.is_empty() && listens.iter().all(|l| !l.address.is_unspecified() && l.address != told)
    });
    let listen = listens(names.first()?).into_iter().next()?;
    let message = format!(
        "the CA can't validate {} on port 80: the answer is added at {told}, and the server listens on {}",
        support::list(&names, 3),
        listen.address
    );
    let mut finding = managing.finding(case, &CHECK, &names, message);
    finding.evidence.extend(listen.directive.map(|d| support::place(managing.instance, d)));
    finding.evidence.push(support::njet::said(copilot, setting));
    // Names that listen on different addresses can't all be served by one setting.
    let is_one = names.iter().all(|name| listens(name).iter().all(|l| l.address == listen.address));
    let verify = Some("curl -sI ".to_owned() + &format!("http://{}/", host(listen.address)));
    let change = support::njet::reset(copilot, setting, &listen.address.to_string()).filter(|_| is_one);
    let text = format!("name {} as `proxyHttpChallengeServerIp`", listen.address);
    finding.remedies.push(match change {
        Some(change) => Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, text, verify),
        None => by_hand(
            "have all these servers listen on port 80 of one address, and name it as `proxyHttpChallengeServerIp`",
            verify,
        ),
    });
    finding.remedies.push(managing.restart());
    Some(finding)
}

fn host(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    fn http(server: &str) -> String {
        format!("{server} {HTTPS}")
    }

    #[test]
    fn a_server_is_added_where_none_has_the_name() {
        for other in [
            "",
            "server { listen 80 default_server; }",
            "server { listen 80 ssl; server_name a.test; }",
            "server { listen 8080; server_name a.test; }",
        ] {
            let world = njet(&http(other), "", HTTP_TOML);
            let found = world.one(&CHECK);
            assert!(found.message.contains("no server has the name there"), "{}", found.message);
            if !other.contains("ssl") {
                njet_patched(&world, HTTP_TOML, &found).silent(&CHECK);
            }
        }
    }

    #[test]
    fn the_address_is_put_right() {
        let world = njet(&http("server { listen 192.0.2.5:80; server_name a.test; }"), "", HTTP_TOML);
        let found = world.one(&CHECK);
        assert!(found.message.contains("added at 127.0.0.1, and the server listens on 192.0.2.5"), "{}", found.message);
        njet_patched(&world, HTTP_TOML, &found).silent(&CHECK);
    }

    #[test]
    fn is_silent_where_it_fits() {
        for server in ["server { listen 80; server_name a.test; }", "server { listen 127.0.0.1:80; server_name x.test a.test; }"]
        {
            njet(&http(server), "", HTTP_TOML).silent(&CHECK);
        }
        njet(HTTPS, "", TLS_TOML).silent(&CHECK);
    }
}
