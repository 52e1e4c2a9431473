//! The one place where calls end in time. A noun reaches its database through `begin()` or `reader()` of its engine's store,
//! and both hand out connections whose every statement has a deadline; there is no other way to a connection. So a noun
//! cannot be without one.
//!
//! A call that waits longer answers [`StoreError::Timeout`]. Whether its statement was carried out is then unknown, as
//! after a crash at that moment.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, Sleep};

use crate::StoreError;

/// How long a transaction, or a read, may take from the first statement to the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// What a row or a page is asked for. No caller does anything useful that long after it asked.
    pub(crate) usual: Duration,
    /// What walks a table: counts, purges, the ledger of another database.
    pub(crate) long: Duration,
}

impl Patience {
    /// What is used outside of tests.
    pub(crate) const USUAL: Self = Self { usual: Duration::from_secs(30), long: Duration::from_secs(300) };
}

/// How long a change of the schema may take: it may rewrite the largest tables.
pub(crate) const MIGRATION: Duration = Duration::from_secs(3600);
/// How long a store that closes waits for what is under way.
pub(crate) const CLOSING: Duration = Duration::from_secs(10);

/// The end of a piece of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    whole: Duration,
}

impl Deadline {
    /// From now.
    pub(crate) fn after(whole: Duration) -> Self {
        Self { at: Instant::now() + whole, whole }
    }

    /// A deadline for a part of the work, and not after this one.
    pub(crate) fn or_after(self, part: Duration) -> Self {
        let at = Instant::now() + part;
        if at < self.at { Self { at, whole: part } } else { self }
    }

    /// Waits for a future until the deadline.
    pub(crate) async fn limit<F: Future>(self, future: F) -> Result<F::Output, StoreError> {
        tokio::time::timeout_at(self.at, future).await.map_err(|_| self.error())
    }

    fn error(self) -> StoreError {
        StoreError::Timeout { after: self.whole }
    }
}

/// Carries an error of ours through a signature that knows those of the driver only.
pub(crate) fn carried(error: StoreError) -> sqlx::Error {
    match error {
        StoreError::Database(error) => error,
        other => sqlx::Error::Io(std::io::Error::other(other)),
    }
}

/// How a connection fares.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// A statement was begun, and its answer not read to the end.
    pub(crate) is_out: bool,
    /// Nothing may be asked on this connection any more.
    pub(crate) lost: Option<Loss>,
}

/// Why a connection is not used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// It broke, or did not answer in time; others to the same server may be dead as well.
    Connection,
    /// The server that answers is not one to write to, or is stopping.
    Server,
    /// It is not the session that it was: a pooler gave it another one.
    Session,
}

impl Loss {
    /// What an error says of the connection that it came by; nothing where only the statement failed.
    pub(crate) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Database(error) => match error.code().as_deref() {
                // A read-only transaction: after a failover, the old primary.
                Some("25006") => Some(Self::Server),
                // admin_shutdown, crash_shutdown, cannot_connect_now; a session that the server ended.
                Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04") => Some(Self::Server),
                Some(code) if code.starts_with("08") => Some(Self::Server),
                // A prepared statement that is not there, or is there already.
                Some("26000" | "42P05") => Some(Self::Session),
                _ => None,
            },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                Some(Self::Connection)
            }
            _ => None,
        }
    }
}

/// The answers to one statement, until the deadline.
pub(crate) struct Watched<'e, T> {
    answers: BoxStream<'e, Result<T, sqlx::Error>>,
    flight: &'e mut Flight,
    deadline: Deadline,
    sleep: Pin<Box<Sleep>>,
    is_over: bool,
}

impl<'e, T> Watched<'e, T> {
    /// Watches over a statement that is about to be sent.
    pub(crate) fn new(
        answers: BoxStream<'e, Result<T, sqlx::Error>>,
        flight: &'e mut Flight,
        deadline: Deadline,
    ) -> Self {
        flight.is_out = true;
        Self { answers, flight, deadline, sleep: Box::pin(tokio::time::sleep_until(deadline.at)), is_over: false }
    }
}

impl<T> Stream for Watched<'_, T> {
    type Item = Result<T, sqlx::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(answer) = this.answers.as_mut().poll_next(cx) {
            match &answer {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    this.is_over = true;
                    this.flight.is_out = false;
                    this.flight.lost = this.flight.lost.or(Loss::of(error));
                }
                None => {
                    this.is_over = true;
                    this.flight.is_out = false;
                }
            }
            return Poll::Ready(answer);
        }
        ready!(this.sleep.as_mut().poll(cx));
        this.is_over = true;
        this.flight.lost = Some(Loss::Connection);
        Poll::Ready(Some(Err(carried(this.deadline.error()))))
    }
}

