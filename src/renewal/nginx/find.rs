//! Which servers of the family are here, and what each was told.

use std::collections::BTreeSet;

use crate::{
    base::{At, TreePath},
    facts::renewal::{
        Process, Processes,
        nginx::{Instance, Master},
    },
    renewal::Host,
};

/// A family member as it is packaged: program, main file, prefix where that is known.
struct Layout {
    program: &'static str,
    exe: &'static str,
    conf: &'static str,
    prefix: Option<&'static str>,
}

/// Debian, Fedora, nginx.org and Alpine share the place of the main file and differ in the prefix, which is compiled in.
const LAYOUTS: &[Layout] = &[
    Layout { program: "nginx", exe: "/usr/sbin/nginx", conf: "/etc/nginx/nginx.conf", prefix: None },
    Layout {
        program: "openresty",
        exe: "/usr/local/openresty/nginx/sbin/nginx",
        conf: "/usr/local/openresty/nginx/conf/nginx.conf",
        prefix: Some("/usr/local/openresty/nginx"),
    },
    Layout {
        program: "nginx",
        exe: "/usr/local/nginx/sbin/nginx",
        conf: "/usr/local/nginx/conf/nginx.conf",
        prefix: Some("/usr/local/nginx"),
    },
    Layout {
        program: "njet",
        exe: "/usr/local/njet/sbin/njet",
        conf: "/usr/local/njet/conf/njet.conf",
        prefix: Some("/usr/local/njet"),
    },
];

/// What a master calls itself: its program, then the arguments it was started with (`ngx_setproctitle`).
const TITLES: &[&str] = &["nginx: master process ", "njet: master process "];

/// Where the master runs that the title of a process tells of.
fn title(process: &Process) -> Option<Vec<String>> {
    let first = process.arguments.first()?;
    let rest = TITLES.iter().find_map(|t| first.strip_prefix(t))?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

/// The family's programs, by the beginning of their names: nginx.org has an `nginx-debug` too.
const PROGRAMS: &[&str] = &["nginx", "njet", "openresty", "tengine"];

/// Whether what a process calls itself can be believed: it is asked to test and load configurations later, with the arguments from its
/// title. So it is root's or our own, of this file system, and its program has a name of the family: a setuid program that waits for a
/// password is root's too.
fn is_believed(processes: &Processes, process: &Process) -> bool {
    let is_here = !processes.elsewhere.contains(&process.pid) && !processes.foreign.contains(&process.pid);
    is_here && process.exe.as_ref().is_none_or(|exe| PROGRAMS.iter().any(|p| exe.name().starts_with(p.as_bytes())))
}

/// Each running server; else each configuration in a usual place.
pub(super) fn instances(host: &Host<'_>, processes: &Processes) -> Vec<Instance> {
    let masters = processes.all.iter().filter(|p| is_believed(processes, p));
    let running: Vec<Instance> = masters.filter_map(|p| running(host, processes, p, &title(p)?)).collect();
    if !running.is_empty() {
        return running;
    }
    let mut seen = BTreeSet::new();
    LAYOUTS.iter().filter(|l| host.tree.exists(&l.conf.into()) && seen.insert(l.conf)).map(|l| from_layout(host, l)).collect()
}

fn from_layout(host: &Host<'_>, layout: &Layout) -> Instance {
    let prefix = layout.prefix.map(TreePath::from).or_else(|| compiled_in(host));
    Instance::new(layout.program, layout.conf.into(), prefix)
}

/// The prefix of the package in /usr/sbin. Debian and Fedora compile in /usr/share/nginx, nginx.org /etc/nginx; the file system can't
/// tell nginx.org's package from the others but by its own list of files.
fn compiled_in(host: &Host<'_>) -> Option<TreePath> {
    let debian = ["/var/lib/dpkg/info/nginx-common.list", "/etc/nginx/modules-enabled"];
    debian.iter().any(|p| host.tree.exists(&(*p).into())).then(|| "/usr/share/nginx".into())
}

fn running(host: &Host<'_>, processes: &Processes, process: &Process, words: &[String]) -> Option<Instance> {
    let exe = process.exe.clone();
    let mut program_and_arguments = words.iter();
    let started_as = program_and_arguments.next()?;
    let (mut conf, mut prefix) = (None, None);
    let mut arguments = Vec::new();
    while let Some(word) = program_and_arguments.next() {
        let (option, glued) = if word.len() > 2 { word.split_at(2) } else { (word.as_str(), "") };
        if !matches!(option, "-c" | "-p" | "-e") {
            continue;
        }
        let value = if glued.is_empty() { program_and_arguments.next()?.clone() } else { glued.to_owned() };
        match option {
            "-c" => conf = Some(value.clone()),
            "-p" => prefix = Some(value.clone()),
            _ => {}
        }
        arguments.extend([option.to_owned(), value]);
    }
    let path = exe.as_ref().map_or_else(|| started_as.clone(), ToString::to_string);
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let layout = LAYOUTS.iter().find(|l| l.exe == path).unwrap_or(&LAYOUTS[0]);
    let mut instance = from_layout(host, layout);
    // A relative prefix counts from the directory where it was started, which nobody tells.
    if let Some(prefix) = prefix {
        instance.prefix = prefix.starts_with('/').then(|| TreePath::new(prefix));
    }
    if let Some(conf) = conf {
        instance.conf = if conf.starts_with('/') { TreePath::new(conf) } else { instance.prefix.as_ref()?.join(conf) };
    }
    let workers = processes
        .all
        .iter()
        .filter(|p| p.parent == process.pid && p.arguments.first().is_some_and(|a| a.contains(": worker process")));
    let youngest_worker: Option<At> = workers.map(|p| p.started).max();
    instance.master = Some(Master { pid: process.pid, exe, arguments, youngest_worker });
    Some(instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{LiveDial, memory::MemoryTree};

    fn process(pid: u32, parent: u32, title: &str, started: i64) -> Process {
        Process {
            pid,
            parent,
            comm: "nginx".into(),
            exe: Some("/usr/sbin/nginx".into()),
            arguments: vec![title.to_owned()],
            started: At(started),
            unit: None,
        }
    }

    #[test]
    fn a_master_tells_its_configuration() {
        let tree = MemoryTree::default();
        let host =
            Host { tree: &tree, dial: &LiveDial::new(), live: true, public: false, at: At(0), now: At(0), timeout: 1, jobs: 1 };
        let mut processes = Processes::default();
        processes.all.push(process(10, 1, "nginx: master process /usr/sbin/nginx -p /srv/n -c conf/a.conf", 5));
        processes.all.push(process(11, 10, "nginx: worker process", 7));
        processes.all.push(process(12, 10, "nginx: worker process is shutting down", 6));
        processes.all.push(process(20, 1, "nginx: master process nginx -g daemon off;", 5));
        processes.elsewhere.insert(20);
        // Whoever may start a program may call it so.
        processes.all.push(process(30, 1, "nginx: master process /usr/sbin/nginx -c /tmp/a.conf", 5));
        processes.foreign.insert(30);
        let posing = "nginx: master process /usr/sbin/nginx -c /tmp/b.conf";
        processes.all.push(Process { exe: Some("/usr/bin/su".into()), ..process(40, 1, posing, 5) });
        let found = instances(&host, &processes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].conf, "/srv/n/conf/a.conf".into());
        assert_eq!(found[0].test_command(), ["/usr/sbin/nginx", "-t", "-p", "/srv/n", "-c", "conf/a.conf"]);
        assert_eq!(found[0].master.as_ref().and_then(|m| m.youngest_worker), Some(At(7)));
    }
}
