//! The stock verifiers, asked as the issue asks them and as `sealwatch explain` tells a person to ask them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::peers::{cosign, must, peer, run};
use crate::scene::{Rekor, Scene};

/// The cosigns that read the bundle of an image that has both formats.
const READ_BUNDLES: [&str; 2] = ["cosign-3", "cosign-2"];

/// What cosign says when it has checked the log. Of a bundle it says so even where it was told not to check: that it did
/// is proved by `stock_cosign_refuses_our_signatures_where_another_log_is_trusted`.
pub(crate) const LOG_CHECKED: &str = "Existence of the claims in the transparency log was verified offline";

/// What a verifier said.
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
    pub(crate) text: String,
    question: String,
}

impl Verdict {
    pub(crate) fn new(question: String, output: &Output) -> Self {
        let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Self { accepted: output.status.success(), text, question }
    }

    /// It must have accepted, the log checked or not as expected.
    pub(crate) fn expect_accepted(&self, log_checked: bool) {
        assert!(self.accepted, "{} refused:\n{}", self.question, self.text);
        assert_eq!(self.text.contains(LOG_CHECKED), log_checked, "{}: the log:\n{}", self.question, self.text);
    }

    /// It must have refused, for one of these reasons: a verifier that could not start refuses nothing.
    pub(crate) fn expect_refused(&self, reasons: &[&str]) {
        assert!(!self.accepted, "{} accepted:\n{}", self.question, self.text);
        assert!(
            reasons.iter().any(|r| self.text.contains(r)),
            "{}: refused, but not for {reasons:?}:\n{}",
            self.question,
            self.text
        );
    }
}

/// Why cosign refuses the signature of another key: by format and by version the words differ.
pub(crate) const ANOTHER_KEY: [&str; 4] = [
    "invalid signature when validating ASN.1 encoded signature",
    "no matching signatures",
    "no matching attestations",
    "could not verify envelope",
];

/// A question of the issue: the flags that this version needs for this format with this log.
pub(crate) struct Question {
    pub(crate) version: &'static str,
    pub(crate) legacy: bool,
    flags: &'static [&'static str],
    log_key: bool,
    pub(crate) log_checked: bool,
}

/// The questions of the issue for a log. Names of files are those of `Scene`.
pub(crate) fn questions(rekor: Rekor) -> Vec<Question> {
    let question =
        |version, legacy, flags, log_key, log_checked| Question { version, legacy, flags, log_key, log_checked };
    match rekor {
        Rekor::V1 => vec![
            question("cosign-3", false, &["--trusted-root", "trusted_root.json"], false, true),
            question("cosign-2", false, &["--trusted-root", "trusted_root.json"], false, true),
            question("cosign-3", true, &["--new-bundle-format=false"], true, true),
            question("cosign-2.5", true, &[], true, true),
        ],
        Rekor::V2 => vec![
            question(
                "cosign-3",
                false,
                &["--trusted-root", "trusted_root.json", "--use-signed-timestamps"],
                false,
                true,
            ),
            question(
                "cosign-2",
                false,
                &["--trusted-root", "trusted_root.json", "--use-signed-timestamps"],
                false,
                true,
            ),
            question("cosign-3", true, &["--new-bundle-format=false", "--insecure-ignore-tlog"], false, false),
        ],
    }
}

impl Question {
    /// Asks it about an image and a key of the scene.
    pub(crate) fn ask(&self, scene: &Scene, key: &str, image: &str) -> Verdict {
        self.ask_with(scene, key, image, &scene.shared.folder.join("rekor1.pub"))
    }

    /// The same, with another key for the log where the question needs one.
    pub(crate) fn ask_with(&self, scene: &Scene, key: &str, image: &str, log_key: &Path) -> Verdict {
        let mut command = cosign(self.version, scene.path());
        command.args(["verify", "--allow-http-registry", "--key", &format!("{key}.pub")]).args(self.flags).arg(image);
        if self.log_key {
            command.env("SIGSTORE_REKOR_PUBLIC_KEY", log_key);
        }
        let output = run(&mut command);
        Verdict::new(format!("{} verify {} --key {key}.pub {image}", self.version, self.flags.join(" ")), &output)
    }
}

/// `sealwatch kit`; its folder.
pub(crate) fn kit(scene: &Scene) -> PathBuf {
    must(&mut scene.sealwatch(&["kit", "-c", "sealwatch.toml", "--out", "kit"]));
    scene.path().join("kit")
}

/// A command line that `sealwatch explain` prints, with the comment over it.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) comment: String,
    pub(crate) command: String,
}

