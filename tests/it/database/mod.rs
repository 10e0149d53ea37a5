//! What both databases do alike: the contract of each method, plans, upgrades, backups, and what is compared with the bucket.

pub mod audit_log;
pub mod backup;
pub mod contract;
pub mod locked;
pub mod pooling;
pub mod query_plans;
pub mod reconciliation;
pub mod upgrades;
