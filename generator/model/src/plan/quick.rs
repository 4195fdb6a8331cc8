//! What a quick run does: one request, again and again.

use url::Url;

use super::{Inputs, PlanError, redacted};
use crate::request::render;
use crate::scenario::Scenario;
use crate::script::Script;

/// # Errors
/// When its request cannot be made, or its users cannot keep cookies.
pub(super) fn script(scenario: &Scenario, inputs: &Inputs, url: &Url) -> Result<Script, PlanError> {
    let http = &scenario.http;
    if http.cookies && scenario.load.rate.is_some() {
        return Err(PlanError::Combination {
            what: "--cookies",
            target: "closed loads, since each arrival of an open one (-q) is another user",
            mend: "leave one of them out",
        });
    }
    let mut script = Script::of(render(scenario, url, &inputs.body)?, redacted(url));
    if http.cookies {
        script.cookies = true;
        script.calls[0].redirects = http.redirects;
    }
    Ok(script)
}
