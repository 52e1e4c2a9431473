//! The process that takes webhooks may add events and dead letters, and nothing else.

use super::*;
use crate::testing::event;
use crate::{DeadLetterFilter, DeadLetters as _, Events as _, NewDeadLetter, NewLook};

#[tokio::test]
async fn a_role_that_may_only_insert_is_enough_for_webhooks() {
    let Some(database) = TestDatabase::postgres("a_role_that_may_only_insert_is_enough_for_webhooks").await else {
        return;
    };
    database
        .run(|database| async move {
            let owner = database.postgres_options();
            let role = format!("sealwatch_intake_{}", crate::dialect::lease_token().unwrap());
            let grants = format!(
                "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA public TO {role};
                 GRANT INSERT ON TABLE public.push_events, public.dead_letters TO {role};
                 GRANT SELECT ON TABLE public._sqlx_migrations TO {role}"
            );
            by_hand(&owner, &grants).await.unwrap();
            let intake = PostgresStore::open_with(owner.clone().username(&role)).await.unwrap();
            let events: Vec<_> = (0..2_500).map(|number| event(&format!("team/app{number}"), None)).collect();
            intake.record_events(&events).await.unwrap();
            let registry = events[0].registry.clone();
            intake.record_look(&NewLook { source: "harbor".to_owned(), registry, received_at: 1 }).await.unwrap();
            let letter = NewDeadLetter {
                source: "harbor",
                reason: "foreign_host",
                body: b"{}",
                body_size_bytes: 2,
                received_at: 1,
            };
            intake.record_dead_letter(&letter).await.unwrap();
            assert!(intake.lease_event(1).await.is_err(), "it may not take work");
            assert!(intake.dead_letters(&DeadLetterFilter::default(), 1).await.is_err(), "nor read");
            let counts = database.store().counts().await.unwrap();
            assert_eq!((counts.events_waiting, counts.dead_letters), (2_501, 1));
            intake.close().await;
            by_hand(&owner, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
        })
        .await;
}
