//! `sluice quarantine`: rejected records, looked into or read once more.

mod record_numbers;
mod replay;
pub(crate) mod show;

pub(crate) use replay::run as replay;
pub(crate) use show::run as show;
