//! Certificate chains that nobody on this project wrote, and what real verifiers said about them (`fixtures/corpora`).
//!
//! `docs/agreement.md` is what this says: agreement per suite and client, and every disagreement with its reason.
//! `UPDATE_DOCS=1 cargo test --test corpora` writes it again.

mod agreement;
mod cases;
mod exceptions;
mod openssl;
mod readers;
mod s_client;
mod verifiers;
