-- Four roles on one PostgreSQL database. The intake's can hand in a push and nothing else: it reads no table of ours, orders no
-- signature and marks nothing as signed. The worker's cannot write a finding or a position, the monitor's cannot write the
-- ledger, and only the owner's changes the schema.
--
-- 1. Create the owner and the database:  CREATE ROLE sealwatch_owner LOGIN PASSWORD '…';
--                                        CREATE DATABASE sealwatch OWNER sealwatch_owner;
-- 2. Start sealwatch once with the owner's role in [store] url (again after each update that changes the schema).
-- 3. Run this file in that database as a superuser. It may be run again.
-- 4. Give the roles passwords, and each process its own [store] url and password_file:
--      serve --role intake:   postgres://sealwatch_intake@…
--      serve --role worker:   postgres://sealwatch_worker@…
--      serve --role monitor:  postgres://sealwatch_monitor@…
--    `sealwatch up` and the commands that work beside a process (`sign`, `retry`, `status`, `explain`) use the worker's, those
--    of the monitor the monitor's; `identity rezone` needs the owner's.
--
-- Until schema 3 there was one role sealwatch_signer for intake and worker. It becomes sealwatch_worker here, with its
-- password (not if that was stored as md5) and all its grants.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_signer')
        AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_worker') THEN
        ALTER ROLE sealwatch_signer RENAME TO sealwatch_worker;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_intake') THEN
        CREATE ROLE sealwatch_intake LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_worker') THEN
        CREATE ROLE sealwatch_worker LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealwatch_monitor') THEN
        CREATE ROLE sealwatch_monitor LOGIN;
    END IF;
END
$$;

-- Before PostgreSQL 15 every role may create tables in public.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sealwatch_intake, sealwatch_worker, sealwatch_monitor;
REVOKE ALL ON SCHEMA monitor FROM PUBLIC, sealwatch_intake, sealwatch_worker;
GRANT USAGE ON SCHEMA monitor TO sealwatch_monitor;

-- The intake's side: strangers reach this process. It adds events and bodies that were not understood; besides, it sees the
-- versions of the schema.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM sealwatch_intake;
GRANT INSERT ON TABLE public.push_events, public.dead_letters TO sealwatch_intake;
GRANT SELECT ON TABLE public._sqlx_migrations, public.schema_support TO sealwatch_intake;

-- The worker's side: events, jobs, the ledger.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sealwatch_worker;
REVOKE ALL ON TABLE public._sqlx_migrations, public.schema_support, public.identity_rezones FROM sealwatch_worker;
GRANT SELECT ON TABLE public._sqlx_migrations, public.schema_support, public.identity_rezones TO sealwatch_worker;
-- The ledger is never deleted from, not even by the role that writes it.
REVOKE DELETE ON TABLE public.signatures, public.log_entries, public.materials, public.identities,
    public.certificate_keys FROM sealwatch_worker;
-- What names our keys and what a log answered is written once: a key that is renamed or emptied for a moment would be a
-- key that is not watched.
REVOKE UPDATE ON TABLE public.identities, public.certificate_keys, public.log_entries, public.materials
    FROM sealwatch_worker;
-- A row of the ledger begins as an intent, under the next id and no other; what comes after it is filled in, and nothing
-- else is changed. What was abandoned stays so, by a trigger.
REVOKE INSERT, UPDATE ON TABLE public.signatures FROM sealwatch_worker;
GRANT INSERT (registry, repository, digest, identity, format, identity_name, public_key_spki, log_origin, trust_zone,
    class, stage, intended_at, adopted, attempt, key_uses) ON TABLE public.signatures TO sealwatch_worker;
GRANT UPDATE (stage, payload, signed_digest, signature, signed_at, attached_at, attached_manifest, adopted, key_uses,
    key_version, abandoned_at, abandoned_because)
    ON TABLE public.signatures TO sealwatch_worker;

-- The monitor's side: it reads the ledger and the conditions, and writes what it sees.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO sealwatch_monitor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA monitor TO sealwatch_monitor;

-- The same for the tables of later versions. The intake's role gets nothing of them.
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sealwatch_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA public GRANT SELECT ON TABLES TO sealwatch_monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE sealwatch_owner IN SCHEMA monitor
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sealwatch_monitor;
