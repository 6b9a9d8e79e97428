//! What the live tests do for each check of the server side: one table, which each of them must keep to, and of which
//! `docs/renewal-scorecard.md` is made.

use std::collections::{BTreeMap, BTreeSet};

/// What is done with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It was made in the real program, which fails of it or is seen to serve what it should not.
    Injected,
    /// `renewal` names it by its code.
    Named,
    /// Its patch is written.
    Patched,
    /// Afterwards, by the patch or the printed command, the real program does what it should, and the finding is gone.
    Healthy,
    /// On the healthy host of the same test it is not named.
    Silent,
}

use Step::{Healthy, Injected, Named, Patched, Silent};

const ALL: &[Step] = &[Injected, Named, Patched, Healthy, Silent];
const BY_COMMAND: &[Step] = &[Injected, Named, Healthy, Silent];
const NAMED: &[Step] = &[Injected, Named, Silent];

/// The test, the code, and what is done.
const DONE: &[(&str, &str, &[Step])] =
    &[("founding", "CD708", ALL), ("founding", "CD751", BY_COMMAND), ("founding", "CD753", ALL)];

/// What one test did.
pub struct Score {
    test: &'static str,
    done: BTreeMap<String, BTreeSet<Step>>,
}

impl Score {
    /// Nothing yet.
    pub fn new(test: &'static str) -> Self {
        Score { test, done: BTreeMap::new() }
    }

    /// This was done, and asserted.
    pub fn done(&mut self, code: &str, step: Step) {
        self.done.entry(code.to_owned()).or_default().insert(step);
    }

    /// Fails when the table says anything else.
    pub fn finish(self) {
        let declared: BTreeMap<String, BTreeSet<Step>> = DONE
            .iter()
            .filter(|(test, ..)| *test == self.test)
            .map(|(_, code, steps)| ((*code).to_owned(), steps.iter().copied().collect()))
            .collect();
        assert_eq!(self.done, declared, "tests/support/score.rs does not say what {} does", self.test);
    }
}
