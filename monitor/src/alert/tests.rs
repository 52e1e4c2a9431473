//! Alerts arrive, at least once, late rather than never, and say nothing that is secret.

mod receiver;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use receiver::Http;
use sandbox::{CaOptions, MailOptions, MailReceiver, SandboxCa};
use secrecy::SecretString;
use store::{FindingFilter, FindingKind, NewFinding, Severity, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::mail::Protection;
use super::*;
use crate::config::{SinkConfig, SinkKind};
use crate::finding::{blind_sink, state_lost};

const TOKEN: &str = "T0KEN-in-the-path";

async fn memory() -> Arc<dyn Store> {
    store::open("sqlite::memory:").await.unwrap()
}

fn finding(cause: &str) -> NewFinding {
    state_lost(None, cause, "The ledger <that> we read & trust is empty.", 1_700_000_000_000)
}

fn config(name: &str, kind: SinkKind) -> SinkConfig {
    SinkConfig { name: name.to_owned(), min_severity: Severity::Warning, kind }
}

fn webhook(name: &str, receiver: &Http) -> SinkConfig {
    let url = SecretString::from(format!("{}/{TOKEN}", receiver.url()));
    config(name, SinkKind::Webhook { url, secret: SecretString::from("s3cret"), ca_pem: None })
}

struct Running {
    alerts: Arc<Alerts>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(configs: &[SinkConfig], store: &Arc<dyn Store>, dead_after: Duration) -> Self {
        let alerts = Arc::new(Alerts::new(configs, Arc::clone(store), dead_after).unwrap());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Arc::clone(&alerts).run(stopped));
        Self { alerts, stop, task }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

async fn raise(store: &Arc<dyn Store>, alerts: &Alerts, finding: NewFinding) -> i64 {
    store.raise(&[finding], alerts.sinks()).await.unwrap()[0].id
}

#[tokio::test]
async fn a_webhook_gets_each_alert_once_with_a_signature_that_it_can_check() {
    let (store, receiver) = (memory().await, Http::start().await);
    let running = Running::start(&[webhook("hook", &receiver)], &store, Duration::from_secs(60));
    for cause in ["a", "b", "c"] {
        raise(&store, &running.alerts, finding(cause)).await;
    }
    let taken = receiver.wait_for(3).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(receiver.count(), 3);
    for request in &taken {
        assert_eq!(request.path, format!("/{TOKEN}"));
        let header = request.header("sealwatch-signature");
        let (time, _) = header.strip_prefix("t=").unwrap().split_once(',').unwrap();
        assert_eq!(signature_header(b"s3cret", time.parse().unwrap(), &request.body), header);
        let json = request.json();
        assert_eq!((json["status"].as_str(), json["finding"]["kind"].as_str()), (Some("firing"), Some("state_lost")));
        assert_eq!(json["id"], request.header("sealwatch-alert-id"));
        assert_eq!(json["finding"]["severity"], "critical");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_alert_that_was_not_answered_is_sent_again_under_the_same_id() {
    let (store, receiver) = (memory().await, Http::start().await);
    receiver.answer_next(503, 1);
    let running = Running::start(&[webhook("hook", &receiver)], &store, Duration::from_secs(60));
    raise(&store, &running.alerts, finding("a")).await;
    let taken = receiver.wait_for(2).await;
    assert_eq!(taken[0].json()["id"], taken[1].json()["id"]);
    assert_eq!(taken[0].body, taken[1].body);
    running.stop().await;
    assert!(store.outbox_counts().await.unwrap().iter().all(|count| count.waiting == 0));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let (store, receiver) = (memory().await, Http::start().await);
    receiver.answer_next_with(429, "Retry-After: 3\r\n", 1);
    let running = Running::start(&[webhook("hook", &receiver)], &store, Duration::from_secs(60));
    raise(&store, &running.alerts, finding("a")).await;
    let taken = receiver.wait_for(2).await;
    assert!(taken[1].at - taken[0].at >= Duration::from_secs(3), "{:?}", taken[1].at - taken[0].at);
    running.stop().await;
}

#[tokio::test]
async fn a_dead_sink_delays_nobody_is_told_to_the_others_and_gets_its_alerts_late() {
    let (store, dead, alive) = (memory().await, Http::start().await, Http::start().await);
    dead.answer_next(503, u32::MAX);
    let configs = [webhook("dead", &dead), webhook("alive", &alive)];
    let running = Running::start(&configs, &store, Duration::from_secs(2));
    raise(&store, &running.alerts, finding("a")).await;
    let first = alive.wait_for(1).await;
    assert_eq!(first[0].json()["finding"]["kind"], "state_lost");
    let told = alive.wait_for(2).await;
    let (json, text) = (told[1].json(), String::from_utf8(told[1].body.clone()).unwrap());
    assert_eq!(json["finding"]["kind"], "blind");
    assert!(text.contains("dead") && text.contains("503") && !text.contains(TOKEN), "{text}");
    // It lives again: its alert arrives, and after a while the others hear that it is over.
    dead.answer_next(200, 0);
    let taken = dead.wait_until(|request| request.answered == 200).await;
    assert_eq!(taken.json()["finding"]["kind"], "state_lost");
    let over = alive.wait_until(|request| request.json()["status"] == "resolved").await;
    assert_eq!(over.json()["finding"]["kind"], "blind");
    assert_eq!(alive.count(), 3, "a sink that is down for long is told once");
    running.stop().await;
    let filter = FindingFilter { kind: Some(FindingKind::Blind), ..FindingFilter::default() };
    let rows = store.findings(&filter).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fingerprint, blind_sink("dead", 0, "", 0).fingerprint);
}

#[tokio::test]
async fn a_sink_hears_only_what_is_bad_enough_and_that_it_is_over() {
    let (store, receiver) = (memory().await, Http::start().await);
    let mut quiet = webhook("hook", &receiver);
    quiet.min_severity = Severity::Critical;
    let running = Running::start(&[quiet], &store, Duration::from_secs(60));
    let mut warning = finding("warning");
    warning.severity = Severity::Warning;
    raise(&store, &running.alerts, warning).await;
    raise(&store, &running.alerts, finding("critical")).await;
    receiver.wait_for(1).await;
    let fingerprint = finding("critical").fingerprint;
    assert!(store.clear_finding(&fingerprint, 1_700_000_100_000, running.alerts.sinks()).await.unwrap());
    let taken = receiver.wait_for(2).await;
    let statuses: Vec<_> = taken.iter().map(|request| request.json()["status"].clone()).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    assert!(taken.iter().all(|request| request.json()["finding"]["severity"] == "critical"));
    running.stop().await;
}

#[tokio::test]
async fn one_alert_that_a_receiver_dislikes_does_not_hold_up_the_rest() {
    let (store, receiver) = (memory().await, Http::start().await);
    receiver.answer_next(422, 1);
    let running = Running::start(&[webhook("hook", &receiver)], &store, Duration::from_secs(60));
    let started = tokio::time::Instant::now();
    raise(&store, &running.alerts, finding("a")).await;
    raise(&store, &running.alerts, finding("b")).await;
    receiver.wait_until(|request| request.answered == 200).await;
    assert!(started.elapsed() < Duration::from_secs(4));
    receiver.wait_for(3).await;
    running.stop().await;
}

#[tokio::test]
async fn alertmanager_gets_labels_times_and_an_end() {
    let (store, receiver) = (memory().await, Http::start().await);
    let url = SecretString::from(format!("{}/prefix/", receiver.url()));
    let configs = [config("am", SinkKind::Alertmanager { url, ca_pem: None })];
    let running = Running::start(&configs, &store, Duration::from_secs(60));
    raise(&store, &running.alerts, finding("a")).await;
    let posted = receiver.wait_until(|request| request.json()[0]["labels"]["severity"] == "critical").await;
    assert_eq!(posted.path, "/prefix/api/v2/alerts");
    let alert = &posted.json()[0];
    assert_eq!(alert["labels"]["alertname"], "SealwatchStateLost");
    assert_eq!(alert["startsAt"], "2023-11-14T22:13:20Z");
    let ends: jiff::Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(ends > jiff::Timestamp::now(), "without an end it would count as resolved after five minutes");
    assert!(alert["annotations"]["description"].as_str().unwrap().contains("logs trust"));
    store.clear_finding(&finding("a").fingerprint, 1_700_000_100_000, running.alerts.sinks()).await.unwrap();
    let over = receiver.wait_until(|request| request.json()[0]["endsAt"] == "2023-11-14T22:15:00Z").await;
    assert_eq!(over.json()[0]["labels"], alert["labels"], "the same labels are the same alert");
    running.stop().await;
}

#[tokio::test]
async fn an_alertmanager_that_forgot_is_reminded_of_what_is_open() {
    let (store, receiver) = (memory().await, Http::start().await);
    let url = SecretString::from(receiver.url());
    let configs = [config("am", SinkKind::Alertmanager { url, ca_pem: None })];
    let alerts = Alerts::new(&configs, Arc::clone(&store), Duration::from_secs(60)).unwrap();
    raise(&store, &alerts, finding("a")).await;
    assert_eq!(alerts.deliver(Duration::from_secs(5)).await, 1);
    // A process that starts has nothing to deliver, and reminds.
    let running = Running::start(&configs, &store, Duration::from_secs(60));
    let again = receiver.wait_for(2).await;
    assert_eq!(again[0].json()[0]["labels"], again[1].json()[0]["labels"]);
    running.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_ends_what_alertmanager_repeats_until_it_is_over() {
    let (store, receiver) = (memory().await, Http::start().await);
    let url = SecretString::from(receiver.url());
    let configs = [config("am", SinkKind::Alertmanager { url, ca_pem: None })];
    let running = Running::start(&configs, &store, Duration::from_secs(60));
    let id = raise(&store, &running.alerts, finding("a")).await;
    let fired = receiver.wait_for(1).await[0].json();
    let now = jiff::Timestamp::now().as_millisecond();
    let note = store::FindingNote { id, because: "known", by: "ann", at: now };
    assert!(store.acknowledge(&note, now + 60_000, running.alerts.sinks()).await.unwrap());
    let is_over = |json: &serde_json::Value| {
        json[0]["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() <= jiff::Timestamp::now()
    };
    let over = receiver.wait_until(move |request| is_over(&request.json())).await.json();
    assert_eq!(over[0]["labels"], fired[0]["labels"], "the same labels are the same alert");
    // The acknowledgement ends: it fires again.
    let before = receiver.count();
    assert_eq!(store.expire_acknowledgements(now + 60_000, running.alerts.sinks()).await.unwrap(), 1);
    let again = receiver.wait_for(before + 1).await[before].json();
    assert!(!is_over(&again), "{again}");
    running.stop().await;
}

#[tokio::test]
async fn slack_and_pagerduty_get_what_they_understand() {
    let (store, slack, duty) = (memory().await, Http::start().await, Http::start().await);
    let slack_url = SecretString::from(format!("{}/services/{TOKEN}", slack.url()));
    let duty_url = SecretString::from(format!("{}/v2/enqueue", duty.url()));
    let configs = [
        config("slack", SinkKind::Slack { url: slack_url, ca_pem: None }),
        config(
            "pager",
            SinkKind::PagerDuty { url: duty_url, routing_key: SecretString::from("r0uting"), ca_pem: None },
        ),
    ];
    let running = Running::start(&configs, &store, Duration::from_secs(60));
    raise(&store, &running.alerts, finding("a")).await;
    let text = slack.wait_for(1).await[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("*CRITICAL state_lost: "), "{text}");
    assert!(text.contains("&lt;that&gt; we read &amp; trust"), "{text}");
    let triggered = duty.wait_for(1).await[0].json();
    assert_eq!(triggered["routing_key"], "r0uting");
    assert_eq!(
        (triggered["event_action"].as_str(), triggered["payload"]["severity"].as_str()),
        (Some("trigger"), Some("critical"))
    );
    store.clear_finding(&finding("a").fingerprint, 1_700_000_100_000, running.alerts.sinks()).await.unwrap();
    let resolved = duty.wait_for(2).await[1].json();
    assert_eq!(resolved["event_action"], "resolve");
    assert_eq!(resolved["dedup_key"], triggered["dedup_key"]);
    running.stop().await;
}

fn mail(url: &str, login: Option<(&str, &str)>, plain: bool, ca_pem: Option<Vec<u8>>) -> SinkConfig {
    let kind = SinkKind::Mail {
        url: url.parse().unwrap(),
        login: login.map(|(user, password)| (user.to_owned(), SecretString::from(password))),
        from: "Sealwatch <monitor@example.com>".to_owned(),
        to: vec!["oncall@example.com".to_owned(), "second@example.com".to_owned()],
        plain,
        ca_pem,
    };
    config("mail", kind)
}

#[tokio::test]
async fn mail_arrives_as_one_message_that_names_itself() {
    let login = Some(("user".to_owned(), "pass".to_owned()));
    let (store, server) =
        (memory().await, MailReceiver::start(MailOptions { login, ..MailOptions::default() }).await.unwrap());
    let url = format!("smtp://{}", server.addr());
    let running = Running::start(&[mail(&url, Some(("user", "pass")), false, None)], &store, Duration::from_secs(60));
    raise(&store, &running.alerts, finding("a")).await;
    let messages = server.wait_for(1, Duration::from_secs(10)).await;
    let waiting = store.outbox_counts().await.unwrap();
    let message = messages.first().unwrap_or_else(|| panic!("{waiting:?}"));
    assert_eq!(message.to, ["oncall@example.com", "second@example.com"]);
    for line in [
        "Subject: [sealwatch] CRITICAL state_lost: ",
        "Auto-Submitted: auto-generated",
        "Message-ID: <",
        "References: <",
    ] {
        assert!(message.data.contains(line), "{line}: {}", message.data);
    }
    assert!(message.data.contains("The ledger <that> we read"), "{}", message.data);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_name_it() {
    let login = Some(("user".to_owned(), "pass".to_owned()));
    let (store, server) =
        (memory().await, MailReceiver::start(MailOptions { login, ..MailOptions::default() }).await.unwrap());
    let url = format!("smtp://{}", server.addr());
    let alerts =
        Alerts::new(&[mail(&url, Some(("user", TOKEN)), false, None)], Arc::clone(&store), Duration::from_secs(60))
            .unwrap();
    raise(&store, &alerts, finding("a")).await;
    assert_eq!(alerts.deliver(Duration::from_secs(10)).await, 0);
    let error = store.outbox_counts().await.unwrap()[0].last_error.clone().unwrap();
    assert!(
        error.starts_with(&format!("the mail server {} did not take", server.addr())) && !error.contains(TOKEN),
        "{error}"
    );
}

#[tokio::test]
async fn mail_in_the_clear_goes_to_loopback_only() {
    let store = memory().await;
    let made = |url: &str| Alerts::new(&[mail(url, None, false, None)], Arc::clone(&store), Duration::from_secs(60));
    assert!(made("imap://mail.example.com").is_err());
    assert!(made("smtp://mail.example.com").is_ok());
    let no_ca = mail("smtps://mail.example.com", None, false, Some(b"-----BEGIN PUBLIC KEY-----".to_vec()));
    assert!(matches!(
        Alerts::new(&[no_ca], Arc::clone(&store), Duration::from_secs(60)),
        Err(AlertsError::Mail { .. })
    ));
    let protection = |url: &str, plain| {
        let url = url.parse().unwrap();
        super::mail::Server { url: &url, login: None, plain, ca_pem: None }.protection()
    };
    assert_eq!(protection("smtp://mail.example.com", false), Protection::StartTls);
    assert_eq!(protection("smtp://127.0.0.1.example.com", false), Protection::StartTls);
    assert_eq!(protection("smtps://mail.example.com", true), Protection::Implicit);
    assert_eq!(protection("smtps://localhost", false), Protection::Implicit);
    assert_eq!(protection("smtp://mail.example.com", true), Protection::Plain);
    assert_eq!(protection("smtp://localhost:25", false), Protection::Plain);
    assert_eq!(protection("smtp://127.0.0.1:25", false), Protection::Plain);
    assert_eq!(protection("smtp://128.0.0.1:25", false), Protection::StartTls);
    assert_eq!(protection("smtp://[::1]:25", false), Protection::Plain);
}

#[tokio::test]
async fn a_server_that_should_speak_tls_and_does_not_gets_no_mail() {
    let (store, server) = (memory().await, MailReceiver::start(MailOptions::default()).await.unwrap());
    // With a CA of its own even a server on this machine must speak TLS.
    let ca = SandboxCa::start(CaOptions::default()).await.unwrap();
    let config = mail(&format!("smtp://{}", server.addr()), None, false, Some(ca.chain_pem().into_bytes()));
    let alerts = Alerts::new(&[config], Arc::clone(&store), Duration::from_secs(60)).unwrap();
    raise(&store, &alerts, finding("a")).await;
    assert_eq!(alerts.deliver(Duration::from_secs(15)).await, 0);
    assert!(server.received().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_reads_the_alert_and_sees_nothing_of_our_environment() {
    let (store, folder) = (memory().await, tempfile::tempdir().unwrap());
    let out = folder.path().join("alert.json");
    let script = "cat > \"$OUT\"; env > \"$OUT.env\"";
    let env = BTreeMap::from([("OUT".to_owned(), out.display().to_string())]);
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let configs = [config("command", SinkKind::Command { argv, env })];
    let alerts = Alerts::new(&configs, Arc::clone(&store), Duration::from_secs(60)).unwrap();
    raise(&store, &alerts, finding("a")).await;
    assert_eq!(alerts.deliver(Duration::from_secs(10)).await, 1);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(json["finding"]["kind"], "state_lost");
    let seen = std::fs::read_to_string(folder.path().join("alert.json.env")).unwrap();
    assert!(!seen.contains("CARGO"), "{seen}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_that_fails_reads_nothing_or_does_not_exist_is_tried_again() {
    for (argv, why) in [
        (vec!["sh", "-c", "exit 3"], "exit status: 3"),
        (vec!["/no/such/program-of-ours", TOKEN], "could not be started"),
        (vec!["true"], ""),
    ] {
        let store = memory().await;
        let argv = argv.into_iter().map(str::to_owned).collect();
        let configs = [config("command", SinkKind::Command { argv, env: BTreeMap::new() })];
        let alerts = Alerts::new(&configs, Arc::clone(&store), Duration::from_secs(60)).unwrap();
        raise(&store, &alerts, finding("a")).await;
        assert_eq!(alerts.deliver(Duration::from_secs(10)).await, u64::from(why.is_empty()));
        let counts = store.outbox_counts().await.unwrap();
        let error = counts.first().and_then(|count| count.last_error.clone()).unwrap_or_default();
        assert!(error.contains(why) && !error.contains(TOKEN), "{error}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_printed_holds_a_token() {
    let (store, receiver) = (memory().await, Http::start().await);
    let url = SecretString::from(format!("{}/{TOKEN}?key={TOKEN}", receiver.url()));
    let gone = SecretString::from(format!("http://127.0.0.1:1/{TOKEN}?key={TOKEN}"));
    let secret = || SecretString::from(TOKEN);
    let kinds = [
        SinkKind::Webhook { url: url.clone(), secret: secret(), ca_pem: None },
        SinkKind::Slack { url: url.clone(), ca_pem: None },
        SinkKind::PagerDuty { url: gone.clone(), routing_key: secret(), ca_pem: None },
        SinkKind::Alertmanager { url: gone, ca_pem: None },
        SinkKind::Webhook { url, secret: secret(), ca_pem: None },
    ];
    receiver.answer_next(500, u32::MAX);
    for (index, kind) in kinds.into_iter().enumerate() {
        let configs = [config(&format!("sink{index}"), kind)];
        let alerts = Alerts::new(&configs, Arc::clone(&store), Duration::from_secs(60)).unwrap();
        raise(&store, &alerts, finding(&index.to_string())).await;
        alerts.deliver(Duration::from_secs(10)).await;
        let counts = store.outbox_counts().await.unwrap();
        let error = counts.iter().find(|c| c.sink == configs[0].name).unwrap().last_error.clone().unwrap();
        assert!(error.contains("127.0.0.1") && !error.contains(TOKEN), "{error}");
    }
    for bad in [format!("not a url {TOKEN}"), format!("ftp://x/{TOKEN}"), format!("https://user:{TOKEN}@x/")] {
        let configs = [config("bad", SinkKind::Slack { url: SecretString::from(bad), ca_pem: None })];
        let error = Alerts::new(&configs, Arc::clone(&store), Duration::from_secs(60)).err().unwrap();
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
}

#[tokio::test]
async fn two_sinks_of_one_name_are_refused() {
    let (store, receiver) = (memory().await, Http::start().await);
    let configs = [webhook("hook", &receiver), webhook("hook", &receiver)];
    assert!(matches!(Alerts::new(&configs, store, Duration::from_secs(60)), Err(AlertsError::Twice(_))));
}
