//! One body for both engines. Each noun's file ends in a macro that holds its SQL and its methods;
//! this one stamps them all for one engine. What differs between the dialects is two words of SQL:
//! the database's clock in unix milliseconds, and how a claim steps over rows that others claim.

/// What differs between the engines in the types that the nouns name.
pub(crate) trait Engine {
    /// A transaction whose statements have a deadline.
    type Transaction;
}

/// A transaction of an engine.
pub(crate) type Tx<Database> = <Database as Engine>::Transaction;

/// Stamps every noun for one engine's store. The type must have `begin()` (a write transaction),
/// `begin_in_turn()` (one whose ids become visible in their order), `reader()`, the first and the last also as `…_long()` for
/// what walks a table, `record_batch()`, `rights` and `wakeups`. All that is asked of what they hand out has a deadline
/// (`deadline.rs`).
macro_rules! stamp {
    ($Store:ty, $Database:ty, now = $now:literal, claim = $claim:literal) => {
        crate::events::stamp_events!($Store, $Database, $now, $claim);
        crate::dead_letters::stamp_dead_letters!($Store);
        crate::skips::stamp_skips!($Store, $Database);
        crate::jobs::stamp_jobs!($Store, $Database, $now, $claim);
        crate::known_repositories::stamp_known_repositories!($Store);
        crate::parked::stamp_parked!($Store, $now);
        crate::revival::stamp_revival!($Store, $now);
        crate::conditions::stamp_conditions!($Store, $now);
        crate::identity_zones::stamp_identity_zones!($Store);
        crate::ledger::stamp_ledger!($Store, $Database);
        crate::own_artifacts::stamp_own_artifacts!($Store, $now);
        crate::locks::stamp_locks!($Store, $now);
        crate::certificate_keys::stamp_certificate_keys!($Store);
        crate::observations::stamp_observations!($Store);
        crate::ledger_view::stamp_ledger_view!($Store);
        crate::ledger_keys_seen::stamp_ledger_keys_seen!($Store);
        crate::findings::stamp_findings!($Store, $Database);
        crate::outbox::stamp_outbox!($Store, $Database, $now, $claim);
        crate::followed_logs::stamp_followed_logs!($Store, $Database, $now);
        crate::suspects::stamp_suspects!($Store, $Database, $now);
        crate::sightings::stamp_sightings!($Store, $Database);
        crate::matcher_coverage::stamp_matcher_coverage!($Store, $Database);
        crate::own_entries::stamp_own_entries!($Store, $now);
        crate::intents_seen::stamp_intents_seen!($Store);
        crate::adoptions::stamp_adoptions!($Store);
        crate::retention::stamp_retention!($Store);
        crate::status::stamp_status!($Store, $now);
        impl crate::Store for $Store {}
    };
}
pub(crate) use stamp;

/// A fresh fencing token: 128 random bits in hex.
pub(crate) fn lease_token() -> Result<String, crate::StoreError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(crate::StoreError::Random)?;
    Ok(hex::encode(bytes))
}
