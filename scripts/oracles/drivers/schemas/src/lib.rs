//! Nothing: the manifest is what is used.
