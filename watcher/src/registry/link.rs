//! `Link: …; rel="next"`: where the next page is; pure.

use url::Url;

/// The next page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// This was the last page.
    None,
    /// There, on the same host.
    Page(Url),
    /// The registry names a page that we do not ask for: another host, or no URL. What it holds is unknown.
    Elsewhere,
}

/// Reads the `Link` header of an answer from `here`.
pub(super) fn next(link: Option<&str>, here: &Url) -> Next {
    let Some(target) = link.and_then(next_target) else { return Next::None };
    match here.join(target) {
        Ok(url) if url.origin() == here.origin() && url.username().is_empty() && url.password().is_none() => {
            Next::Page(url)
        }
        _ => Next::Elsewhere,
    }
}

/// The target of the first link with the relation `next`.
fn next_target(mut rest: &str) -> Option<&str> {
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, more) = after.split_once('<').map_or((after, ""), |(p, _)| (p, &after[p.len()..]));
        let is_next = parameters.split([';', ',']).filter_map(|p| p.split_once('=')).any(|(name, value)| {
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target);
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(link: &str) -> Next {
        next(Some(link), &Url::parse("https://r.example/v2/a/tags/list?n=2").expect("a URL"))
    }

    #[test]
    fn the_next_page_is_found_in_every_spelling() {
        for link in [
            r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
            r#"<https://r.example/v2/a/tags/list?n=2&last=b>;rel=next"#,
            r#"</x>; rel="prev", </v2/a/tags/list?n=2&last=b>; title="a"; rel="last next""#,
            r#"<list?n=2&last=b>; REL=NEXT"#,
        ] {
            let page = Url::parse("https://r.example/v2/a/tags/list?n=2&last=b").expect("a URL");
            assert_eq!(read(link), Next::Page(page), "{link}");
        }
    }

    #[test]
    fn a_page_on_another_host_is_unknown_and_not_the_end() {
        for link in [
            "<https://evil.example/v2/>; rel=next",
            "<http://r.example/v2/>; rel=next",
            "<//evil.example/>; rel=next",
            "<https://u:p@r.example/>; rel=next",
            "<http://[>; rel=next",
        ] {
            assert_eq!(read(link), Next::Elsewhere, "{link}");
        }
    }

    #[test]
    fn without_a_next_link_this_was_the_last_page() {
        for link in ["", "</x>; rel=prev", "next", "</x", "</x>", "<", "<>; rel=\"nextish\""] {
            assert_eq!(read(link), Next::None, "{link}");
        }
    }
}
