//! What the repository says of itself: layers, documents, licences, examples for users.

pub mod ci_example;
pub mod circles;
pub mod deny;
pub mod deploy;
pub mod guides;
pub mod layers;
pub mod readme;
pub mod threat_model;
