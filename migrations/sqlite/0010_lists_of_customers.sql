-- What customers' portals ask for: their own files, the latest first. By this index and not by the tenant's, most of whose files are others'.
CREATE INDEX files_active_customer_created ON files (tenant, created_by_id, created_at, id) WHERE state = 'active' AND created_by_kind = 'customers';
