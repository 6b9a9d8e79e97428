//! CD761.

use super::{super::Case, support};
use crate::{
    edit::{Applicability, Change},
    facts::renewal::nginx::{Directive, Instance},
    finding::{Finding, Intent, Remedy},
    nginx::{
        Model,
        answer::{Outcome, Request},
        server::Server,
    },
};

rule! {
    /// **What it means.** TLS ends at a balancer in front of nginx, which passes requests on without TLS. nginx sends each of them to
    /// `https://` again: a loop, which browsers give up after 20 rounds (`ERR_TOO_MANY_REDIRECTS`).
    ///
    /// **How it is found.** nginx is told that a balancer is in front (`real_ip_header`, `set_real_ip_from`, `X-Forwarded-Proto`, the PROXY protocol), has
    /// no socket with TLS for the name, and answers every request for it by a redirect to the same name over `https://`, whatever the balancer
    /// says in `X-Forwarded-Proto`.
    ///
    /// **What to do.** Redirect only what came to the balancer without TLS: `if ($http_x_forwarded_proto != "https")`.
    ///
    /// **Sources.** ngx_http_realip_module; AWS documentation of the `X-Forwarded-Proto` header of its balancers.
    "CD761" "redirect-loop" Warning "nginx behind a balancer redirects to https for ever"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for instance in support::in_force(renewal).filter(|i| i.is_whole()) {
        let servers = instance.servers();
        // Who speaks TLS itself is not behind somebody who ends it.
        if servers.iter().any(|s| s.listens().iter().any(|l| l.tls)) {
            continue;
        }
        let model = Model::new(instance);
        for server in servers {
            let (Some(name), true) = (server.plain_names().into_iter().next(), is_behind_a_balancer(server)) else { continue };
            let Some(listen) = server.listens().into_iter().find(|l| !l.proxy_protocol) else { continue };
            let nothing = |_: &str| None;
            let request = Request {
                address: listen.address,
                port: listen.port,
                tls: false,
                host: &name,
                path: "/",
                client: None,
                lies_at: &nothing,
            };
            let answer = model.answer(&request);
            let (Outcome::Redirect(_, to), Some(by)) = (&answer.outcome, answer.by) else { continue };
            let itself = answer.server.as_ref().is_some_and(|s| std::ptr::eq(s.server.directive, server.directive));
            if !itself || !to.starts_with(&format!("https://{name}/")) || mentions_header(server.directive) {
                continue;
            }
            let message = format!("behind a balancer that ends TLS, {name} is redirected to {to} for ever");
            let mut finding = Finding::new(&CHECK, &name, message);
            let lineages = renewal.lineages.iter().filter(|l| support::covers(&l.names(), &name));
            finding.lineages = lineages.map(support::key).collect();
            finding.evidence = vec![support::place(instance, by)];
            let verify = format!(
                "curl -sI -H {} -H 'X-Forwarded-Proto: https' http://127.0.0.1:{}/",
                support::host_header(&name),
                listen.port
            );
            let text = "redirect only what came to the balancer without TLS";
            match patch(instance, by).filter(|_| has_content(server)) {
                Some(change) => {
                    finding.remedies.push(Remedy::new(Intent::Patch(vec![change]), Applicability::Ask, text, Some(verify)))
                }
                None => finding.remedies.push(support::by_hand(format!("{text}, and serve the rest here"), Some(verify))),
            }
            out.push(finding);
        }
    }
}

fn is_behind_a_balancer(server: Server<'_>) -> bool {
    let told = |d: &Directive| matches!(d.name(), "real_ip_header" | "set_real_ip_from");
    server.directive.children().iter().chain(server.http.children()).any(told)
}

/// Whether the server asks how the request came to the balancer.
fn mentions_header(directive: &Directive) -> bool {
    let says =
        |d: &Directive| matches!(d.name(), "if" | "return" | "map") && d.arguments().any(|a| a.contains("forwarded_proto"));
    directive.children().iter().any(|d| says(d) || mentions_header(d))
}

/// Whether something is left to answer when the redirect does not.
fn has_content(server: Server<'_>) -> bool {
    server.directive.children().iter().any(|d| matches!(d.name(), "location" | "root"))
}

/// A `return` of the server itself, or of a location, with the test around it.
fn patch(instance: &Instance, by: &Directive) -> Option<Change> {
    if by.name() != "return" {
        return None;
    }
    let bytes = &instance.files.get(by.file)?.bytes;
    let inner = String::from_utf8_lossy(crate::format::nginx::indentation(bytes, by.span.start)).into_owned();
    let text = String::from_utf8_lossy(&bytes[by.span.clone()]).into_owned();
    let text = format!("if ($http_x_forwarded_proto != \"https\") {{\n{inner}    {text}\n{inner}}}");
    support::splice(instance, by.file, by.span.clone(), text)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_redirect_whatever_the_balancer_says() {
        let text = "set_real_ip_from 10.0.0.0/8;\nserver {\n    listen 80;\n    server_name a.test;\n    return 301 https://$host$request_uri;\n    location / { proxy_pass http://127.0.0.1:8080; }\n}";
        let finding = World::at(LAB).nginx(text).one(&CHECK);
        let after = nginx_patched(&nginx(text), &finding);
        World::at(LAB).renewal(|r| r.nginx.instances.push(after)).silent(&CHECK);
    }

    #[test]
    fn is_silent_without_balancer_or_with_tls_here() {
        let server = "server { listen 80; server_name a.test; return 301 https://$host$request_uri; }";
        World::at(LAB).nginx(server).silent(&CHECK);
        World::at(LAB)
            .nginx(&format!("set_real_ip_from 10.0.0.0/8; {server} server {{ listen 443 ssl; server_name a.test; }}"))
            .silent(&CHECK);
    }
}
