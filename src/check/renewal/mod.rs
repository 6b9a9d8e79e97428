//! Checks of the server side: CD701 to CD764, numbered and staged as certificates fail (the client never came to issue; validation
//! failed; what was issued is not served). Each is entered in [`super::ALL`] like every other.

pub(super) mod already_replaced;
pub(super) mod damaged_storage;
pub(super) mod storage_owner;
pub(super) mod stuck_lock;
