//! `application/x-www-form-urlencoded`, as the URL standard of WHATWG section 5.2 has it.

use url::form_urlencoded::byte_serialize;

/// The value of `Content-Type`.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Appends names and values in their order: at most three bytes for each of theirs, and two a pair.
pub fn write<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    let mut separator = "";
    for (name, value) in pairs {
        let pieces = [separator].into_iter().chain(byte_serialize(name.as_bytes())).chain(["="]);
        for piece in pieces.chain(byte_serialize(value.as_bytes())) {
            out.extend_from_slice(piece.as_bytes());
        }
        separator = "&";
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::write;

    fn written(pairs: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        write(pairs.iter().copied(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reserved_bytes_are_encoded() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&[("", "")]), "=");
        assert_eq!(
            written(&[("a b", "c&d=e+f"), ("é", "*-._~\r\n%")]),
            "a+b=c%26d%3De%2Bf&%C3%A9=*-._%7E%0D%0A%25"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..6)) {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let text = written(&pairs);
            let read: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).collect();
            prop_assert!(read.iter().map(|(name, value)| (&**name, &**value)).eq(pairs));
        }
    }
}
