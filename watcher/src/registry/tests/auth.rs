//! Challenges, tokens, and where credentials never go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::fake::{Asked, built, empty, json};
use super::referrers::attach;
use super::*;

const PASSWORD: &str = "s3cret-password";
const IDENTITY_TOKEN: &str = "s3cret-identity-token";

fn basic() -> Auth {
    Auth::Basic { username: "ci".to_owned(), password: PASSWORD.into() }
}

fn basic_header() -> String {
    format!("Basic {}", STANDARD.encode(format!("ci:{PASSWORD}")))
}

/// A token service under `/token` of the same host, and a registry that wants its tokens.
struct Tokens {
    /// Where the challenge sends clients.
    realm: String,
    /// What the service takes as `Authorization`; `None` = anybody.
    takes: Option<String>,
}

fn guard(fake: &Fake, tokens: Tokens) {
    let mut issued = 0;
    fake.store().intercept(move |asked, _| {
        if asked.path.starts_with("/token") {
            return Some(if tokens.takes.is_none() || asked.authorization == tokens.takes {
                issued += 1;
                let token = format!("s3cret-token|{}|{issued}", scope_of(asked));
                json(200, &serde_json::json!({ "token": token, "expires_in": 300 }).to_string())
            } else {
                empty(401)
            });
        }
        let access = if asked.method == Method::GET || asked.method == Method::HEAD { "pull" } else { "push" };
        let allowed =
            asked.authorization.as_deref().and_then(|a| a.strip_prefix("Bearer s3cret-token|")).is_some_and(|token| {
                let (scope, _) = token.split_once('|').unwrap_or_default();
                let (repository, actions) = scope.rsplit_once(':').unwrap_or_default();
                repository == "repository:team/app" && actions.split(',').any(|action| action == access)
            });
        if allowed {
            return None;
        }
        let realm = &tokens.realm;
        let challenge = format!(
            r#"Bearer realm="{realm}",service="fake",scope="repository:team/secret:pull,push",error="invalid_token""#
        );
        Some(built(401, &[("www-authenticate", &challenge)], Vec::new()))
    });
}

fn scope_of(asked: &Asked) -> String {
    let url = url::Url::parse(&format!("http://x{}", asked.path)).expect("a URL");
    let scope = |url: &url::Url| url.query_pairs().find(|(k, _)| k == "scope").map(|(_, v)| v.into_owned());
    let form = url::Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&asked.body))).expect("a form");
    scope(&url).or_else(|| scope(&form)).unwrap_or_default()
}

fn here(fake: &Fake) -> Tokens {
    Tokens { realm: format!("http://{}/token", fake.host()), takes: Some(basic_header()) }
}

#[tokio::test]
async fn a_token_is_asked_for_once_per_repository_and_access() {
    let (fake, image) = with_image().await;
    guard(&fake, here(&fake));
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    for _ in 0..3 {
        let found = registry.resolve(&repository(), &tag("v1")).await.expect("an answer");
        assert_eq!(found, Some(image.digest));
    }
    let other: Repository = "team/other".parse().expect("a repository");
    let refused = registry.resolve(&other, &tag("v1")).await.expect_err("a token for another repository");
    assert!(matches!(refused, RegistryError::Unauthorized { .. }), "{refused}");
    let bundle = br#"{"bundle":1}"#;
    let manifest = bundle::oci::referrer_manifest(&image, bundle, "2026-11-21T00:00:00Z");
    registry
        .attach_bundle(&repository(), &image, bundle, &manifest, TagHistory::Unknown)
        .await
        .expect("pushed with a push token");
    let asked: Vec<String> = fake.store().asked.iter().filter(|a| a.path.starts_with("/token")).map(scope_of).collect();
    let of = |name: &str, access: &str| format!("repository:team/{name}:{access}");
    assert_eq!(
        asked,
        // The refused one is asked for afresh once, no more.
        [of("app", "pull"), of("other", "pull"), of("other", "pull"), of("app", "pull,push")]
    );
    let service = &fake.store().asked.iter().find(|a| a.path.starts_with("/token")).expect("asked").path.clone();
    assert!(service.contains("service=fake"), "{service}");
}

