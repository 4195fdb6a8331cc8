//! Servers that ask who one is: the user they know, and what their access logs say of each request.

/// The one user that they let in.
pub const USER: &str = "me";
pub const PASSWORD: &str = "s3cret";
pub const REALM: &str = "shop";

/// A line of a file as htpasswd makes it: base64 of the password's SHA-1.
pub const BASIC: &str = "me:{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=\n";
/// A line of a file as htdigest makes it: MD5 of user, realm and password, with colons between.
pub const DIGEST_MD5: &str = "me:shop:3ebdd667f183bcbca1ab13211133356a\n";
/// The same with SHA-256.
pub const DIGEST_SHA256: &str = "me:shop:8f30511394da2ff7923d867548aab3fbe057d86c2f029fe2a93419c06476c8ee\n";

/// Of a log's lines, for Apache and lighttpd.
pub(crate) const FORMAT: &str = "%>s %u %{Authorization}i";

/// A request, as a server logged it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    pub status: u16,
    /// Whom the server took the client for; `-` for nobody.
    pub user: String,
    /// `-` without the field.
    pub authorization: String,
}

impl Access {
    /// # Panics
    /// When the line is not as [`FORMAT`] has it.
    fn of(line: &str) -> Self {
        let parts: Vec<_> = line.splitn(3, ' ').collect();
        let [status, user, authorization] = parts[..] else { panic!("no access: {line}") };
        let status = status.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { status, user: user.to_owned(), authorization: authorization.replace("\\\"", "\"") }
    }

    /// All lines of a log that are whole.
    pub(crate) fn all_of(log: &str) -> Vec<Self> {
        log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(Self::of).collect()
    }

    /// A request of which only the value of `Authorization` is known.
    #[must_use]
    pub fn of_field(authorization: &str) -> Self {
        Self { status: 0, user: "-".to_owned(), authorization: authorization.to_owned() }
    }

    /// A parameter of the credentials, without its quotes; empty without it.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        let parts = self.authorization.split_once(' ').map_or("", |(_, parts)| parts).split(", ");
        let mut values = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        values.next().unwrap_or_default().trim_matches('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let log = "401 - -\n200 me Digest username=\\\"me\\\", nc=0000000a, qop=auth\n200 me Dig";
        let [asked, given] = &Access::all_of(log)[..] else { panic!("two whole lines") };
        assert_eq!((asked.status, asked.user.as_str(), asked.authorization.as_str()), (401, "-", "-"));
        assert_eq!(asked.parameter("nc"), "");
        assert_eq!((given.status, given.user.as_str()), (200, "me"));
        let parts = ["username", "nc", "qop", "uri"].map(|name| given.parameter(name));
        assert_eq!(parts, ["me", "0000000a", "auth", ""]);
    }
}
