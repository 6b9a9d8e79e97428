//! What an nginx does with a request, by its configuration: who takes it, which location, with what it answers.
//!
//! A model of nginx, checked against the real one (`tests/nginx`); [`crate::facts::renewal::nginx`] holds what was read. [`Model`] is made
//! once for many requests; what [`Instance`](crate::facts::renewal::nginx::Instance) has of it by itself is for one.
//!
//! Absent on purpose: names of directives that are allowed. Modules add them, and each server of the family has its own.

pub mod answer;
pub mod challenge;
mod location;
mod model;
pub mod server;
mod stream;
mod value;

pub use model::Model;
pub use stream::ALPN;
