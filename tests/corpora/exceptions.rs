//! Where a model and the real verifier differ, and why. The test fails when a case here agrees.

use crate::agreement::Exception;

pub const EXCEPTIONS: &[Exception] = &[];