/// What `sealwatch explain IMAGE` tells a person to type.
pub(crate) fn explained(scene: &Scene, image: &str) -> Vec<Line> {
    let told = must(&mut scene.sealwatch(&["explain", "-c", "sealwatch.toml", image]));
    let (_, after) = told
        .split_once("accepted by (files from `sealwatch kit`):\n")
        .unwrap_or_else(|| panic!("explain names commands:\n{told}"));
    let lines = commented(after);
    assert!(!lines.is_empty(), "explain names commands:\n{told}");
    lines
}

/// The commands of a text, each under the comment that is over it.
fn commented(text: &str) -> Vec<Line> {
    let mut comment = "";
    let mut lines = Vec::new();
    // Headings and empty lines part the sections of the kit.
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("##")) {
        match line.strip_prefix("# ") {
            Some(text) => comment = text,
            None => lines.push(Line { comment: comment.to_owned(), command: line.to_owned() }),
        }
    }
    lines
}

/// What the kit's `verify.txt` tells a person to type, for some image.
pub(crate) fn kit_lines(kit: &Path, image: &str) -> Vec<Line> {
    commented(
        &std::fs::read_to_string(kit.join("verify.txt")).expect("the kit says how to verify").replace("IMAGE", image),
    )
}

impl Line {
    /// Whether it is about the `.sig`.
    pub(crate) fn legacy(&self) -> bool {
        self.comment.starts_with("legacy")
    }

    /// The versions of cosign that the comment names, of those that we have.
    pub(crate) fn versions(&self) -> &'static [&'static str] {
        if self.comment.contains("(cosign 2.6.3 and later, 3.x)") {
            &READ_BUNDLES
        } else if self.comment.contains("(cosign 3.x)") {
            &["cosign-3"]
        } else if self.comment.contains("(cosign 2.x before 2.6.3)") {
            &["cosign-2.5"]
        } else {
            panic!("the comment says which cosign this line is for: {self:?}")
        }
    }

    /// The same line with something in it replaced, which must be in it.
    pub(crate) fn but(&self, what: &str, with: &str) -> Line {
        assert!(self.command.contains(what), "{what} is in {self:?}");
        Line { comment: self.comment.clone(), command: self.command.replace(what, with) }
    }

    /// Types it into a shell in the kit's folder, where `cosign` is that version.
    pub(crate) fn run(&self, scene: &Scene, version: &str) -> Verdict {
        let bin = scene.path().join("bin").join(version);
        if !bin.exists() {
            std::fs::create_dir_all(&bin).expect("a folder");
            std::os::unix::fs::symlink(peer(version), bin.join("cosign")).expect("a link");
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell
            .env_clear()
            .env("PATH", path)
            .env("HOME", scene.path())
            .env("DOCKER_CONFIG", scene.path())
            .env("TUF_ROOT", scene.path().join("tuf"));
        let output = run(shell.current_dir(scene.path().join("kit")).args(["-c", &self.command]));
        Verdict::new(format!("{version}: {}", self.command), &output)
    }
}

/// Podman's verifier under the kit's policy for an identity.
pub(crate) fn podman(scene: &Scene, identity: &str, image: &str, log_key: Option<&Path>) -> Verdict {
    podman_with(scene, identity, identity, image, log_key)
}

/// The same policy, with the key of another identity in it.
pub(crate) fn podman_with(scene: &Scene, identity: &str, key: &str, image: &str, log_key: Option<&Path>) -> Verdict {
    let kit = scene.path().join("kit");
    let text = std::fs::read_to_string(kit.join(format!("{identity}.policy.json"))).expect("the kit has a policy");
    let mut policy: serde_json::Value = serde_json::from_str(&text).expect("a policy is JSON");
    let scopes = policy["transports"]["docker"].as_object_mut().expect("the policy has scopes");
    for demand in scopes.values_mut() {
        assert!(demand[0]["keyPath"].as_str().is_some_and(|path| path.starts_with('/')), "{demand}");
        demand[0]["keyPath"] = kit.join(format!("{key}.pub")).to_str().expect("a path").into();
        if let Some(log_key) = log_key {
            demand[0]["rekorPublicKeyPath"] = log_key.to_str().expect("a path").into();
        }
    }
    let file = scene.path().join("policy.json");
    std::fs::write(&file, policy.to_string()).expect("policy.json");
    let output = run(Command::new(peer("podman-policy"))
        .current_dir(scene.path())
        .arg(&file)
        .arg(&kit)
        .arg(format!("docker://{image}")));
    Verdict::new(format!("podman, {policy}, {image}"), &output)
}
