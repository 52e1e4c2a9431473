//! The tokenizer, held against serde_json.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

/// Every token as text, and whether the document was taken.
fn told(pieces: &[&[u8]]) -> Result<Vec<String>, NotJson> {
    let mut all = Vec::new();
    let mut tokenizer = Tokenizer::new();
    let mut tell = |token: Token<'_>| all.push(format!("{token:?}"));
    for piece in pieces {
        tokenizer.feed(piece, &mut tell)?;
    }
    tokenizer.finish(&mut tell)?;
    Ok(all)
}

/// What serde_json reads, as the tokens that it must have been.
fn tokens_of(value: &Value, all: &mut Vec<String>) {
    let mut push = |token: Token<'_>| all.push(format!("{token:?}"));
    match value {
        Value::Null => push(Token::Null),
        Value::Bool(_) | Value::Number(_) => push(Token::Other),
        Value::String(text) => push(Token::Text(Some(text))),
        Value::Array(items) => {
            push(Token::Begin(Bracket::Array));
            items.iter().for_each(|item| tokens_of(item, all));
            all.push(format!("{:?}", Token::End));
        }
        Value::Object(members) => {
            push(Token::Begin(Bracket::Object));
            for (name, value) in members {
                all.push(format!("{:?}", Token::Name(Some(name))));
                tokens_of(value, all);
            }
            all.push(format!("{:?}", Token::End));
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same text with every character written as an escape.
fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

#[test]
fn what_is_json_and_what_is_not_is_as_serde_json_says() {
    for document in [
        "null",
        " true ",
        "false\n",
        "0",
        "-0",
        "-0.0",
        "10",
        "1e5",
        "1E+5",
        "1e-5",
        "0.5e10",
        "[]",
        "{}",
        "[1,2]",
        "\"\"",
        "\"a\\n\"",
        "[[],{}]",
        "{\"a\":{\"b\":[null]}}",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\t[ 1 , 2 ]\r\n",
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,]",
        "{",
        "}",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:2}",
        "{\"a\" 1}",
        "1 2",
        "[] []",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "\"a\u{0}b\"",
        "\u{feff}[]",
        "'a'",
        "NaN",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,,\"b\":2}",
        "//",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "1.5.5",
        "1-1",
        "0x1",
    ] {
        let wanted = serde_json::from_str::<IgnoredAny>(document).is_ok();
        assert_eq!(told(&[document.as_bytes()]).is_ok(), wanted, "{document:?}");
        let single: Vec<&[u8]> = document.as_bytes().chunks(1).collect();
        assert_eq!(told(&single), told(&[document.as_bytes()]), "{document:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(told(&[nested(DEPTH_MAX).as_bytes()]).is_ok());
    assert!(told(&[nested(DEPTH_MAX + 1).as_bytes()]).is_err());
    assert!(told(&["[".repeat(1 << 20).as_bytes()]).is_err());
    assert!(told(&["{\"a\":".repeat(1 << 20).as_bytes()]).is_err());
}

#[test]
fn long_text_is_checked_and_not_kept() {
    let text = |text: String| told(&[format!("\"{text}\"").as_bytes()]);
    assert_eq!(text("<".repeat(TEXT_MAX_BYTES)).map(|all| all[0].len() > TEXT_MAX_BYTES), Ok(true));
    for long in ["<".repeat(TEXT_MAX_BYTES + 1), "\\u003c".repeat(TEXT_MAX_BYTES + 1), "é".repeat(TEXT_MAX_BYTES)] {
        assert_eq!(text(long), Ok(vec!["Text(None)".to_owned()]));
    }
    let mut tokenizer = Tokenizer::new();
    let mut tell = |token: Token<'_>| assert_eq!(token, Token::Name(None));
    tokenizer.feed(b"{\"", &mut |_| {}).expect("an object begins");
    for _ in 0..64 {
        tokenizer.feed(&[b'a'; 65_536], &mut tell).expect("text");
        tokenizer.feed(&b"\\n\\u0041".repeat(8_192), &mut tell).expect("escapes");
    }
    assert!(tokenizer.text.bytes.capacity() <= 2 * TEXT_MAX_BYTES, "{}", tokenizer.text.bytes.capacity());
    tokenizer.feed(b"\"", &mut tell).expect("the name ends");
}

#[test]
fn text_that_is_not_unicode_is_not_told() {
    for body in [
        &b"\"\xff\""[..],
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\\ud800\"",
        b"\"\\ud800x\"",
        b"\"\\ud800\\n\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\ud800\"",
        b"\"\\ud800\\u0041\"",
    ] {
        assert_eq!(told(&[body]), Ok(vec!["Text(None)".to_owned()]), "{body:?}");
    }
}

proptest! {
    #[test]
    fn any_document_in_any_pieces_is_read_as_serde_json_reads_it(
        value in any_value(), pretty in any::<bool>(), size in 1usize..40
    ) {
        let document = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let document = document.expect("JSON");
        let mut wanted = Vec::new();
        tokens_of(&value, &mut wanted);
        let pieces: Vec<&[u8]> = document.as_bytes().chunks(size).collect();
        prop_assert_eq!(told(&pieces), Ok(wanted));
    }

    #[test]
    fn escapes_mean_what_they_mean_to_serde_json(text in any::<String>(), size in 1usize..9) {
        let document = format!("\"{}\"", escaped(&text));
        let pieces: Vec<&[u8]> = document.as_bytes().chunks(size).collect();
        let read: String = serde_json::from_str(&document).expect("JSON");
        prop_assert_eq!(told(&pieces), Ok(vec![format!("{:?}", Token::Text(Some(&read)))]));
    }

    #[test]
    fn a_damaged_document_is_taken_or_refused_as_by_serde_json(
        value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let mut document = serde_json::to_vec(&value).expect("JSON");
        let at = at.index(document.len());
        if cut { document.truncate(at) } else { document[at] = byte }
        let wanted = serde_json::from_slice::<IgnoredAny>(&document).is_ok();
        prop_assert_eq!(told(&[&document]).is_ok(), wanted, "{}", String::from_utf8_lossy(&document));
    }

    #[test]
    fn bytes_that_look_like_json_are_taken_or_refused_as_by_serde_json(
        document in r#"[\[\]{}:,"\\ntruefals0-9.eE+ -]{0,24}"#
    ) {
        let wanted = serde_json::from_str::<IgnoredAny>(&document).is_ok();
        prop_assert_eq!(told(&[document.as_bytes()]).is_ok(), wanted, "{}", document);
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..512), size in 1usize..40) {
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        let _ = told(&pieces);
    }
}
