-- Moments that all brokers of this database share: each is written down once.
CREATE TABLE moments (
    name TEXT PRIMARY KEY,
    happened_at TIMESTAMPTZ NOT NULL
);

-- Where no broker has run yet, the version before has signed nothing: what it would have signed has ended long ago.
INSERT INTO moments (name, happened_at) SELECT 'installation secret', 'epoch'::timestamptz WHERE NOT EXISTS (SELECT 1 FROM storage);
