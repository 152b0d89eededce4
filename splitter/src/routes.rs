//! Routes: read from their store, kept for a while, and the tables that an object goes to by them.

pub(crate) mod contexts;
pub(crate) mod kept;
pub(crate) mod read;
