//! The integration tests of `shared`: every storage and every queue against its contract, on AWS as the emulator has it.

#[cfg(test)]
mod chains;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod emulator;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod seal;
#[cfg(test)]
mod storage;
