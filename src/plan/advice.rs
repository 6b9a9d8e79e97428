//! What a person should know or do beside a plan.

use super::{Advice, Plan};
use crate::{
    base::TreePath,
    facts::{Store, Upkeep},
};

/// Puts before the plan's other advice what to do first or to know about the stores that it touches.
pub(super) fn advise(stores: &[Store], plan: &mut Plan) {
    let mut first = Vec::new();
    for store in stores.iter().filter(|s| plan.remove.iter().any(|r| r.store == s.kind && r.location == s.location)) {
        let is_packaged = |r: &&super::Removal| {
            store
                .sources
                .iter()
                .any(|s| s.name.starts_with(b"mozilla/") && s.file.certificates().any(|(_, c)| *c == r.certificate))
        };
        let command =
            package_upgrade(store).filter(|_| plan.remove.iter().filter(|r| r.store == store.kind).any(|r| is_packaged(&r)));
        if let Some(command) = command {
            first.push(Advice {
                text: format!("an upgrade of the package may do the same for {}, and lasts; try it first", store.title),
                command: Some(command.to_owned()),
            });
        }
        if let Upkeep::Owned { by } = &store.upkeep {
            first.push(Advice {
                text: format!("{} is replaced as a whole by {by}: the edit lasts until then", store.location),
                command: None,
            });
        }
        let Some(configuration) = store
            .configuration
            .as_ref()
            .filter(|c| store.kind == "alpine" && plan.steps.iter().any(|s| s.edit.path() == Some(&c.path)))
        else {
            continue;
        };
        first.push(Advice {
            text: format!(
                "once {} is edited, apk parks each new list of the package beside it as .apk-new, and new roots are not enabled until it is merged",
                configuration.path
            ),
            command: Some(format!("diff -u {0} {0}.apk-new", configuration.path)),
        });
        if let Some(parked) = &configuration.parked {
            first.push(Advice {
                text: format!("{parked} is parked already: merge it, keeping what is deselected, before the refresh"),
                command: Some(merge_command(&configuration.path, parked)),
            });
        }
    }
    first.append(&mut plan.advice);
    plan.advice = first;
}

/// Takes the package's new list over, with a `!` before every name that the edited one deselects. Written into the old file, so that
/// its mode and owner stay.
fn merge_command(list: &TreePath, parked: &TreePath) -> String {
    format!(
        "awk 'NR==FNR {{ if (sub(/^!/, \"\")) off[$0]; next }} {{ print (($0 in off) ? \"!\" : \"\") $0 }}' {list} {parked} > {list}.merged \
         && cat {list}.merged > {list} && rm {list}.merged {parked} && update-ca-certificates"
    )
}

/// How the distribution itself would bring the newer list.
fn package_upgrade(store: &Store) -> Option<&'static str> {
    match store.kind {
        "debian" => Some("apt-get update && apt-get install --only-upgrade ca-certificates"),
        "alpine" => Some("apk update && apk upgrade ca-certificates ca-certificates-bundle"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_merge_of_a_parked_list_keeps_what_is_deselected() {
        let dir = tempfile::tempdir().expect("a directory");
        let (list, parked) = (dir.path().join("list"), dir.path().join("list.apk-new"));
        fs::write(&list, "mozilla/A.crt\n!mozilla/B.crt\n").expect("written");
        fs::write(&parked, "mozilla/A.crt\nmozilla/B.crt\nmozilla/C.crt\n").expect("written");
        let text = |p: &Path| TreePath::from(p.to_str().expect("text"));
        let command = merge_command(&text(&list), &text(&parked)).replace("update-ca-certificates", "true");
        let status = std::process::Command::new("sh").args(["-c", &command]).status().expect("a shell");
        assert!(status.success());
        assert_eq!(fs::read_to_string(&list).expect("read"), "mozilla/A.crt\n!mozilla/B.crt\nmozilla/C.crt\n");
        assert!(!parked.exists());
    }
}
