//! Which credential speaks for a repository.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::*;

/// What is presented, as text.
fn shown(found: Option<Credential>) -> String {
    match found {
        None => "nothing".to_owned(),
        Some(Credential::Basic { username, password }) => format!("{username}:{}", password.expose_secret()),
        Some(Credential::Identity { username, token }) => format!("{username} identity {}", token.expose_secret()),
        Some(Credential::Bearer(token)) => format!("bearer {}", token.expose_secret()),
    }
}

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new(config: &str) -> Self {
        let files = Self { directory: tempfile::tempdir().expect("a directory") };
        files.write(config);
        files
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    fn write(&self, config: &str) {
        std::fs::write(self.config(), config).expect("a file");
    }

    fn helper(&self, name: &str, script: &str) {
        let path = self.directory.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn credentials(&self, host: &str) -> Credentials {
        let host = host.parse().expect("a host");
        Credentials::new(Auth::DockerConfig(self.config()), host).with_helpers_in(self.directory.path())
    }

    async fn find(&self, host: &str, repository: &str) -> Result<String, CredentialsError> {
        let repository = repository.parse().expect("a repository");
        // A script that was written a moment ago can be busy for as long as another test is forking.
        for _ in 0..50 {
            match self.credentials(host).find(&repository).await {
                Err(CredentialsError::HelperStart { source, .. })
                    if source.kind() == std::io::ErrorKind::ExecutableFileBusy =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => return other.map(shown),
            }
        }
        panic!("the helper stays busy")
    }
}

#[tokio::test]
async fn a_file_is_read_as_go_reads_it() {
    let auth = STANDARD.encode("u:a password that is long enough for several lines, as base64 writes it");
    let found = "u:a password that is long enough for several lines, as base64 writes it";
    let wrapped: String = auth.as_bytes().chunks(20).map(|c| String::from_utf8_lossy(c) + "\\r\\n").collect();
    // The last digit of these holds bits that no byte needs.
    let (spare, unpadded) = ("dTpwYQ==".replace("YQ", "YR"), "dTpwYQ");
    for (text, expected) in [
        (String::new(), "nothing"),
        (" \n".to_owned(), "nothing"),
        ("null".to_owned(), "nothing"),
        ("{}".to_owned(), "nothing"),
        (r#"{"auths":null}"#.to_owned(), "nothing"),
        (r#"{"auths":{"r.test":null}}"#.to_owned(), "nothing"),
        (r#"{"auths":{"r.test":{"auth":null}}}"#.to_owned(), "nothing"),
        (r#"{"auths":{},"credsStore":null,"credHelpers":{"r.test":null,"r.test/x":""}}"#.to_owned(), "nothing"),
        (format!(r#"{{"auths":{{"o.test":null,"r.test":{{"auth":"{auth}"}}}},"credHelpers":null}}"#), found),
        (format!(r#"{{"Auths":{{"r.test":{{"AUTH":"{auth}","Email":7}}}},"HttpHeaders":null}}"#), found),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{wrapped}"}}}}}}"#), found),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{spare}"}}}}}}"#), "u:pa"),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{unpadded}"}}}}}}"#), "u:pa"),
        // The last counts, maps grow, null takes nothing from a text.
        (format!(r#"{{"auths":{{"r.test":{{"auth":"eDp5","Auth":"{auth}","auth":null}}}}}}"#), found),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{auth}"}}}},"auths":{{"s.test":{{}}}}}}"#), found),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{auth}"}}}},"auths":null}}"#), "nothing"),
        (format!(r#"{{"auths":{{"r.test":{{"auth":"{auth}"}}}}}} trailing"#), found),
    ] {
        let files = Files::new(&text);
        assert_eq!(files.find("r.test", "team/app").await.expect("readable"), expected, "{text}");
    }
    for text in ["[]", "7", "{", r#"{"auths":[]}"#, r#"{"auths":{"r.test":[]}}"#, r#"{"auths":{"r.test":{"auth":7}}}"#]
    {
        let error = Files::new(text).find("r.test", "a").await.expect_err(text);
        assert!(matches!(error, CredentialsError::Malformed { .. }), "{text}: {error}");
    }
}

#[tokio::test]
async fn the_longest_key_that_is_a_prefix_of_the_repository_speaks_for_it() {
    let pair = |text: &str| STANDARD.encode(text);
    let files = Files::new(
        &serde_json::json!({ "auths": {
            "reg.example": { "auth": pair("host:1") },
            "reg.example/team": { "auth": pair("team:2") },
            "reg.example/team/app": { "auth": pair("app:3:with:colons").trim_end_matches('=') },
            "https://url.example/v2/": { "username": "u", "password": "p" },
            "https://index.docker.io/v1/": { "auth": pair("hub:4") },
            "port.example:5000": { "registrytoken": "finished" },
            "empty.example": {},
            "id.example": { "auth": pair("x:"), "identitytoken": "refresh" },
            "nul.example": { "auth": pair("n:5\0\0") },
            "deep.example/team/v2": { "auth": pair("deep:6") },
            "https://deep.example/other/v1/": { "auth": pair("deep:7") },
            "named.example/v2": { "auth": pair("named:8") },
            "slash.example/v1/": { "auth": pair("slash:9") },
            "https://bare.example/v2": { "auth": pair("bare:10") },
        }, "HttpHeaders": { "User-Agent": "x" } })
        .to_string(),
    );
    for (host, repository, expected) in [
        ("reg.example", "other", "host:1"),
        ("reg.example", "team/other", "team:2"),
        ("reg.example", "teams/other", "host:1"),
        ("reg.example", "team/app", "app:3:with:colons"),
        ("reg.example", "team/app/deeper", "app:3:with:colons"),
        ("reg.example", "team/application", "team:2"),
        ("url.example", "a", "u:p"),
        ("docker.io", "library/alpine", "hub:4"),
        ("registry-1.docker.io", "library/alpine", "hub:4"),
        ("port.example:5000", "a", "bearer finished"),
        ("port.example", "a", "nothing"),
        ("empty.example", "a", "nothing"),
        ("id.example", "a", "x identity refresh"),
        ("nul.example", "a", "n:5"),
        ("reg.example.evil.example", "team/app", "nothing"),
        // Only directly after the host is it the API's path.
        ("deep.example", "team/v2/app", "deep:6"),
        ("deep.example", "team/app", "nothing"),
        ("deep.example", "other/v1", "deep:7"),
        ("deep.example", "other/app", "nothing"),
        ("named.example", "v2/app", "named:8"),
        ("named.example", "app", "nothing"),
        ("slash.example", "app", "slash:9"),
        ("bare.example", "app", "bare:10"),
    ] {
        let found = files.find(host, repository).await.expect("readable");
        assert_eq!(found, expected, "{host}/{repository}");
    }
}

#[tokio::test]
async fn helpers_are_run_and_the_most_specific_entry_wins() {
    let files = Files::new(
        &serde_json::json!({
            "auths": {
                "helped.example": { "auth": STANDARD.encode("file:1") },
                "helped.example/team": { "auth": STANDARD.encode("team:2") },
                "stored.example": {},
            },
            "credHelpers": { "helped.example": "one" },
            "credsStore": "store",
        })
        .to_string(),
    );
    let answer = |user: &str| {
        // Answers with the server that it was asked for as secret.
        format!(
            r#"read -r server; printf '{{"ServerURL":"%s","Username":"{user}","Secret":"for %s"}}' "$server" "$server""#
        )
    };
    files.helper("one", &answer("one"));
    files.helper("store", &answer("<token>"));
    for (host, repository, expected) in [
        ("helped.example", "a", "one:for helped.example"),
        ("helped.example", "team/app", "team:2"),
        ("stored.example", "a", "<token> identity for stored.example"),
        ("docker.io", "library/alpine", "<token> identity for https://index.docker.io/v1/"),
    ] {
        let found = files.find(host, repository).await.expect("an answer");
        assert_eq!(found, expected, "{host}/{repository}");
    }
}

#[tokio::test]
async fn a_helper_that_knows_nothing_is_not_one_that_failed() {
    let files = Files::new(r#"{"credsStore":"none","credHelpers":{"b.example":"broken","c.example":"chatty"}}"#);
    files.helper("none", "echo 'credentials not found in native keychain'; exit 1");
    files.helper("broken", "echo s3cret; echo s3cret >&2; exit 3");
    files.helper("chatty", "echo s3cret");
    assert_eq!(files.find("a.example", "a").await.expect("an answer"), "nothing");
    let broken = files.find("b.example", "a").await.expect_err("it failed");
    assert!(matches!(broken, CredentialsError::HelperFailed { status: 3, .. }), "{broken}");
    let chatty = files.find("c.example", "a").await.expect_err("no JSON");
    assert!(matches!(chatty, CredentialsError::HelperAnswer { .. }), "{chatty}");
    assert!(!format!("{broken} {broken:?} {chatty} {chatty:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_helper_that_hangs_is_ended() {
    let files = Files::new("{}");
    files.helper("slow", "sleep 60");
    let error = loop {
        let wait = Duration::from_millis(200);
        match helper::get_within("slow", "a.example", Some(files.directory.path()), wait).await {
            Err(CredentialsError::HelperStart { source, .. })
                if source.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            other => break other.map(shown).expect_err("it hangs"),
        }
    };
    assert!(matches!(error, CredentialsError::HelperTimeout { .. }), "{error}");
}

#[tokio::test]
async fn a_helpers_name_cannot_lead_out_of_the_path() {
    for name in ["../evil", "a/b", "a b", ";x", ""] {
        let error = helper::get(name, "a.example", None).await.map(shown).expect_err(name);
        assert!(matches!(error, CredentialsError::HelperName { .. }), "{error}");
        assert!(!error.is_transient());
    }
    let missing = helper::get("no-such-helper-anywhere", "a.example", None).await.map(shown).expect_err("none");
    assert!(matches!(missing, CredentialsError::HelperStart { .. }), "{missing}");
}

#[tokio::test]
async fn a_file_that_changed_is_read_again_and_a_damaged_one_is_not_quoted() {
    let files =
        Files::new(&serde_json::json!({ "auths": { "a.example": { "auth": STANDARD.encode("u:1") } } }).to_string());
    let credentials = files.credentials("a.example");
    let repository = "a".parse().expect("a repository");
    assert_eq!(shown(credentials.find(&repository).await.expect("readable")), "u:1");
    let longer = serde_json::json!({ "auths": { "a.example": { "auth": STANDARD.encode("u:rotated") } } });
    files.write(&longer.to_string());
    assert_eq!(shown(credentials.find(&repository).await.expect("readable")), "u:rotated");
    for damaged in [r#"{"auths":{"a.example":"s3cret"}}"#, r#"{"auths":{"a.example":{"auth":"s3cret"}}}"#, "s3cret"] {
        files.write(damaged);
        let error = credentials.find(&repository).await.map(shown).expect_err(damaged);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
    std::fs::remove_file(files.config()).expect("removed");
    let error = credentials.find(&repository).await.map(shown).expect_err("gone");
    assert!(matches!(error, CredentialsError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_helpers_answer_is_remembered_until_something_is_refused() {
    let files = Files::new(r#"{"credsStore":"count"}"#);
    files.helper(
        "count",
        r#"echo x >> "$0.runs"; printf '{"Username":"u","Secret":"%s"}' "$(wc -l < "$0.runs" | tr -d ' ')""#,
    );
    files.find("a.example", "a").await.expect("it is not busy any more");
    let credentials = files.credentials("a.example");
    let repository = "a".parse().expect("a repository");
    for (forget, expected) in [(false, "u:2"), (false, "u:2"), (true, "u:3"), (false, "u:3")] {
        if forget {
            credentials.forget();
        }
        assert_eq!(shown(credentials.find(&repository).await.expect("an answer")), expected);
    }
}
