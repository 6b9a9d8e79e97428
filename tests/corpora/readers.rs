//! Certificates and PEM files that are odd, and what other readers make of them.
