//! The `[registry."HOST"]` tables, and proxies wherever the file names one.

use bundle::RegistryHost;
use outbound::Proxy;
use toml::Spanned;
use url::Url;

use crate::config::file::{File, RegistryTable};
use crate::config::{Problems, host_spelling};

pub(super) fn check(file: &File, problems: &mut Problems) {
    for (n, (host, table)) in file.registry.iter().enumerate() {
        let same = file.registry.keys().take(n).find(|earlier| host_spelling(earlier) == host_spelling(host));
        if let Some(same) = same {
            problems.note(
                table.span(),
                format!("[registry.\"{host}\"] and [registry.\"{same}\"] are one registry"),
                "keep one of the two tables",
            );
        }
        proxied(host, table.get_ref(), problems);
    }
    for (origin, table) in &file.log {
        let (label, log) = (format!("[log.\"{origin}\"]"), table.get_ref());
        if let Some(proxy) = &log.proxy
            && written(&label, proxy, problems)
            && let Some(read_url) = &log.read_url
            && let Some(Err(why)) = Url::parse(read_url.get_ref()).ok().map(|url| Proxy::admits(&url))
        {
            let what = format!("{label} proxy: no proxy is asked for {}: {why}", read_url.get_ref());
            problems.note(proxy.span(), what, "remove proxy, or read the log from elsewhere");
        }
    }
    for (name, table) in &file.sigstore {
        if let Some(proxy) = &table.get_ref().proxy {
            written(&format!("[sigstore.{name}]"), proxy, problems);
        }
    }
}

/// Notes a proxy that is not written as one; answers whether it is.
fn written(label: &str, proxy: &Spanned<String>, problems: &mut Problems) -> bool {
    let parsed = proxy.get_ref().parse::<Proxy>();
    if let Err(error) = &parsed {
        problems.note(
            proxy.span(),
            format!("{label} proxy: {error}"),
            "write it like \"http://proxy.example.com:3128\"; it is asked for tunnels (CONNECT) only",
        );
    }
    parsed.is_ok()
}

fn proxied(host: &str, table: &RegistryTable, problems: &mut Problems) {
    let Some(proxy) = &table.proxy else { return };
    let label = format!("[registry.\"{host}\"]");
    if !written(&label, proxy, problems) {
        return;
    }
    if table.plain_http {
        problems.note(
            proxy.span(),
            format!("{label} has plain_http and a proxy, which is asked for tunnels to https hosts only"),
            "remove one of the two",
        );
        return;
    }
    let url = host.parse::<RegistryHost>().ok().and_then(|host| Url::parse(&format!("https://{host}/")).ok());
    if let Some(Err(why)) = url.map(|url| Proxy::admits(&url)) {
        problems.note(
            proxy.span(),
            format!("{label} proxy: no proxy is asked for {host}: {why}"),
            "remove proxy, or name the registry as others reach it",
        );
    }
}
