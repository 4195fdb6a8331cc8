//! What the child is to do: all that [`brunt_engine::run`] is given, through the pipe.
//!
//! The scenario and its inputs are sent, not the plan: compiling is a pure function, and that both got the same shows
//! in the plan's id. Secrets (credentials, private keys) are in here and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use brunt_engine::conn::tls::{Identity, Material};
use brunt_engine::sight::Data;
use brunt_engine::{Io, Pace, Parts};
use brunt_loader::timing::Timing;
use brunt_model::expr::Value;
use brunt_model::plan::{self, Inputs, Plan, PlanError};
use brunt_model::scenario::Scenario;
use brunt_model::script::compile::Files;
use brunt_model::units::{CoreId, Nanos};
use rustls::KeyLog;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::frame::{FrameError, JOB_MAX, framed};

/// What the supervisor has of a run.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Job<'a> {
    pub scenario: &'a Scenario,
    pub inputs: &'a Inputs,
    pub plan: &'a Plan,
    pub parts: &'a Parts,
    pub memory: Option<Memory>,
}

/// The kernel's memory, by the numbers of inherited descriptors.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub slots: i32,
    pub logs: Option<i32>,
    pub count: u32,
}

/// Why a job cannot be sent, or what was sent is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("what the engine process was sent is no job: {0}")]
    Form(#[from] postcard::Error),
    #[error(
        "the run does not fit the pipe to the engine process: {0}; make the body, the scenario's files or the certificates smaller"
    )]
    Long(FrameError),
    #[error("the engine process cannot compile the plan: {0}")]
    Plan(#[from] PlanError),
    #[error("the engine process compiled another plan")]
    OtherPlan,
    #[error("the kernel's time stamps cannot be mapped: {0}")]
    Memory(#[source] std::io::Error),
    #[error("the private key is of no kind that is known")]
    Key,
}

impl Job<'_> {
    /// The frame that tells it. The body comes last and is not copied into anything else before.
    pub(super) fn encode(&self) -> Result<Vec<u8>, JobError> {
        let Parts { io, pace, cores, trust_tsc, tls, late_reads, data, timing: _, seal: _ } = self.parts;
        let coded = Coded {
            scenario: self.scenario.clone(),
            proxy_credentials: self.scenario.proxy.as_ref().and_then(|proxy| proxy.credentials.clone()),
            addresses: self.inputs.addresses.clone(),
            others: self.inputs.others.clone(),
            files: self.inputs.files.clone(),
            globals: self.inputs.globals.clone(),
            plan_id: &self.plan.id,
            uses_uring: *io == Io::Uring,
            is_precise: *pace == Pace::Precise,
            cores: cores.clone(),
            trust_tsc: *trust_tsc,
            late_reads: *late_reads,
            secrets: data.secrets.to_vec(),
            wall_at_zero_ns: data.wall_at_zero_ns,
            memory: self.memory,
            roots: tls.roots.iter().map(|root| root.as_ref()).collect(),
            identity: tls.identity.as_ref().map(CodedIdentity::of).transpose()?,
            wants_key_log: tls.key_log.is_some(),
        };
        let mut bytes = postcard::to_extend(&coded, Vec::new())?;
        bytes.extend_from_slice(&self.inputs.body);
        framed(&bytes, JOB_MAX).map_err(JobError::Long)
    }
}

/// Reads a job: the plan and what it is run with. `key_log` is what sessions are told to where that is asked for.
pub(super) fn decode(bytes: &[u8], key_log: Arc<dyn KeyLog>) -> Result<(Arc<Plan>, Parts), JobError> {
    let (coded, body): (Coded<'_>, _) = postcard::take_from_bytes(bytes)?;
    let mut scenario = coded.scenario;
    if let Some(proxy) = &mut scenario.proxy {
        proxy.credentials = coded.proxy_credentials;
    }
    let Coded { addresses, others, files, globals, .. } = coded;
    let inputs = Inputs { addresses, others, body: body.to_vec(), files, globals };
    let plan = plan::compile(&scenario, &inputs)?;
    if plan.id != coded.plan_id {
        return Err(JobError::OtherPlan);
    }
    let tls = Material {
        roots: coded.roots.into_iter().map(|root| CertificateDer::from(root.to_vec())).collect(),
        identity: coded.identity.map(CodedIdentity::decode).transpose()?,
        key_log: coded.wants_key_log.then_some(key_log),
    };
    let parts = Parts {
        io: if coded.uses_uring { Io::Uring } else { Io::Epoll },
        pace: if coded.is_precise { Pace::Precise } else { Pace::Efficient },
        cores: coded.cores,
        trust_tsc: coded.trust_tsc,
        tls: Arc::new(tls),
        timing: coded.memory.map(map).transpose()?,
        seal: None,
        late_reads: coded.late_reads,
        data: Data { secrets: coded.secrets.into(), wall_at_zero_ns: coded.wall_at_zero_ns },
    };
    Ok((Arc::new(plan), parts))
}

fn map(Memory { slots, logs, count }: Memory) -> Result<Arc<Timing>, JobError> {
    Timing::inherited(slots, logs, count).map(Arc::new).map_err(JobError::Memory)
}

/// The body of the request follows it.
#[derive(Serialize, Deserialize)]
struct Coded<'a> {
    scenario: Scenario,
    /// No part of a scenario as it is written down.
    proxy_credentials: Option<(String, String)>,
    addresses: Vec<SocketAddr>,
    others: Vec<Vec<SocketAddr>>,
    files: Files,
    globals: Vec<(String, Value)>,
    plan_id: &'a str,
    uses_uring: bool,
    is_precise: bool,
    cores: Vec<CoreId>,
    trust_tsc: bool,
    late_reads: Nanos,
    secrets: Vec<String>,
    wall_at_zero_ns: i64,
    memory: Option<Memory>,
    #[serde(borrow)]
    roots: Vec<&'a [u8]>,
    #[serde(borrow)]
    identity: Option<CodedIdentity<'a>>,
    wants_key_log: bool,
}

