-- The monitor in a database of its own, on another server if you like: an attacker who has the signer's server cannot change
-- what the monitor has found, or how far it has read. It reads the ledger through postgres_fdw, with what sealwatch_monitor may
-- do there: nothing but read.
--
-- 1. In the signer's database: run postgres-roles.sql, and give sealwatch_monitor a password. Its server must let the
--    monitor's server in (pg_hba.conf), and must be the primary: a replica that lags raises false alarms.
-- 2. In the monitor's database: start sealwatch once with the owner's role in [store] url, and run postgres-roles.sql.
-- 3. Run this file in the monitor's database as a superuser, with your names and the password of step 1.
-- 4. [store] url of serve --role monitor: postgres://sealwatch_monitor@… of the monitor's database.
--
-- After an update that changes the schema: first the signer's database, then steps 2 and 3 again. (The owner's role is told
-- then that it may not read the ledger. It need not.)

-- All of it or nothing: at no moment is the ledger an empty one.
BEGIN;

CREATE EXTENSION IF NOT EXISTS postgres_fdw;

DROP SCHEMA IF EXISTS ledger CASCADE;
DROP SERVER IF EXISTS sealwatch_ledger CASCADE;
CREATE SERVER sealwatch_ledger FOREIGN DATA WRAPPER postgres_fdw OPTIONS (
    host 'ledger.example.com',
    port '5432',
    dbname 'sealwatch',
    sslmode 'verify-full',
    -- A server that is gone is noticed within half a minute.
    connect_timeout '10',
    keepalives_idle '10',
    keepalives_interval '5',
    keepalives_count '3',
    tcp_user_timeout '30000',
    -- Few rows are asked for out of many: the server of the ledger knows better what that costs.
    use_remote_estimate 'true',
    fetch_size '1000',
    updatable 'false'
);
CREATE USER MAPPING FOR sealwatch_monitor SERVER sealwatch_ledger
    OPTIONS (user 'sealwatch_monitor', password 'CHANGE-ME');
-- For the next statement only.
CREATE USER MAPPING FOR CURRENT_USER SERVER sealwatch_ledger
    OPTIONS (user 'sealwatch_monitor', password 'CHANGE-ME');

-- What is in this schema goes before the empty tables of the same names in public, which nobody is to take for the ledger.
-- Nothing else is taken from there: whoever owns that server must not put tables in the place of the monitor's own.
CREATE SCHEMA ledger;
IMPORT FOREIGN SCHEMA public
    LIMIT TO (_sqlx_migrations, schema_support, identities, signatures, log_entries, materials, certificate_keys,
        observations, conditions)
    FROM SERVER sealwatch_ledger INTO ledger;
DROP USER MAPPING FOR CURRENT_USER SERVER sealwatch_ledger;

REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO sealwatch_monitor;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO sealwatch_monitor;
REVOKE ALL ON TABLE public.identities, public.signatures, public.log_entries, public.materials, public.certificate_keys,
    public.observations, public.conditions FROM sealwatch_monitor;

COMMIT;
