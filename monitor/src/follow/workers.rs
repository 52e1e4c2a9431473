//! The threads that leaves are scanned on.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::scan::Buffers;

type Job = Box<dyn FnOnce(&mut Buffers) + Send>;

/// As many threads as there are processors, for all logs, and what waits for them in the order of asking. A thread that
/// has done its work takes what is next by itself: to be woken for each batch leaves a processor idle between two.
#[derive(Clone)]
pub(crate) struct Workers {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    waiting: VecDeque<Job>,
    /// Buffers of threads that do not run now.
    idle: Vec<Buffers>,
}

impl Workers {
    /// So many at once.
    pub(crate) fn new(count: usize) -> Self {
        let idle = std::iter::repeat_with(Buffers::default).take(count.max(1)).collect();
        Self { queue: Arc::new(Mutex::new(Queue { waiting: VecDeque::new(), idle })) }
    }

    /// Has one of them do this. `None`: it panicked, or the runtime is going down.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Buffers) -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let job = move |buffers: &mut Buffers| {
            // Nobody waits for it any more: its log was left.
            if !tell.is_closed() {
                drop(tell.send(work(buffers)));
            }
        };
        let idle = {
            let mut queue = locked(&self.queue);
            queue.waiting.push_back(Box::new(job));
            queue.idle.pop()
        };
        if let Some(buffers) = idle {
            let queue = Arc::clone(&self.queue);
            tokio::task::spawn_blocking(move || drain(&queue, buffers));
        }
        told.await.ok()
    }
}

/// Works until nothing waits.
fn drain(queue: &Mutex<Queue>, mut buffers: Buffers) {
    loop {
        let mut locked = locked(queue);
        let Some(job) = locked.waiting.pop_front() else {
            locked.idle.push(buffers);
            return;
        };
        drop(locked);
        // Whoever waits for it hears of it, since nobody answers; the buffers are of no use any more.
        if catch_unwind(AssertUnwindSafe(|| job(&mut buffers))).is_err() {
            buffers = Buffers::default();
        }
    }
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_work_at_once_than_there_are_and_none_is_forgotten() {
        let workers = Workers::new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let each = (0..200_usize).map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            workers.work(move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_micros(100));
                now.fetch_sub(1, Ordering::SeqCst);
                number
            })
        });
        let done: Vec<Option<usize>> = futures_util::future::join_all(each).await;
        assert_eq!(done, (0..200).map(Some).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 2);
        // Who has answered last gives its buffers back a moment after that.
        let all_idle = async {
            while locked(&workers.queue).idle.len() < 2 {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), all_idle).await.expect("both are idle again");
    }

    #[tokio::test]
    async fn a_panic_is_no_answer_and_ends_nothing_else() {
        let workers = Workers::new(1);
        assert_eq!(workers.work(|_| -> u8 { panic!("a defect") }).await, None);
        assert_eq!(workers.work(|_| 7).await, Some(7));
    }
}
