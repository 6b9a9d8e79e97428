//! The native refresh alone: what `update-ca-certificates` does to an unpacked Debian tree, without the finding, the plan, the backup and
//! the proof that `certdoctor fix` puts around it.
//!
//! `refresh ROOT [fresh]` makes bundle, links and hash links of the tree anew, each file atomically and synced, and prints how many things
//! it changed.
#![expect(clippy::print_stdout, reason = "a program of its own")]

use std::{error::Error, path::Path};

use certdoctor::{
    edit::Edit,
    host::{DirTree, TreeMut},
    store,
};

/// As in the program itself.
#[path = "../src/runtime/mod.rs"]
mod runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let root = args.next().ok_or("usage: refresh ROOT [fresh]")?;
    let tree = DirTree::new(Path::new(&root))?;
    let kind = store::ALL.iter().find(|kind| kind.id == "debian").ok_or("no such kind of store")?;
    let steps = (kind.refresh)(&tree, args.next().is_some())?;
    for step in &steps {
        match &step.edit {
            Edit::Link { path, target } => tree.link(path, target)?,
            Edit::Move { path, to } => tree.rename(path, to.name())?,
            Edit::Remove { path } => tree.remove(path)?,
            Edit::Run { .. } => {}
            Edit::Write { path, bytes, mode } => drop(tree.write(path, bytes, *mode)?),
        }
    }
    println!("{} changes", steps.len());
    Ok(())
}
