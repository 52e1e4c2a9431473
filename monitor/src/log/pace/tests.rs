//! The pace against a clock that is moved by hand.

use super::*;

fn pace(most: usize, per_second: Option<u32>) -> Arc<Pace> {
    Arc::new(Pace::new("log.test:443".into(), most, per_second))
}

async fn turn(pace: &Arc<Pace>) -> Permit {
    pace.permit(Asking::Leaves).await.expect("a turn")
}

#[tokio::test(start_paused = true)]
async fn good_answers_raise_what_may_be_in_flight_up_to_the_limit() {
    let pace = pace(10, None);
    assert_eq!(pace.reading().limit, 8);
    assert_eq!(Pace::new("log.test:443".into(), 10, Some(1_000)).reading().limit, 1, "it rations them");
    for _ in 0..20 {
        turn(&pace).await.answered(100, false);
    }
    let reading = pace.reading();
    assert_eq!((reading.limit, reading.in_flight, reading.requests, reading.bytes), (10, 0, 20, 2000));
}

#[tokio::test(start_paused = true)]
async fn answers_that_wait_for_us_lower_it_to_what_it_began_with_and_no_further() {
    let pace = pace(64, None);
    for _ in 0..20 {
        turn(&pace).await.answered(1, false);
    }
    for _ in 0..5 {
        turn(&pace).await.answered(1, true);
    }
    assert_eq!(pace.reading().limit, 8 + 20 - 5);
    for _ in 0..40 {
        turn(&pace).await.answered(1, true);
    }
    assert_eq!(pace.reading().limit, 8);
    turn(&pace).await.failed(None);
    turn(&pace).await.answered(1, true);
    assert_eq!((pace.reading().limit, pace.reading().failures), (4, 1), "a failure says more");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_may_be_and_each_end_lets_one_in() {
    let pace = pace(2, None);
    let (first, second) = (turn(&pace).await, turn(&pace).await);
    let third = tokio::spawn({
        let pace = Arc::clone(&pace);
        async move { pace.permit(Asking::Leaves).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    drop(first);
    assert!(third.await.expect("no panic"));
    assert_eq!(pace.reading().in_flight, 1, "the second one still is");
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn what_is_small_goes_before_all_leaves_that_wait() {
    let pace = pace(1, None);
    let first = turn(&pace).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let wait = |what, name: &'static str| {
        let (pace, order) = (Arc::clone(&pace), Arc::clone(&order));
        tokio::spawn(async move {
            let permit = pace.permit(what).await.expect("a turn");
            order.lock().expect("names").push(name);
            tokio::time::sleep(Duration::from_millis(10)).await;
            permit.answered(1, false);
        })
    };
    let mut waiting: Vec<_> = (0..5).map(|_| wait(Asking::Leaves, "leaves")).collect();
    tokio::task::yield_now().await;
    let gives_up = wait(Asking::Small, "nobody");
    waiting.extend([wait(Asking::Small, "proof"), wait(Asking::Small, "head")]);
    tokio::task::yield_now().await;
    gives_up.abort();
    tokio::task::yield_now().await;
    drop(first);
    for task in waiting {
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("no lost wake-up").expect("no panic");
    }
    let mut order = order.lock().expect("names").clone();
    order[..2].sort_unstable();
    assert_eq!(order, ["head", "proof", "leaves", "leaves", "leaves", "leaves", "leaves"]);
    assert_eq!(pace.state().small_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_gets_a_turn() {
    let pace = pace(3, None);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move {
                let permit = turn(&pace).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                permit.answered(1, false);
            })
        })
        .collect();
    for task in waiting {
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("no lost wake-up").expect("no panic");
    }
    assert_eq!(pace.reading().requests, 50);
}

#[tokio::test(start_paused = true)]
async fn who_is_woken_and_gives_up_keeps_nobody_else_waiting() {
    let pace = pace(1, None);
    let first = turn(&pace).await;
    let wait = || {
        let pace = Arc::clone(&pace);
        tokio::spawn(async move { pace.permit(Asking::Leaves).await.is_ok() })
    };
    let (gives_up, stays) = (wait(), wait());
    tokio::task::yield_now().await;
    first.rate_limited(Some(Duration::from_secs(5)));
    tokio::task::yield_now().await;
    gives_up.abort();
    let got = tokio::time::timeout(Duration::from_secs(10), stays).await;
    assert!(got.expect("a turn").expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_halves_once_for_all_that_were_in_flight_with_it() {
    let pace = pace(16, None);
    for _ in 0..20 {
        turn(&pace).await.answered(1, false);
    }
    let mut together = Vec::new();
    for _ in 0..8 {
        together.push(turn(&pace).await);
    }
    tokio::time::advance(Duration::from_millis(5)).await;
    for permit in together {
        permit.failed(None);
    }
    assert_eq!(pace.reading().limit, 8);
    tokio::time::sleep(LONGEST_BACKOFF).await;
    turn(&pace).await.failed(None);
    assert_eq!(pace.reading().limit, 4, "a later one says more");
    tokio::time::sleep(LONGEST_BACKOFF).await;
    for _ in 0..4 {
        turn(&pace).await.answered(1, false);
    }
    assert_eq!(pace.reading().limit, 4, "one more only after a round of answers");
    turn(&pace).await.answered(1, false);
    assert_eq!(pace.reading().limit, 5);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_when_is_left_alone_until_then() {
    let pace = pace(16, None);
    turn(&pace).await.rate_limited(Some(Duration::from_secs(7)));
    let asked = Instant::now();
    let permit = turn(&pace).await;
    assert_eq!(asked.elapsed().as_secs(), 7);
    permit.rate_limited(Some(Duration::from_secs(u64::MAX)));
    let refused = pace.permit(Asking::Leaves).await.expect_err("that is too long to wait for");
    assert_eq!(refused.retry_after(), Some(LONGEST_PAUSE), "{refused}");
    assert!(refused.is_transient());
    let reading = pace.reading();
    assert_eq!((reading.rate_limited, reading.failures, reading.paused), (2, 2, LONGEST_PAUSE));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_asked_about_less_and_less_often() {
    let pace = pace(16, None);
    turn(&pace).await.failed(None);
    let mut last = Duration::ZERO;
    for nth in 0..12 {
        let asked = Instant::now();
        turn(&pace).await.failed(None);
        let waited = asked.elapsed();
        assert!(nth == 0 || waited.as_secs_f64() >= last.as_secs_f64() / 2.0, "{nth}: {waited:?} after {last:?}");
        assert!(waited <= LONGEST_BACKOFF + Duration::from_millis(1), "{waited:?}");
        last = waited;
    }
    assert!(last >= LONGEST_BACKOFF / 2, "{last:?}");
    turn(&pace).await.answered(1, false);
    let asked = Instant::now();
    turn(&pace).await.failed(None);
    assert_eq!(asked.elapsed(), Duration::ZERO, "an answer makes good");
}

#[tokio::test(start_paused = true)]
async fn requests_per_second_are_kept() {
    let pace = pace(16, Some(20));
    let begun = Instant::now();
    for _ in 0..105 {
        turn(&pace).await.answered(1, false);
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((4.9..5.3).contains(&took), "five at once, then twenty per second: {took}");
}

#[tokio::test(start_paused = true)]
async fn junk_slows_down_as_failures_do() {
    let pace = pace(16, None);
    for _ in 0..20 {
        turn(&pace).await.answered(1, false);
    }
    turn(&pace).await.answered(1, false);
    pace.junk();
    assert_eq!((pace.reading().limit, pace.reading().failures), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_and_names_a_moment_that_is_past_is_not_asked_at_once() {
    let pace = pace(8, None);
    let mut least = FIRST_PAUSE / 2;
    for _ in 0..3 {
        turn(&pace).await.rate_limited(Some(Duration::ZERO));
        assert!(pace.reading().paused >= least, "{:?}", pace.reading().paused);
        least *= 2;
    }
    for _ in 0..10 {
        turn(&pace).await.rate_limited(Some(Duration::ZERO));
        assert!(pace.reading().paused <= A_SECOND, "it has asked for no more: {:?}", pace.reading().paused);
    }
    turn(&pace).await.answered(1, false);
    turn(&pace).await.rate_limited(Some(Duration::ZERO));
    assert!(pace.reading().paused <= FIRST_PAUSE, "an answer makes good");
}
