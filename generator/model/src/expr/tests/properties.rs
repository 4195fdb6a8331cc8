//! What holds of all expressions.

use proptest::prelude::*;

use super::*;

/// Sources that are well formed, though their types may not fit: operands joined by operators and functions.
/// Where all operands may have any type, far more of them fit.
fn sources(of_any: bool) -> impl Strategy<Value = String> {
    let names = VARIABLES.map(|(name, _)| name);
    let literals = ["0", "-1", "9223372036854775807", "1e308", "0.5", "'a'", "''", "1s", "true", "null"];
    let of_answer = ["status", "body", "json('$.a')", "regex('(x)?')", "uuid()", "now()", "users.age"];
    let all: Vec<_> = names.into_iter().chain(literals).chain(of_answer).map(str::to_owned).collect();
    let any = ["any_int", "any_text", "missing", "json('$.b')", "null"].map(str::to_owned).to_vec();
    prop::sample::select(if of_any { any } else { all }).prop_recursive(5, 40, 3, |inner| {
        let signs = ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or"];
        let called: Vec<_> = function::SIGNATURES.iter().collect();
        prop_oneof![
            (prop::sample::select(signs.to_vec()), inner.clone(), inner.clone())
                .prop_map(|(sign, left, right)| format!("({left} {sign} {right})")),
            inner.clone().prop_map(|of| format!("not {of}")),
            inner.clone().prop_map(|of| format!("default({of}, -{of})")),
            (0..called.len(), prop::collection::vec(inner, 3)).prop_map(move |(index, of)| {
                let count = called[index].parameters.len();
                format!("{}({})", called[index].name(), of[..count].join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn literals_are_read_back(
        int in any::<i64>(),
        float in any::<f64>(),
        ns in any::<u64>(),
        text in any::<String>(),
    ) {
        let float = if float.is_finite() { float } else { 0.5 };
        for value in [Value::Int(int), Value::Duration(Nanos(ns)), Value::Float(float)] {
            let source = value.to_string();
            let expr = compile(&source);
            // A float without decimal places is written as an integer.
            let found = match (expr.constant(), &value) {
                (Some(Value::Int(found)), Value::Float(_)) => Value::Float(*found as f64),
                (found, _) => found.cloned().unwrap(),
            };
            prop_assert_eq!(found, value);
        }
        let expr = compile(&format!("{text:?}"));
        prop_assert_eq!(expr.constant(), Some(&Value::Text(text.into())));
    }

    #[test]
    fn anything_compiles_or_is_refused_at_a_place(
        source in any::<String>(),
        signs in "[(){}'\"\\\\a1.,+~!= -]{0,60}",
    ) {
        for source in [&source, &signs] {
            if let Err(error) = Expr::compile(source, &world(), Stage::Response) {
                prop_assert!(error.offset <= source.chars().count());
                prop_assert!(!error.what.is_empty() && !error.mend.is_empty());
            }
            if let Err(error) = Template::compile(&format!("é{{{{{source}}}}}"), &world(), Stage::Response) {
                prop_assert!(error.offset <= source.chars().count() + 5);
            }
        }
    }

    #[test]
    fn bytes_and_base64_are_inverse(text in any::<String>()) {
        let source = format!("base64_decode(base64({text:?}))");
        let expr = compile(&source);
        prop_assert_eq!(expr.constant(), Some(&Value::Text(text.into())));
    }
}

proptest! {
    // Most of the sources do not fit together, so that more are needed.
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_value_has_the_type_that_was_foretold(
        source in prop_oneof![sources(true), sources(false)],
        seed in any::<u64>(),
    ) {
        if let Ok(expr) = Expr::compile(&source, &world(), Stage::Response) {
            let value = expr.evaluate(&world(), &mut Random::new(seed, 0));
            let foretold = expr.type_of();
            prop_assert!(
                value == Value::Null || foretold == Type::Any || value.type_of() == foretold,
                "{source} is {value:?}, not {foretold:?}"
            );
            let mut out = Vec::new();
            let rendered = expr.render(&world(), &mut Random::new(seed, 0), Escape::None, &mut out).is_ok();
            prop_assert_eq!(rendered, value != Value::Null);
            if rendered {
                prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
            }
        }
    }
}
