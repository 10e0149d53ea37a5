//! One test binary: a harness, then one module a subject. `make test` starts the servers it needs.

mod harness;

// mod bodies;
// mod confirm;
// mod desk;
// mod layers;
// mod names;
// mod oracles;
// mod program;
// mod store_contract;
mod tampering;