#[derive(Serialize, Deserialize)]
struct CodedIdentity<'a> {
    #[serde(borrow)]
    chain: Vec<&'a [u8]>,
    key_kind: KeyKind,
    key: &'a [u8],
}

#[derive(Copy, Clone, Serialize, Deserialize)]
enum KeyKind {
    Pkcs8,
    Pkcs1,
    Sec1,
}

impl<'a> CodedIdentity<'a> {
    fn of(identity: &'a Identity) -> Result<Self, JobError> {
        let key_kind = match &identity.key {
            PrivateKeyDer::Pkcs8(_) => KeyKind::Pkcs8,
            PrivateKeyDer::Pkcs1(_) => KeyKind::Pkcs1,
            PrivateKeyDer::Sec1(_) => KeyKind::Sec1,
            _ => return Err(JobError::Key),
        };
        let chain = identity.chain.iter().map(|certificate| certificate.as_ref()).collect();
        Ok(Self { chain, key_kind, key: identity.key.secret_der() })
    }

    fn decode(self) -> Result<Identity, JobError> {
        let chain = self.chain.into_iter().map(|bytes| CertificateDer::from(bytes.to_vec())).collect();
        let der = self.key.to_vec();
        let key = match self.key_kind {
            KeyKind::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
            KeyKind::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
            KeyKind::Sec1 => PrivateKeyDer::Sec1(der.into()),
        };
        Ok(Identity { chain, key })
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::{HttpVersion, ProxyKind, ProxySpec};
    use brunt_model::units::Rate;

    use super::*;

    #[derive(Debug)]
    struct Silent;

    impl KeyLog for Silent {
        fn log(&self, _: &str, _: &[u8], _: &[u8]) {}
    }

    fn parts() -> Parts {
        let identity = Identity {
            chain: vec![CertificateDer::from(vec![1, 2])],
            key: PrivateKeyDer::Sec1(vec![3, 4].into()),
        };
        let roots = vec![CertificateDer::from(vec![5]), CertificateDer::from(vec![6, 7])];
        Parts {
            io: Io::Epoll,
            pace: Pace::Efficient,
            cores: vec![CoreId(1), CoreId(3)],
            trust_tsc: true,
            tls: Arc::new(Material { roots, identity: Some(identity), key_log: Some(Arc::new(Silent)) }),
            timing: None,
            seal: None,
            late_reads: Nanos(5),
            data: Data { secrets: Arc::new(["secret".to_owned()]), wall_at_zero_ns: 7 },
        }
    }

    /// A job as it arrives, and the plan that it was made of.
    fn job() -> (Vec<u8>, Plan) {
        let mut scenario = Scenario::of("https://h:8443/a?b");
        scenario.http.version = HttpVersion::Http2;
        scenario.load.rate = Some(Rate::per_second(7));
        scenario.limits = vec!["p99(response_time) < 50ms".parse().unwrap()];
        let credentials = Some(("user".to_owned(), "word".to_owned()));
        scenario.proxy = Some(ProxySpec { kind: ProxyKind::Socks5, credentials });
        let addresses = vec!["[::1]:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()];
        let inputs = Inputs { addresses, body: vec![9; 100_000], ..Inputs::default() };
        let plan = plan::compile(&scenario, &inputs).unwrap();
        let job = Job { scenario: &scenario, inputs: &inputs, plan: &plan, parts: &parts(), memory: None };
        (job.encode().unwrap().split_off(4), plan)
    }

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        let (bytes, sent) = job();
        let (plan, parts) = decode(&bytes, Arc::new(Silent)).unwrap();
        assert_eq!(format!("{plan:?}"), format!("{sent:?}"));
        assert_eq!(format!("{parts:?}"), format!("{:?}", self::parts()));
        assert_eq!(parts.tls.identity.as_ref().unwrap().key.secret_der(), [3, 4]);
    }

    #[test]
    fn what_is_no_job_is_refused() {
        let (bytes, plan) = job();
        assert!(matches!(decode(&bytes[..100], Arc::new(Silent)), Err(JobError::Form(_))));
        assert!(matches!(decode(&bytes[..bytes.len() - 1], Arc::new(Silent)), Err(JobError::OtherPlan)));
        let mut other = bytes.clone();
        let id = bytes.windows(64).position(|window| window == plan.id.as_bytes()).unwrap();
        other[id] = b'x';
        assert!(matches!(decode(&other, Arc::new(Silent)), Err(JobError::OtherPlan)));
    }
}
