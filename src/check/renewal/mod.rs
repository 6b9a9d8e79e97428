//! Checks of the server side: CD701 to CD764, numbered and staged as certificates fail (the client never came to issue; validation
//! failed; what was issued is not served). Each is entered in [`super::ALL`] like every other.

pub(super) mod catch_all_answers;
pub(super) mod chain_file_wrong;
pub(super) mod challenge_denied;
pub(super) mod challenge_not_served;
pub(super) mod challenge_path_doubled;
pub(super) mod challenge_port_closed;
pub(super) mod default_server_answers;
pub(super) mod hsts_over_expired;
pub(super) mod leaf_only_served;
pub(super) mod no_ipv6_listener;
pub(super) mod not_reloaded;
pub(super) mod old_file_mounted;
pub(super) mod one_of_two_renewed;
pub(super) mod other_file_served;
pub(super) mod other_server_answers;
pub(super) mod pair_refused;
pub(super) mod redirect_before_locations;
pub(super) mod redirect_loop;
pub(super) mod reload_refused;
pub(super) mod webroot_closed;
pub(super) mod webroot_differs;

mod support;
