//! What actors and tenants may ask for, each by three settings.

use super::Settings;
use crate::limits::Limit;

pub(super) fn of_actor(settings: &Settings) -> Limit {
    Limit {
        open_slips: settings.actor_open_slips,
        reserved_bytes: settings.actor_reserved_bytes,
        requests_per_second: settings.actor_requests_per_second,
    }
}

pub(super) fn of_tenant(settings: &Settings) -> Limit {
    Limit {
        open_slips: settings.tenant_open_slips,
        reserved_bytes: settings.tenant_reserved_bytes,
        requests_per_second: settings.tenant_requests_per_second,
    }
}
