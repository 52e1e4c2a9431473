//! What arrives, and what does not while a receiver is down.

use super::*;
use crate::testing::ask;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_request_is_kept_with_its_headers_unless_it_is_refused() {
    let receiver = AlertReceiver::start(0).await.unwrap();
    let send =
        async |body: &str| ask(receiver.addr(), Method::POST, "/hook?a=1", &[("x-one", "two")], body.to_owned()).await;
    assert_eq!(send(r#"{"n":1}"#).await.unwrap().status, StatusCode::OK);
    receiver.set_down(true);
    assert!(send("down").await.is_none());
    receiver.set_down(false);
    receiver.set_status(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(send("refused").await.unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    receiver.set_status(StatusCode::NO_CONTENT);
    assert_eq!(send("last").await.unwrap().status, StatusCode::NO_CONTENT);
    let received = receiver.wait_for(2, SOON).await;
    assert_eq!(received.len(), 2);
    assert_eq!((received[0].path.as_str(), received[0].header("x-one")), ("/hook?a=1", "two"));
    assert_eq!(received[0].json()["n"], 1);
    assert_eq!(received[1].body, "last");
    assert_eq!(receiver.wait_for(3, Duration::from_millis(20)).await.len(), 2);
}

/// Sends lines one after another, each after the answer to the one before; returns all answers.
async fn talk(addr: SocketAddr, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut answers = String::new();
    let mut buffer = [0; 1024];
    for line in std::iter::once(&"").chain(lines) {
        let _ = stream.write_all(line.as_bytes()).await;
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => answers.push_str(&String::from_utf8_lossy(&buffer[..length])),
            _ => break,
        }
    }
    answers
}

const LETTER: &str = "Subject: alarm\r\n\r\nfirst\r\n..second\r\n.\r\n";

#[tokio::test]
async fn a_mail_is_kept_with_its_envelope() {
    let mail = MailReceiver::start(MailOptions::default()).await.unwrap();
    let lines = [
        "EHLO test\r\n",
        "MAIL FROM:<us@example.com> BODY=8BITMIME\r\n",
        "RCPT TO:<a@example.com>\r\n",
        "RCPT TO:<b@example.com>\r\n",
        "DATA\r\n",
        LETTER,
        "QUIT\r\n",
    ];
    let answers = talk(mail.addr(), &lines).await;
    assert!(answers.contains("354 ") && answers.ends_with("221 2.0.0 bye\r\n"), "{answers}");
    let received = mail.wait_for(1, SOON).await;
    assert_eq!(received[0].from, "us@example.com");
    assert_eq!(received[0].to, ["a@example.com", "b@example.com"]);
    assert_eq!(received[0].data, "Subject: alarm\r\n\r\nfirst\r\n.second\r\n");
}

#[tokio::test]
async fn a_mail_server_with_a_login_asks_for_it() {
    let login = Some(("ann".to_owned(), "secret".to_owned()));
    let mail = MailReceiver::start(MailOptions { port: 0, login }).await.unwrap();
    let envelope = ["MAIL FROM:<us@example.com>\r\n", "RCPT TO:<a@example.com>\r\n", "DATA\r\n"];
    let refused = talk(mail.addr(), &[&["EHLO test\r\n"], &envelope[..]].concat()).await;
    assert!(refused.contains("AUTH PLAIN") && refused.contains("530 5.7.0"), "{refused}");
    for (password, accepted) in [("wrong", false), ("secret", true)] {
        let auth = format!(
            "AUTH PLAIN {}\r\n",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("\0ann\0{password}"),)
        );
        let answers = talk(mail.addr(), &[&["EHLO test\r\n", &auth], &envelope[..], &[LETTER]].concat()).await;
        assert_eq!(answers.contains("235 2.7.0"), accepted, "{answers}");
    }
    assert_eq!(mail.received().len(), 1);
}

#[tokio::test]
async fn a_mail_server_that_is_down_does_not_greet() {
    let mail = MailReceiver::start(MailOptions::default()).await.unwrap();
    mail.set_down(true);
    assert_eq!(talk(mail.addr(), &["EHLO test\r\n"]).await, "");
    mail.set_down(false);
    assert!(talk(mail.addr(), &["EHLO test\r\n"]).await.starts_with("220 "));
}
