-- Three roles on one PostgreSQL database: the signer's cannot write a finding or a position, the monitor's cannot write
-- the ledger, and only the owner's changes the schema.
--
-- 1. Create the owner and the database:  CREATE ROLE sealwatch_owner LOGIN PASSWORD '…';
--                                        CREATE DATABASE sealwatch OWNER sealwatch_owner;
-- 2. Start sealwatch once with the owner's role in [store] url (again after each update that changes the schema).
-- 3. Run this file in that database as a superuser. It may be run again.
-- 4. Give the roles passwords, and each process its own [store] url:
--      serve --role intake, serve --role worker:  postgres://sealwatch_signer@…
--      serve --role monitor:                      postgres://sealwatch_monitor@…

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_signer') THEN
        CREATE ROLE sealwatch_signer LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_monitor') THEN
        CREATE ROLE sealwatch_monitor LOGIN;
    END IF;
END
$$;

-- Before PostgreSQL 15 everybody may create tables in public.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sealwatch_signer, sealwatch_monitor;
REVOKE ALL ON SCHEMA monitor FROM PUBLIC, sealwatch_signer;
GRANT USAGE ON SCHEMA monitor TO sealwatch_monitor;

-- The signer's side: webhooks, jobs, the ledger.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sealwatch_signer;
REVOKE ALL ON TABLE public._sqlx_migrations FROM sealwatch_signer;
GRANT SELECT ON TABLE public._sqlx_migrations TO sealwatch_signer;
-- The ledger is never deleted from, not even by who writes it.
REVOKE DELETE ON TABLE public.signatures, public.log_entries, public.materials, public.identities,
    public.certificate_keys FROM sealwatch_signer;
-- What names our keys and what a log answered is written once: a key that is renamed or emptied for a moment would be a
-- key that nobody watches.
REVOKE UPDATE ON TABLE public.identities, public.certificate_keys, public.log_entries, public.materials
    FROM sealwatch_signer;
-- A row of the ledger begins as an intent, under the next id and no other; what comes after it is filled in, and nothing
-- else is changed.
REVOKE INSERT, UPDATE ON TABLE public.signatures FROM sealwatch_signer;
GRANT INSERT (registry, repository, digest, identity, format, identity_name, public_key_spki, log_origin, trust_zone,
    class, stage, intended_at, adopted, attempt, key_uses) ON TABLE public.signatures TO sealwatch_signer;
GRANT UPDATE (stage, payload, signed_digest, signature, signed_at, attached_at, attached_manifest, adopted, key_uses,
    key_version, abandoned_at, abandoned_because)
    ON TABLE public.signatures TO sealwatch_signer;

-- The monitor's side: it reads the ledger and writes what it sees.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO sealwatch_monitor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA monitor TO sealwatch_monitor;

-- The same for the tables of later versions.
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sealwatch_signer;
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA public GRANT SELECT ON TABLES TO sealwatch_monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA monitor
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sealwatch_monitor;
