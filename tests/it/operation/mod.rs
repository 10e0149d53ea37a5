//! What an operator does and sees: commands, check, metrics, traces, webhooks, bucket notifications.

pub mod bucket_events;
pub mod check;
pub mod metrics;
pub mod outbox_metrics;
pub mod places;
pub mod program;
pub mod reload;
pub mod text_files;
pub mod traces;
pub mod webhooks;