#[tokio::test]
async fn a_burst_of_work_fetches_one_token() {
    let (fake, _) = with_image().await;
    guard(&fake, here(&fake));
    let registry = Arc::new(client(RegistryConfig { auth: basic(), ..config(&fake) }));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.resolve(&repository(), &tag("v1")).await.expect("an answer") })
        })
        .collect();
    for task in tasks {
        assert!(task.await.expect("no panic").is_some());
    }
    assert_eq!(fake.store().count(&Method::GET, "/token"), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_early_is_replaced_once() {
    let (fake, _) = with_image().await;
    guard(&fake, here(&fake));
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    registry.resolve(&repository(), &tag("v1")).await.expect("an answer");
    let before = fake.store().count(&Method::GET, "/token");
    let refuse_once = Arc::new(AtomicBool::new(true));
    let realm = format!("http://{}/token", fake.host());
    let flag = refuse_once.clone();
    fake.store().intercept_first(move |asked, _| {
        let refuse = asked.path.contains("/manifests/") && flag.swap(false, Ordering::SeqCst);
        let challenge = format!(r#"Bearer realm="{realm}",service="fake""#);
        refuse.then(|| built(401, &[("www-authenticate", &challenge)], Vec::new()))
    });
    registry.resolve(&repository(), &tag("v1")).await.expect("an answer with a new token");
    assert_eq!(fake.store().count(&Method::GET, "/token"), before + 1);
}

#[tokio::test]
async fn strangers_get_a_token_where_the_service_gives_them_one() {
    let (fake, _) = with_image().await;
    guard(&fake, Tokens { takes: None, ..here(&fake) });
    let registry = registry(&fake);
    assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    assert!(fake.store().asked.iter().all(|a| a.authorization.as_deref().is_none_or(|a| a.starts_with("Bearer"))));
}

#[tokio::test]
async fn a_wrong_password_is_named_without_being_shown() {
    let (fake, _) = with_image().await;
    guard(&fake, Tokens { takes: Some("Basic other".to_owned()), ..here(&fake) });
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    let error = registry.resolve(&repository(), &tag("v1")).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
    assert!(!error.is_transient());
    let shown = format!("{error} {error:?} {registry:?}");
    assert!(shown.contains("team/app") && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_token_service_that_is_down_is_not_a_wrong_password() {
    for (status, transient) in [(503, true), (429, true), (404, false)] {
        let (fake, _) = with_image().await;
        guard(&fake, here(&fake));
        fake.store().intercept_first(move |asked, _| {
            asked.path.starts_with("/token").then(|| built(status, &[("retry-after", "3")], Vec::new()))
        });
        let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
        let error = registry.resolve(&repository(), &tag("v1")).await.expect_err("no token");
        assert_eq!(error.is_transient(), transient, "{error}");
        assert_eq!(error.retry_after().is_some(), transient, "{error}");
        // It never goes on as a stranger.
        assert!(fake.store().asked.iter().all(|a| !a.path.contains("/manifests/")));
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_realm_to_another_host() {
    let (fake, _) = with_image().await;
    let thief = Fake::start().await;
    thief.store().intercept(|_, _| Some(json(200, r#"{"token":"x"}"#)));
    let realm = format!("http://localhost:{}/token", thief.port());
    guard(&fake, Tokens { realm, ..here(&fake) });
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    let error = registry.resolve(&repository(), &tag("v1")).await.expect_err("a realm elsewhere");
    assert!(matches!(error, RegistryError::ForbiddenRealm { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("realm_hosts") && text.contains(&format!("localhost:{}", thief.port())), "{text}");
    assert!(thief.store().asked.is_empty());
}

#[tokio::test]
async fn a_realm_that_the_configuration_names_is_asked() {
    let (fake, _) = with_image().await;
    let service = Fake::start().await;
    let takes = basic_header();
    service.store().intercept(move |asked, _| {
        assert_eq!(asked.authorization.as_deref(), Some(&takes[..]));
        Some(json(200, &format!(r#"{{"access_token":"s3cret-token|{}|0"}}"#, scope_of(asked))))
    });
    guard(&fake, Tokens { realm: format!("http://localhost:{}/token", service.port()), ..here(&fake) });
    for listed in ["localhost".to_owned(), format!("localhost:{}", service.port())] {
        let config = RegistryConfig { auth: basic(), realm_hosts: vec![listed], ..config(&fake) };
        assert!(client(config).resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post_or_else_used_as_a_password() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.json");
    for (posts, method) in [(true, Method::POST), (false, Method::GET)] {
        let (fake, _) = with_image().await;
        let entry = serde_json::json!({ "auths": { fake.host(): {
            "auth": STANDARD.encode("00000000-0000-0000-0000-000000000000:"), "identitytoken": IDENTITY_TOKEN,
        }}});
        std::fs::write(&path, entry.to_string()).expect("a file");
        guard(&fake, here(&fake));
        fake.store().intercept_first(move |asked, _| {
            if !asked.path.starts_with("/token") {
                return None;
            }
            let form = String::from_utf8_lossy(&asked.body).into_owned();
            let good = match asked.method {
                Method::POST if !posts => return Some(empty(405)),
                Method::POST => {
                    form.contains("grant_type=refresh_token")
                        && form.contains("service=fake")
                        && form.contains(&format!("refresh_token={IDENTITY_TOKEN}"))
                        && asked.authorization.is_none()
                }
                _ => {
                    let pair = format!("00000000-0000-0000-0000-000000000000:{IDENTITY_TOKEN}");
                    asked.authorization == Some(format!("Basic {}", STANDARD.encode(pair)))
                }
            };
            let token = format!("s3cret-token|{}|0", scope_of(asked));
            Some(if good { json(200, &format!(r#"{{"access_token":"{token}"}}"#)) } else { empty(400) })
        });
        let registry = client(RegistryConfig { auth: Auth::DockerConfig(path.clone()), ..config(&fake) });
        assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some(), "{method}");
        assert_eq!(
            fake.store().asked.iter().rfind(|a| a.path.starts_with("/token")).map(|a| a.method.clone()),
            Some(method)
        );
    }
}

#[tokio::test]
async fn basic_is_sent_where_it_is_wanted() {
    let (fake, _) = with_image().await;
    let good = basic_header();
    fake.store().intercept(move |asked, _| {
        let challenge = [("www-authenticate", "Basic realm=\"registry\"")];
        (asked.authorization.as_deref() != Some(&good[..])).then(|| built(401, &challenge, Vec::new()))
    });
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    let wrong = Auth::Basic { username: "ci".to_owned(), password: "s3cret-but-wrong".into() };
    for auth in [wrong, Auth::Anonymous] {
        let registry = client(RegistryConfig { auth, ..config(&fake) });
        let before = fake.store().asked.len();
        let error = registry.resolve(&repository(), &tag("v1")).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"));
        // A wrong password is not tried over and over: accounts get locked.
        assert!(fake.store().asked.len() - before <= 2);
    }
}

#[tokio::test]
async fn a_registry_that_challenges_nobody_still_gets_to_know_us() {
    // It shows strangers less, with 404, and says 200 on /v2/.
    let (fake, image) = with_image().await;
    let good = basic_header();
    fake.store().intercept(move |asked, _| {
        (asked.path != "/v2/" && asked.authorization.as_deref() != Some(&good[..])).then(|| empty(404))
    });
    fake.store().referrers_api = true;
    attach(&mut fake.store(), &image, b"{}");
    let registry = client(RegistryConfig { auth: basic(), ..config(&fake) });
    assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    assert_eq!(registry.bundles(&repository(), &image.digest).await.expect("bundles").len(), 1);
}

#[tokio::test]
async fn a_password_rotated_in_the_file_is_used_after_the_next_refusal() {
    let (fake, _) = with_image().await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.json");
    let write = |password: &str| {
        let auth = STANDARD.encode(format!("ci:{password}"));
        std::fs::write(&path, serde_json::json!({ "auths": { fake.host(): { "auth": auth } } }).to_string())
            .expect("a file");
    };
    write("old");
    let wanted = Arc::new(std::sync::Mutex::new("old"));
    let current = wanted.clone();
    fake.store().intercept(move |asked, _| {
        let good = format!("Basic {}", STANDARD.encode(format!("ci:{}", current.lock().expect("no panic"))));
        let challenge = [("www-authenticate", "Basic realm=\"registry\"")];
        (asked.authorization != Some(good)).then(|| built(401, &challenge, Vec::new()))
    });
    let registry = client(RegistryConfig { auth: Auth::DockerConfig(path.clone()), ..config(&fake) });
    assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    *wanted.lock().expect("no panic") = "new";
    write("new");
    assert!(registry.resolve(&repository(), &tag("v1")).await.expect("an answer").is_some());
    std::fs::remove_file(&path).expect("removed");
    let error = registry.resolve(&repository(), &tag("v1")).await.expect_err("no file");
    assert!(matches!(error, RegistryError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("config.json"), "{error}");
}
