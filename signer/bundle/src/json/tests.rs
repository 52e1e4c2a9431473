//! Tests of reading JSON without a tree.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn a_repeated_key_is_refused_at_any_depth_and_however_it_is_spelled() {
    for bad in [
        r#"{"a":1,"a":1}"#,
        r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"\u0061":1,"\u0061":2}"#,
        r#"{"":1,"b":{"c":[{"d":1}]},"":2}"#,
        r#"{"b":{"\n":{"c":1}},"a":[{"\n":1,"x":2,"\n":3}]}"#,
    ] {
        assert!(Json::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    for good in [r#"{"a":{"a":1},"b":{"a":1}}"#, r#"[{"\n":1},{"\n":1},{"a":1,"\n":[{"a":0}]}]"#] {
        assert!(Json::parse(good.as_bytes()).is_ok(), "{good}");
    }
}

#[test]
fn nothing_may_follow_the_document_and_depth_is_limited() {
    assert!(Json::parse(b"{}{}").is_err());
    assert!(Json::parse(b" {} \n").is_ok());
    assert!(Json::parse(b"").is_err());
    assert!(Json::parse("[".repeat(100_000).as_bytes()).is_err());
    let nested = |depth: usize| [("[".repeat(depth)).as_bytes(), "]".repeat(depth).as_bytes()].concat();
    assert!(Json::parse(&nested(120)).is_ok());
    assert!(Json::parse(&nested(200)).is_err());
}

#[test]
fn what_the_ordinary_parser_refuses_is_refused_where_nobody_looks() {
    for bad in
        [&b"\"\xff\""[..], b"{\"x\":\"\xff\"}", br#"{"x":"\ud800"}"#, b"{\"x\":1e999}", b"[01]", b"{\"x\":\"\n\"}"]
    {
        assert!(Json::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        assert!(serde_json::from_slice::<Value>(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn keys_fold_as_go_folds_them() {
    assert!(folds_to("Manife\u{17f}tS", "manifests"));
    assert!(folds_to("\u{212a}ey", "key"));
    assert!(folds_to("größe", "größe"));
    assert!(!folds_to("GRÖSSE", "größe"));
    assert!(!folds_to("layer", "layers"));
}

#[test]
fn a_field_under_another_spelling_is_noticed() {
    let found = |text: &str| {
        Json::parse(text.as_bytes()).unwrap().fields(["layers", "mediaType"]).expect("an object").misspelled()
    };
    assert_eq!(found(r#"{"layers":1,"mediaType":2,"other":3}"#), None);
    assert_eq!(found(r#"{"Layers":1}"#), Some("layers"));
    assert_eq!(found(r#"{"layers":1,"LAYERS":2}"#), Some("layers"));
    assert_eq!(found("{\"layer\u{17f}\":1}"), Some("layers"));
    assert_eq!(found(r#"{"layer\u017f":1}"#), Some("layers"));
    assert_eq!(found(r#"{"mediatype":1}"#), Some("mediaType"));
}

#[test]
fn a_view_gives_what_a_tree_would() {
    let text = r#" {"s":"a\n\u00e9","n": 7 ,"m":-7,"f":2.0,"z":null,"l":[1, {"x":[]} ,"y"],"o":{"k":{"deep":true}},"e\u0061":1} "#;
    let json = Json::parse(text.as_bytes()).unwrap();
    assert_eq!(json.get("s").and_then(Json::text).as_deref(), Some("a\né"));
    assert_eq!(json.get("n").and_then(Json::as_u64), Some(7));
    assert_eq!(json.get("m").and_then(Json::as_i64), Some(-7));
    assert_eq!(json.get("m").and_then(Json::as_u64), None);
    assert_eq!(json.get("f").and_then(Json::as_u64), None);
    assert_eq!(json.get("n").and_then(Json::text), None);
    assert!(json.get("z").is_some_and(Json::is_null));
    assert_eq!(json.get("ea").and_then(Json::as_u64), Some(1));
    assert_eq!(json.get("o").and_then(|o| o.get("k")).map(Json::as_str), Some(r#"{"deep":true}"#));
    assert!(json.get("absent").is_none() && json.get("l").and_then(|l| l.get("x")).is_none());
    let mut items = Vec::new();
    json.get("l")
        .expect("a list")
        .for_each_item(|item| {
            items.push(item.as_str());
            Ok::<_, JsonError>(())
        })
        .unwrap();
    assert_eq!(items, ["1", r#"{"x":[]}"#, r#""y""#]);
    let mut names = Vec::new();
    json.for_each_field(|name, _| {
        names.push(name.into_owned());
        Ok::<_, JsonError>(())
    })
    .unwrap();
    assert_eq!(names, ["s", "n", "m", "f", "z", "l", "o", "ea"]);
}

#[test]
fn an_error_of_a_visitor_ends_the_walk_and_comes_back() {
    #[derive(Debug)]
    enum Ended {
        Here(usize),
        Json,
    }
    impl From<JsonError> for Ended {
        fn from(_: JsonError) -> Self {
            Ended::Json
        }
    }
    let json = Json::parse(b"[0,1,2,3]").unwrap();
    let mut seen = 0;
    let ended = json.for_each_item(|_| {
        seen += 1;
        if seen == 2 { Err(Ended::Here(seen)) } else { Ok(()) }
    });
    assert!(matches!(ended, Err(Ended::Here(2))), "{ended:?}");
    assert_eq!(seen, 2);
    // What is no list has no items, and that is an error too.
    assert!(matches!(Json::parse(b"{}").unwrap().for_each_item(|_| Ok(())), Err(Ended::Json)));
}

#[test]
fn a_capped_list_counts_what_it_does_not_keep() {
    let read = |text: &str| serde_json::from_str::<Capped<u8, 3>>(text).map(|list| (list.items, list.count));
    assert_eq!(read("[]").unwrap(), (vec![], 0));
    assert_eq!(read("[1,2,3]").unwrap(), (vec![1, 2, 3], 3));
    // What is beyond the limit is not even read as an item.
    assert_eq!(read("[1,2,3,{},\"x\"]").unwrap(), (vec![1, 2, 3], 5));
    assert!(read("[1,{}]").is_err());
    assert_eq!(serde_json::to_string(&Capped::<u8, 3>::from(vec![1, 2])).unwrap(), "[1,2]");
}

#[test]
fn what_is_stored_has_no_spaces_but_those_of_strings() {
    let json = Json::parse(b" { \"a b\" : [ 1 ,\n \"\\\" x \\\\\" ] } ").unwrap();
    assert_eq!(StoredJson::of(json).as_str(), r#"{"a b":[1,"\" x \\"]}"#);
}

#[test]
fn strings_are_escaped_as_go_escapes_them() {
    assert_eq!(go_string("a<b>&\u{2028}\u{2029}"), r#""a\u003cb\u003e\u0026\u2028\u2029""#);
    assert_eq!(go_string("\"\\/\n\r\t\u{8}\u{c}\u{1}\u{7f}é"), "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\u{7f}é\"");
}

proptest! {
    #[test]
    fn a_string_as_go_writes_it_is_json(text: String) {
        let quoted = go_string(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).ok(), Some(text));
    }

    #[test]
    fn agrees_with_the_ordinary_parser_on_whatever_it_accepts(bytes: Vec<u8>) {
        if let Ok(json) = Json::parse(&bytes) {
            prop_assert_eq!(json.read::<Value>().ok(), serde_json::from_slice::<Value>(&bytes).ok());
        }
    }

    #[test]
    fn of_documents_without_repeated_keys_it_refuses_none(keys in proptest::collection::btree_set(".{0,6}", 0..12), escaped: bool) {
        let fields: Vec<String> = keys.iter().map(|key| {
            let key = if escaped {
                key.encode_utf16().fold("\"".to_owned(), |text, unit| text + &format!("\\u{unit:04x}")) + "\""
            } else {
                go_string(key)
            };
            format!("{key}:{{\"x\":[0]}}")
        }).collect();
        let text = format!("{{{}}}", fields.join(","));
        prop_assert!(Json::parse(text.as_bytes()).is_ok());
        if let Some(first) = fields.first() {
            let twice = format!("{{{},{first}}}", fields.join(","));
            prop_assert!(Json::parse(twice.as_bytes()).is_err());
        }
    }
}
