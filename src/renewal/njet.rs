//! NJet: which helpers its configuration starts, the file of its certificate manager, and what that one keeps.

use super::{Host, Manager, lego};
use crate::{
    base::{Fingerprint, Limits, TreePath},
    facts::{
        Renewal,
        renewal::{
            Ask,
            nginx::{Directive, Instance, named},
            njet::{Copilot, Installed, USUAL},
        },
    },
    format::toml_table,
    host::{Exec, NodeKind, Tree},
};

pub(super) static MANAGER: Manager = Manager {
    id: "njet",
    title: "NJet's cert-manager",
    about: "Of each configuration read as nginx's that has `helper` lines or `ssl_certificate_management`: the helpers, the TOML file of the one that \
            starts cert-manager, and the certificates in `.lego` below the prefix (the form of lego 4). The admin API is not asked: it tells what \
            lies in those files.",
    gather,
    asks,
    accepts,
    reload: |_, _, _| Ok(false),
};

/// Helper lines of one configuration.
const HELPERS: usize = 100;

fn gather(host: &Host<'_>, renewal: &mut Renewal) {
    let found: Vec<Installed> = renewal.nginx.instances.iter().filter_map(|i| installed(host.tree, i)).collect();
    for njet in &found {
        let path = njet.prefix.join(".lego");
        if let Err(why) = lego::lineages(host.tree, MANAGER.id, &path, renewal) {
            renewal.lego.unread.push((path, why));
        }
    }
    renewal.njet.installed = found;
}

fn asks(_: &Renewal) -> Vec<Ask> {
    Vec::new()
}

/// What `njet -t` says is asked with nginx's family; a TOML file is read again when all is gathered again.
fn accepts(_: &Host<'_>, _: &dyn Exec, _: &[TreePath]) -> Result<(), String> {
    Ok(())
}

fn installed(tree: &dyn Tree, instance: &Instance) -> Option<Installed> {
    let helpers: Vec<&Directive> = named(&instance.directives, "helper").take(HELPERS).collect();
    let is_njet =
        instance.program == "njet" || !helpers.is_empty() || instance.servers().iter().any(|s| s.management().is_some());
    let prefix = instance.prefix.clone().filter(|_| is_njet)?;
    let module = |helper: &Directive, name: &str| helper.argument(1).is_some_and(|m| m.rsplit('/').next() == Some(name));
    let copilots = helpers.iter().filter(|h| module(h, "njt_helper_go_copilot_module.so"));
    Some(Installed {
        conf: instance.conf.clone(),
        has_broker: helpers.iter().any(|h| module(h, "njt_helper_broker_module.so")),
        copilots: copilots.filter_map(|h| copilot(tree, instance, &prefix, h)).collect(),
        at_hand: USUAL.iter().copied().filter(|path| tree.exists(&prefix.join(path))).collect(),
        prefix,
    })
}

fn copilot(tree: &dyn Tree, instance: &Instance, prefix: &TreePath, helper: &Directive) -> Option<Copilot> {
    let path = prefix.join(helper.argument(2)?);
    let said = (instance.path_of(helper).clone(), helper.line);
    let mut copilot = Copilot {
        said,
        real: path.clone(),
        path,
        read: None,
        settings: Err((None, String::new())),
        program: None,
        is_executable: false,
    };
    copilot.settings = match tree.read(&copilot.path, Limits::DEFAULT.file) {
        Err(e) => Err((None, e.to_string())),
        Ok((bytes, resolved)) => {
            copilot.real = resolved.path;
            copilot.read = Some(Fingerprint::of(&bytes));
            match String::from_utf8(bytes) {
                Err(_) => Err((None, "it is not UTF-8".to_owned())),
                Ok(text) => toml_table::parse(&text).map_err(|(line, what)| (Some(line), what)),
            }
        }
    };
    let name = copilot.setting("copilot", "progName").filter(|s| s.is_string && !s.text.is_empty()).map(|s| s.text.clone());
    copilot.program = name.map(|name| prefix.join(&name));
    let node = copilot.program.as_ref().and_then(|p| tree.resolve(p).ok()).and_then(|r| r.node);
    copilot.is_executable = node.is_some_and(|n| matches!(n.kind, NodeKind::File(_)) && n.mode & 0o111 != 0);
    Some(copilot)
}
