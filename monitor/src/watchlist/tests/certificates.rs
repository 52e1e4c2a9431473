//! Certificates with any names, and leaves that hold them. Nobody signed them: whether somebody did is not asked here.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::certificate::oid_der;

pub(super) const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// What a certificate says.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) subjects: Vec<Vec<u8>>,
    pub(super) issuer: Option<String>,
    pub(super) extensions: Vec<(String, String)>,
    pub(super) spki: Option<Vec<u8>>,
}

impl Names {
    /// A URI of GitHub's issuer.
    pub(super) fn of(subject: &str) -> Names {
        Names { issuer: Some(GITHUB.to_owned()), ..Names::default() }.and(subject)
    }

    /// One name more: a mail address if it is one, else a URI.
    pub(super) fn and(mut self, subject: &str) -> Names {
        let tag = if subject.contains("://") { 0x86 } else { 0x81 };
        self.subjects.push(tlv(tag, &[subject.as_bytes()]));
        self
    }

    pub(super) fn by(self, issuer: &str) -> Names {
        Names { issuer: Some(issuer.to_owned()), ..self }
    }

    pub(super) fn by_nobody(self) -> Names {
        Names { issuer: None, ..self }
    }

    pub(super) fn with(mut self, oid: &str, value: &str) -> Names {
        self.extensions.push((oid.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn keyed(self, spki: Vec<u8>) -> Names {
        Names { spki: Some(spki), ..self }
    }

    pub(super) fn tbs(&self) -> Vec<u8> {
        let subjects: Vec<&[u8]> = self.subjects.iter().map(Vec::as_slice).collect();
        let mut extensions = Vec::new();
        if !subjects.is_empty() {
            extensions.push(extension("2.5.29.17", &tlv(0x30, &subjects)));
        }
        let issuer = self.issuer.iter().map(|issuer| ("1.3.6.1.4.1.57264.1.8".to_owned(), issuer.clone()));
        for (oid, value) in issuer.chain(self.extensions.clone()) {
            extensions.push(extension(&oid, &tlv(0x0c, &[value.as_bytes()])));
        }
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let time = tlv(0x17, &[b"261121000000Z"]);
        let empty = tlv(0x30, &[]);
        let key = self.spki.clone().unwrap_or_else(|| spki(9));
        tlv(
            0x30,
            &[
                &[2, 1, 1],
                &empty,
                &empty,
                &tlv(0x30, &[&time, &time]),
                &empty,
                &key,
                &tlv(0xa3, &[&tlv(0x30, &extensions)]),
            ],
        )
    }

    fn certificate(&self) -> Vec<u8> {
        tlv(0x30, &[&self.tbs(), &tlv(0x30, &[]), &[3, 1, 0]])
    }
}

fn extension(oid: &str, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x06, &[&oid_der(oid).unwrap()]), &tlv(0x04, &[value])])
}

pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag, 0x82, (content.len() >> 8) as u8, content.len() as u8];
    der.extend(content);
    der
}

/// A key of Ed25519, by a number.
pub(super) fn spki(number: u8) -> Vec<u8> {
    [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &[number; 32]].concat()
}

pub(super) fn leaf(names: &Names) -> Vec<u8> {
    rekor_v2("x509Certificate", &names.certificate())
}

pub(super) fn leaf_of_key(spki: &[u8]) -> Vec<u8> {
    rekor_v2("publicKey", spki)
}

fn rekor_v2(field: &str, der: &[u8]) -> Vec<u8> {
    let (digest, der) = (STANDARD.encode([7; 32]), STANDARD.encode(der));
    format!(
        "{{\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\",\"spec\":{{\"hashedRekordV002\":{{\"data\":{{\"algorithm\":\
         \"SHA2_256\",\"digest\":\"{digest}\"}},\"signature\":{{\"content\":\"MAA=\",\"verifier\":{{\"{field}\":\
         {{\"rawBytes\":\"{der}\"}}}}}}}}}}}}"
    )
    .into_bytes()
}
