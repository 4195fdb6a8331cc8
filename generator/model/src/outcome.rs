//! The closed list of ways a request can end.

use serde::{Deserialize, Serialize};

macro_rules! error_kinds {
    ($($variant:ident $name:literal $help:literal,)*) => {
        /// Why a request failed. The names are a contract with scripts that read results.
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum ErrorKind {
            $(#[doc = $help] #[serde(rename = $name)] $variant,)*
        }

        impl ErrorKind {
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name used in results and labels.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in one line for a person.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

error_kinds! {
    Dns "dns" "The name could not be resolved.",
    ConnectRefused "connect_refused" "Nothing listens at the address and port of the target, or of the proxy.",
    ConnectTimeout "connect_timeout" "The connection was not established in time.",
    ConnectUnreachable "connect_unreachable" "No route to the target.",
    ConnectReset "connect_reset" "The connection was reset while it was being established.",
    TlsHandshake "tls_handshake" "The TLS handshake failed: no TLS at this port, no version in common, or a client certificate was refused.",
    TlsTimeout "tls_timeout" "The TLS handshake did not end in time.",
    CertExpired "cert_expired" "The server's certificate has expired or is not valid yet.",
    CertName "cert_name" "The server's certificate is for another name than the URL's.",
    CertUntrusted "cert_untrusted" "The server's certificate is not signed by a trusted authority; --cacert names another.",
    Alpn "alpn" "The server does not speak the version of HTTP that was asked for.",
    HeaderTimeout "header_timeout" "The response head did not end in time.",
    HeaderLimit "header_limit" "The response head is longer or has more fields than allowed.",
    TimeoutFirstByte "timeout_first_byte" "No byte of the response arrived in time.",
    TimeoutTotal "timeout_total" "The response did not end in time.",
    TooManyInterim "too_many_interim" "The server sent more interim (1xx) responses than allowed.",
    BodyLimit "body_limit" "The response body is longer than allowed.",
    DecodeLimit "decode_limit" "The decoded response body is longer than allowed.",
    Flood "flood" "The server sent more control frames than allowed.",
    ZeroWindow "zero_window" "The server kept its receive window closed for too long.",
    Reset "reset" "The server reset the connection.",
    ClosedEarly "closed_early" "The server closed the connection before the response was complete.",
    Protocol "protocol" "The server's answer is not valid in its version of HTTP or its content coding.",
    Goaway "goaway" "The server went away with the request unanswered.",
    RefusedStream "refused_stream" "The server refused the stream.",
    RedirectRefused "redirect_refused" "A redirect led out of the target's origin, or there were too many.",
    Proxy "proxy" "The proxy refused the connection, or does not speak its protocol.",
    Status "status" "The response's status is 400 or above and not among those accepted.",
    CheckFailed "check_failed" "A check on the response failed.",
    ExtractFailed "extract_failed" "A value to save was not found in the response, or one to send had none.",
    DataExhausted "data_exhausted" "The data feeder ran out of rows.",
    Policy "policy" "The target is not allowed by the policy in force.",
    NoPort "no_port" "No local port was free for another connection to the target.",
    NoFd "no_fd" "The limit on open files allows no further connection.",
    EngineLost "engine_lost" "The engine process ended while the request was under way.",
    StepLimit "step_limit" "A flow took 100,000 steps without a request or a wait between them, and was ended.",
}

impl ErrorKind {
    pub const COUNT: usize = Self::ALL.len();

    /// Position in arrays indexed by kind.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How a request ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A whole answer with this status arrived and was accepted.
    Completed(u16),
    /// A whole answer with this status arrived and was refused: see [`ErrorKind::Status`] and the checks.
    Rejected(u16, ErrorKind),
    /// No whole answer arrived.
    Failed(ErrorKind),
}

impl Outcome {
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Completed(status) | Self::Rejected(status, _) => Some(status),
            Self::Failed(_) => None,
        }
    }

    #[must_use]
    pub const fn error(self) -> Option<ErrorKind> {
        match self {
            Self::Completed(_) => None,
            Self::Rejected(_, kind) | Self::Failed(kind) => Some(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_dense_and_named_once() {
        let names: std::collections::BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ErrorKind::COUNT);
        for (position, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), position);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
