use proptest::prelude::*;

use super::super::written::compiles;
use super::*;

const DOCUMENT: &str = r##"{
 "openapi": "3.0.3",
 "info": {"title": "Pets"},
 "servers": [{"url": "https://{env}.test/v1/", "variables": {"env": {"default": "api"}}}],
 "security": [{"token": []}],
 "paths": {
  "/pets/{id}": {
   "parameters": [{"$ref": "#/components/parameters/Id"}],
   "get": {"tags": ["pets"], "parameters": [
     {"name": "view", "in": "query", "required": true, "schema": {"enum": ["full", "short"]}},
     {"name": "page", "in": "query", "schema": {"type": "integer"}},
     {"name": "X-Request", "in": "header", "required": true, "schema": {"type": "string", "format": "uuid"}}]},
   "delete": {"tags": ["pets"]}
  },
  "/pets": {
   "post": {"tags": ["pets"], "security": [{"key": []}], "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
   "put": {"requestBody": {"content": {"multipart/form-data": {}}}}
  },
  "/login": {"post": {"security": [], "requestBody": {"content": {"application/x-www-form-urlencoded": {"example": {"user": "{{x}}", "n": 3}}}}}}
 },
 "components": {
  "parameters": {"Id": {"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 5, "maximum": 9}}},
  "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
  "schemas": {"Pet": {"allOf": [{"$ref": "#/components/schemas/Named"}], "properties": {
    "id": {"type": "integer", "readOnly": true},
    "age": {"type": ["null", "integer"]},
    "tags": {"type": "array", "items": {"type": "string", "default": "a"}},
    "parent": {"$ref": "#/components/schemas/Node"}}},
   "Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}},
   "Named": {"type": "object", "properties": {"name": {"type": "string", "example": "Rex"}}}}
 }
}"##;

fn show(source: &str) -> String {
    let file = match import(source.as_bytes()) {
        Ok(imported) => {
            compiles(&imported);
            imported.file
        }
        Err(error) => return format!("{}: {}", error.line, error.what),
    };
    let pairs = |entries: &[(Text, Text)]| {
        entries.iter().map(|(name, value)| format!(" {}={}", name.value, value.value)).collect::<String>()
    };
    let mut lines: Vec<String> = file.target.iter().map(|target| target.value.clone()).collect();
    for (name, flow) in &file.flows {
        for step in &flow.steps {
            let Step::Request(request) = &step.value else { continue };
            let body = match &request.body {
                Some(Body::Json(json)) => format!(" {}", shown(json)),
                Some(Body::Form(form)) => format!(" form{}", pairs(form)),
                _ => String::new(),
            };
            let auth = match request.auth.as_ref().map(|auth| &auth.value) {
                Some(Auth::Bearer(token)) => format!(" bearer:{}", token.value),
                _ => String::new(),
            };
            let label = request.name.as_deref().unwrap_or_default();
            let (query, headers) = (pairs(&request.query), pairs(&request.headers));
            lines.push(format!(
                "{}: {label} -> {}{query}{headers}{body}{auth}",
                name.value, request.url.value
            ));
        }
    }
    lines.join("\n")
}

fn shown(value: &Json) -> String {
    match value {
        Json::Scalar(Scalar::Text(text)) => text.value.clone(),
        Json::Scalar(Scalar::Null) => "null".into(),
        Json::Scalar(other) => format!("{other:?}"),
        Json::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Json::Map(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{}:{}", name.value, shown(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn operations_become_steps() {
    let nested = format!("{}{{}}{}", "{next:".repeat(6), "}".repeat(6));
    let want = [
        "https://api.test/v1".to_owned(),
        "default: POST /login -> /login form n=3 user={{ \"{\" }}{x}}".to_owned(),
        format!(
            "pets: POST /pets -> /pets X-Key={{{{ secret.KEY }}}} {{name:Rex,age:{{{{ pick(1, 1000) }}}},parent:{nested},tags:[a]}}"
        ),
        "pets: GET /pets/{id} -> /pets/{{ pick(5, 9) }} view=full X-Request={{ uuid() }} bearer:{{ secret.TOKEN }}".to_owned(),
    ];
    assert_eq!(show(DOCUMENT), want.join("\n"));
    let notes = import(DOCUMENT.as_bytes()).map(|imported| imported.notes).unwrap();
    let notes: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        notes,
        [
            "DELETE /pets/{id} is left out",
            "PUT /pets is left out: a body of multipart/form-data cannot be made up",
            "a document has no load; here it is 1 user for 1m",
            "requests are sent with the secret KEY as their X-Key",
            "requests are sent with the secret TOKEN as their bearer token",
        ]
    );
}

#[test]
fn what_is_no_document_is_refused() {
    for (source, want) in [
        ("openapi: 3.0.0", "1: this is no JSON"),
        ("{\n\"openapi\": }", "2: this is no OpenAPI document: expected value"),
        ("{\"swagger\": \"2.0\"}", "1: this is no OpenAPI 3 document"),
        ("{\"openapi\": \"3.1.0\", \"paths\": {}}", "1: there is no operation to send"),
    ] {
        assert_eq!(show(source), want, "{source}");
    }
}

#[test]
fn schemas_that_grow_without_an_end_are_refused() {
    let property = |n: usize| format!("\"p{n}\": {{\"$ref\": \"#/components/schemas/A\"}}");
    let properties = (0..40).map(property).collect::<Vec<_>>().join(",");
    let source = format!(
        r##"{{"openapi": "3.0.0", "paths": {{"/": {{"post": {{"requestBody": {{"content": {{"application/json":
        {{"schema": {{"$ref": "#/components/schemas/A"}}}}}}}}}}}}}},
        "components": {{"schemas": {{"A": {{"properties": {{{properties}}}}}, "B": {{"$ref": "#/components/schemas/B"}}}}}}}}"##
    );
    assert_eq!(show(&source), "1: the examples of all operations come to too much");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_has_an_answer(cut in 0usize..2600, gone in 0usize..60, junk in "[\"{}:,0-9a-z$#/-]{0,10}") {
        let from = cut.min(DOCUMENT.len());
        let to = (from + gone).min(DOCUMENT.len());
        let mutated = format!("{}{junk}{}", &DOCUMENT[..from], &DOCUMENT[to..]);
        match import(mutated.as_bytes()) {
            Ok(imported) => drop(compiles(&imported)),
            Err(error) => prop_assert!(error.line >= 1 && error.column >= 1),
        }
    }
}
