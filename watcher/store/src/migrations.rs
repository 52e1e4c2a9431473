//! The schema's history, embedded. A landed file is never edited; a change is a new file in each of
//! the two directories.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The migrations of SQLite.
pub(crate) fn sqlite() -> Migrator {
    migrator([
        (1, "intake, jobs, ledger", include_str!("../../../migrations/sqlite/0001_intake_jobs_ledger.sql")),
        (2, "monitor", include_str!("../../../migrations/sqlite/0002_monitor.sql")),
        (3, "monitor memory", include_str!("../../../migrations/sqlite/0003_monitor_memory.sql")),
        (4, "signing side", include_str!("../../../migrations/sqlite/0004_signing_side.sql")),
    ])
}

/// The migrations of PostgreSQL; the migrator holds an advisory lock while they run.
pub(crate) fn postgres() -> Migrator {
    migrator([
        (1, "intake, jobs, ledger", include_str!("../../../migrations/postgres/0001_intake_jobs_ledger.sql")),
        (2, "monitor", include_str!("../../../migrations/postgres/0002_monitor.sql")),
        (3, "monitor memory", include_str!("../../../migrations/postgres/0003_monitor_memory.sql")),
        (4, "signing side", include_str!("../../../migrations/postgres/0004_signing_side.sql")),
    ])
}

/// The version that this build needs.
pub(crate) fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The first versions of a schema, for tests that bring an older database up to date.
#[cfg(test)]
pub(crate) fn until(migrator: Migrator, version: i64) -> Migrator {
    Migrator::with_migrations(migrator.iter().filter(|migration| migration.version <= version).cloned().collect())
}

/// Whether a program that knows the schema up to `newest` may use a newer one, whose oldest program is `oldest`. A schema that
/// does not say is for its own program and newer ones.
pub(crate) fn may_use(newest: i64, oldest: Option<i64>) -> bool {
    oldest.is_some_and(|oldest| newest >= oldest)
}

fn migrator<const N: usize>(files: [(i64, &'static str, &'static str); N]) -> Migrator {
    Migrator::with_migrations(
        files
            .into_iter()
            .map(|(version, description, sql)| {
                Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql.into_sql_str(), false)
            })
            .collect(),
    )
}

#[cfg(test)]
pub(crate) mod version_3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_versions_tables_and_indexes() {
        // What is there after each version: kind and name, created and not dropped.
        let outline = |migrator: Migrator| -> Vec<(i64, Vec<String>)> {
            let mut there = std::collections::BTreeSet::new();
            migrator
                .iter()
                .map(|migration| {
                    for line in migration.sql.as_str().lines() {
                        let line = line.replace("monitor.", "").replace("UNIQUE INDEX", "INDEX");
                        let words: Vec<&str> = line.split([' ', '(', ';']).collect();
                        match words[..] {
                            ["CREATE", kind @ ("TABLE" | "INDEX" | "TRIGGER"), name, ..] => {
                                there.insert(format!("{kind} {name}"));
                            }
                            ["DROP", kind @ ("TABLE" | "INDEX" | "TRIGGER"), name, ..] => {
                                there.remove(&format!("{kind} {name}"));
                            }
                            _ => {}
                        }
                    }
                    (migration.version, there.iter().cloned().collect())
                })
                .collect()
        };
        let (sqlite, postgres) = (outline(sqlite()), outline(postgres()));
        assert!(!sqlite.is_empty());
        assert_eq!(sqlite, postgres);
    }

    #[test]
    fn sqlite_tables_are_strict() {
        for migration in sqlite().iter() {
            let sql = migration.sql.as_str();
            assert_eq!(sql.matches("CREATE TABLE").count(), sql.matches(") STRICT").count());
        }
    }

    #[test]
    fn postgres_integers_are_wide() {
        for migration in postgres().iter() {
            let sql = migration.sql.as_str();
            assert!(!sql.contains(" INTEGER") && !sql.contains(" INT ") && !sql.contains("SMALLINT"));
        }
    }
}
