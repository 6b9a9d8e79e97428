//! Checks of the server side: CD701 to CD764, numbered and staged as certificates fail (the client never came to issue; validation
//! failed; what was issued is not served). Each is entered in [`super::ALL`] like every other.

pub(super) mod address_elsewhere;
pub(super) mod already_replaced;
pub(super) mod behind_amazon;
pub(super) mod damaged_storage;
pub(super) mod old_lego_line;
pub(super) mod storage_owner;
pub(super) mod stuck_lock;
pub(super) mod terminated_before_server;
pub(super) mod unreachable_from_here;
pub(super) mod unshared_storage;

mod support;
