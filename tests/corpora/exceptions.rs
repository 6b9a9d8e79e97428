//! Where a model and the real verifier differ, and why. The test fails when a case here agrees.

use crate::agreement::Exception;

pub const EXCEPTIONS: &[Exception] = &[Exception {
    verifier: "GnuTLS 3.7.9",
    reason: "The CA excludes an otherName, the leaf has one of another type (an e-mail address in UTF-8), and GnuTLS refuses. The model \
             compares no otherNames; by which rule GnuTLS does is not known.",
    cases: &["openssl::cve-2022-4203-type-confusion-test"],
}];
