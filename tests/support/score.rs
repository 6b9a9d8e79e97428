//! Holds a live test to the table of what live tests do.

#[path = "score/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};

pub use table::Step;

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

    /// These were done, and asserted.
    pub fn done(&mut self, code: &str, steps: &[Step]) {
        self.done.entry(code.to_owned()).or_default().extend(steps);
    }

    /// Fails when the table says anything else.
    pub fn finish(self) {
        let declared: BTreeMap<String, BTreeSet<Step>> = table::DONE
            .iter()
            .filter(|(test, ..)| *test == self.test)
            .map(|(_, code, steps)| ((*code).to_owned(), steps.iter().copied().collect()))
            .collect();
        assert_eq!(self.done, declared, "tests/support/score/table.rs does not say what `{}` does", self.test);
    }
}
