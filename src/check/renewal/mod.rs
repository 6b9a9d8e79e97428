//! Checks of the server side: CD701 to CD764, numbered and staged as certificates fail (the client never came to issue; validation
//! failed; what was issued is not served). Each is entered in [`super::ALL`] like every other.

pub(super) mod account_missing;
pub(super) mod address_elsewhere;
pub(super) mod already_replaced;
pub(super) mod always_due;
pub(super) mod autorenew_off;
pub(super) mod behind_amazon;
pub(super) mod ca_unreachable;
pub(super) mod caa_forbids;
pub(super) mod client_lock_held;
pub(super) mod clock_ahead;
pub(super) mod clock_behind;
pub(super) mod damaged_storage;
pub(super) mod deploy_hook;
pub(super) mod dns_credentials;
pub(super) mod interrupted_update;
pub(super) mod live_dangling;
pub(super) mod live_mixed_versions;
pub(super) mod live_not_links;
pub(super) mod no_scheduler;
pub(super) mod old_lego_line;
pub(super) mod order_refused;
pub(super) mod plugin_missing;
pub(super) mod rate_limited;
pub(super) mod renewal_conf_broken;
pub(super) mod retry_loop;
pub(super) mod runs_too_rarely;
pub(super) mod scheduled_service_fails;
pub(super) mod standalone_hooks;
pub(super) mod standalone_port_held;
pub(super) mod storage_owner;
pub(super) mod stuck_lock;
pub(super) mod terminated_before_server;
pub(super) mod timer_disabled;
pub(super) mod timer_masked;
pub(super) mod timer_unit_gone;
pub(super) mod two_certbots;
pub(super) mod unreachable_from_here;
pub(super) mod unshared_storage;
pub(super) mod wildcard_without_dns;
pub(super) mod wrong_server;

mod support;