/// A connection whose statements end at a deadline.
pub(crate) struct Timed<C> {
    pub(crate) connection: C,
    pub(crate) flight: Flight,
    pub(crate) deadline: Deadline,
}

impl<C> Timed<C> {
    /// Gives a connection a deadline.
    pub(crate) fn new(connection: C, deadline: Deadline) -> Self {
        Self { connection, flight: Flight::default(), deadline }
    }
}

impl<C> std::fmt::Debug for Timed<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timed").field("flight", &self.flight).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Makes the timed connection of one engine ask statements as a plain one does.
macro_rules! ask_in_time {
    ($Connection:ty, $Database:ty, |$connection:ident, $query:ident| $ask:expr) => {
        impl<'c> sqlx::Executor<'c> for &'c mut crate::deadline::Timed<$Connection> {
            type Database = $Database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                $query: E,
            ) -> futures_util::stream::BoxStream<
                'e,
                Result<
                    sqlx::Either<<$Database as sqlx::Database>::QueryResult, <$Database as sqlx::Database>::Row>,
                    sqlx::Error,
                >,
            >
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $Database>,
            {
                let crate::deadline::Timed { connection: $connection, flight, deadline } = self;
                Box::pin(crate::deadline::Watched::new($ask, flight, *deadline))
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_util::future::BoxFuture<'e, Result<Option<<$Database as sqlx::Database>::Row>, sqlx::Error>>
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $Database>,
            {
                let mut answers = self.fetch_many(query);
                Box::pin(async move {
                    use futures_util::TryStreamExt as _;
                    let mut first = None;
                    // To the end: an error may come after the row, and the connection must be ready for the next statement.
                    while let Some(answer) = answers.try_next().await? {
                        if let sqlx::Either::Right(row) = answer
                            && first.is_none()
                        {
                            first = Some(row);
                        }
                    }
                    Ok(first)
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx::SqlStr,
                parameters: &'e [<$Database as sqlx::Database>::TypeInfo],
            ) -> futures_util::future::BoxFuture<'e, Result<<$Database as sqlx::Database>::Statement, sqlx::Error>>
            where
                'c: 'e,
            {
                let crate::deadline::Timed { connection, flight, deadline } = self;
                Box::pin(async move {
                    flight.is_out = true;
                    let asked = (&mut **connection).prepare_with(sql, parameters);
                    let answer = match deadline.limit(asked).await {
                        Ok(answer) => answer,
                        Err(error) => Err(crate::deadline::carried(error)),
                    };
                    match &answer {
                        Ok(_) => flight.is_out = false,
                        Err(error) => {
                            flight.lost = flight.lost.or(crate::deadline::Loss::of(error));
                            flight.is_out = false;
                        }
                    }
                    answer
                })
            }
        }
    };
}
pub(crate) use ask_in_time;

/// Makes a type that begins a read a thing that statements can be asked of: the read begins with its statement and ends
/// with the last row.
macro_rules! read_in_time {
    ($Reader:ident, $Database:ty) => {
        impl<'c> sqlx::Executor<'c> for $Reader<'c> {
            type Database = $Database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_util::stream::BoxStream<
                'e,
                Result<
                    sqlx::Either<<$Database as sqlx::Database>::QueryResult, <$Database as sqlx::Database>::Row>,
                    sqlx::Error,
                >,
            >
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $Database>,
            {
                use futures_util::{StreamExt as _, TryStreamExt as _};
                let answers = async move {
                    let mut timed = self.begin().await.map_err(crate::deadline::carried)?;
                    let answers: Vec<_> = (&mut *timed).fetch_many(query).try_collect().await?;
                    Ok::<_, sqlx::Error>(futures_util::stream::iter(answers.into_iter().map(Ok)))
                };
                futures_util::stream::once(answers).try_flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_util::future::BoxFuture<'e, Result<Option<<$Database as sqlx::Database>::Row>, sqlx::Error>>
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $Database>,
            {
                Box::pin(async move {
                    let mut timed = self.begin().await.map_err(crate::deadline::carried)?;
                    (&mut *timed).fetch_optional(query).await
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx::SqlStr,
                parameters: &'e [<$Database as sqlx::Database>::TypeInfo],
            ) -> futures_util::future::BoxFuture<'e, Result<<$Database as sqlx::Database>::Statement, sqlx::Error>>
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let mut timed = self.begin().await.map_err(crate::deadline::carried)?;
                    (&mut *timed).prepare_with(sql, parameters).await
                })
            }
        }
    };
}
pub(crate) use read_in_time;
