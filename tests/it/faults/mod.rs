//! Faults: whatever breaks at whatever step, no acknowledged record is lost, every active file keeps its exact bytes, and after
//! one sweep nothing else is left.

#[cfg(feature = "failpoints")]
mod death;
mod world;
