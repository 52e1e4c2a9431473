//! Keeps the monitor at work: what passes is tried again, what does not is said to whoever asks `/readyz`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use monitor::MonitorError;
use tokio::sync::watch;

/// Between two attempts, at first and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why no log is read, where that is so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwatched(Arc<Mutex<Option<String>>>);

impl Unwatched {
    /// Why, in words.
    pub(crate) fn why(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No log is read, for this reason.
    #[cfg(test)]
    pub(crate) fn because(why: &str) -> Self {
        let unwatched = Self::default();
        unwatched.set(Some(why.to_owned()));
        unwatched
    }

    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// What an attempt is told with that it has begun.
pub(super) type Begun = Arc<dyn Fn() + Send + Sync>;

/// Reads the logs until stopped, or until the error is one that waiting does not mend. An attempt that panics is a defect
/// of ours, and tried again like an error that passes.
pub(super) async fn watch_logs<F, Fut>(
    attempt: F,
    unwatched: Unwatched,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), MonitorError>
where
    F: Fn(watch::Receiver<bool>, Begun) -> Fut,
    Fut: Future<Output = Result<(), MonitorError>> + Send + 'static,
{
    let mut wait = FIRST_WAIT;
    loop {
        let well = unwatched.clone();
        let begun: Begun = Arc::new(move || well.set(None));
        let problem = match tokio::spawn(attempt(stopped.clone(), begun)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if error.is_final() => {
                tracing::error!(%error, "the monitor ended: no log is read any more");
                unwatched.set(Some(error.to_string()));
                return Err(error);
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if unwatched.why().is_none() {
            wait = FIRST_WAIT;
            tracing::error!(%problem, "the monitor ended: no log is read; trying again");
        }
        unwatched.set(Some(problem));
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use monitor::MonitorError;
    use store::StoreError;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_and_told_meanwhile() {
        let (stop, stopped) = watch::channel(false);
        let (unwatched, attempts) = (Unwatched::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&attempts);
        let attempt = move |mut stopped: watch::Receiver<bool>, begun: Begun| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0 => Err(MonitorError::Store(StoreError::UnknownEngine)),
                    1 => panic!("a defect"),
                    _ => {
                        begun();
                        let _ = stopped.wait_for(|stop| *stop).await;
                        Ok(())
                    }
                }
            }
        };
        let watching = tokio::spawn(watch_logs(attempt, unwatched.clone(), stopped));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(unwatched.why().is_some_and(|why| why.contains("url")), "{:?}", unwatched.why());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(unwatched.why().is_some_and(|why| why.contains("panic")), "{:?}", unwatched.why());
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((attempts.load(Ordering::Relaxed), unwatched.why()), (3, None));
        stop.send_replace(true);
        watching.await.expect("no panic").expect("a clean end");
    }

    #[tokio::test]
    async fn what_does_not_pass_ends_it_and_stays_told() {
        let (_stop, stopped) = watch::channel(false);
        let unwatched = Unwatched::default();
        let attempt = |_, _| async { Err(MonitorError::Untrusted { origins: vec!["log.example.com".to_owned()] }) };
        let outcome = watch_logs(attempt, unwatched.clone(), stopped).await;
        assert!(matches!(outcome, Err(MonitorError::Untrusted { .. })));
        assert!(unwatched.why().is_some_and(|why| why.contains("log.example.com")));
    }
}
