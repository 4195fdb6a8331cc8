//! The functions: how each is called, and with what.

use super::value::Type;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Pick,
    OneOf,
    Uuid,
    Now,
    NowRfc3339,
    Counter,
    User,
    RandomText,
    Sha256,
    HmacSha256,
    Base64,
    Base64Decode,
    Url,
    Upper,
    Lower,
    Trim,
    Len,
    Substr,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    Text,
    Int,
    Float,
    Default,
    If,
    Min,
    Max,
    Abs,
    Round,
    Floor,
    // From here on only where there is an answer.
    Json,
    JsonCount,
    Header,
    Cookie,
    Regex,
}

/// What an argument may be.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Parameter {
    Anything,
    Bool,
    Int,
    /// An integer or a decimal number.
    Number,
    /// A number or a duration.
    Quantity,
    /// A number, or a text that is one.
    Numeric,
    Text,
    /// A text that is known before the run.
    ConstantText,
    /// An integer that is known before the run.
    ConstantInt,
}

pub(super) struct Signature {
    /// As it is called, for people; it begins with the name.
    pub(super) usage: &'static str,
    pub(super) function: Function,
    pub(super) parameters: &'static [Parameter],
    /// How many arguments there must be.
    pub(super) least: usize,
    /// `Any` for those whose result depends on their arguments.
    pub(super) result: Type,
}

impl Signature {
    const fn new(
        usage: &'static str,
        function: Function,
        parameters: &'static [Parameter],
        result: Type,
    ) -> Self {
        Self { usage, function, parameters, least: parameters.len(), result }
    }

    const fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    pub(super) fn name(&self) -> &'static str {
        self.usage.split('(').next().unwrap_or_default()
    }

    /// Whether the last parameter stands for any number of arguments.
    pub(super) const fn repeats(&self) -> bool {
        matches!(self.function, Function::OneOf | Function::Min | Function::Max)
    }

    pub(super) const fn needs_answer(&self) -> bool {
        use Function::{Cookie, Header, Json, JsonCount, Regex};
        matches!(self.function, Json | JsonCount | Header | Cookie | Regex)
    }
}

/// All of them.
pub(super) const SIGNATURES: [Signature; 36] = {
    use Function as F;
    use Parameter::{Anything, Bool, ConstantInt, ConstantText, Int, Number, Numeric, Quantity, Text};
    [
        Signature::new("pick(lo, hi)", F::Pick, &[Int, Int], Type::Int),
        Signature::new("one_of(a, b, ...)", F::OneOf, &[Anything], Type::Any),
        Signature::new("uuid()", F::Uuid, &[], Type::Text),
        Signature::new("now() or now(\"rfc3339\")", F::Now, &[ConstantText], Type::Int).at_least(0),
        Signature::new("counter()", F::Counter, &[], Type::Int),
        Signature::new("user()", F::User, &[], Type::Int),
        Signature::new("random_text(n)", F::RandomText, &[Int], Type::Text),
        Signature::new("sha256(text)", F::Sha256, &[Text], Type::Text),
        Signature::new("hmac_sha256(key, text)", F::HmacSha256, &[Text, Text], Type::Text),
        Signature::new("base64(text)", F::Base64, &[Text], Type::Text),
        Signature::new("base64_decode(text)", F::Base64Decode, &[Text], Type::Text),
        Signature::new("url(text)", F::Url, &[Text], Type::Text),
        Signature::new("upper(text)", F::Upper, &[Text], Type::Text),
        Signature::new("lower(text)", F::Lower, &[Text], Type::Text),
        Signature::new("trim(text)", F::Trim, &[Text], Type::Text),
        Signature::new("len(text)", F::Len, &[Text], Type::Int),
        Signature::new("substr(text, from, count)", F::Substr, &[Text, Int, Int], Type::Text),
        Signature::new("replace(text, part, by)", F::Replace, &[Text, Text, Text], Type::Text),
        Signature::new("contains(text, part)", F::Contains, &[Text, Text], Type::Bool),
        Signature::new("starts_with(text, part)", F::StartsWith, &[Text, Text], Type::Bool),
        Signature::new("ends_with(text, part)", F::EndsWith, &[Text, Text], Type::Bool),
        Signature::new("text(x)", F::Text, &[Anything], Type::Text),
        Signature::new("int(x)", F::Int, &[Numeric], Type::Int),
        Signature::new("float(x)", F::Float, &[Numeric], Type::Float),
        Signature::new("default(x, y)", F::Default, &[Anything, Anything], Type::Any),
        Signature::new("if(condition, a, b)", F::If, &[Bool, Anything, Anything], Type::Any),
        Signature::new("min(a, b, ...)", F::Min, &[Quantity], Type::Any),
        Signature::new("max(a, b, ...)", F::Max, &[Quantity], Type::Any),
        Signature::new("abs(n)", F::Abs, &[Number], Type::Any),
        Signature::new("round(n)", F::Round, &[Number], Type::Int),
        Signature::new("floor(n)", F::Floor, &[Number], Type::Int),
        Signature::new("json(\"$.path\")", F::Json, &[ConstantText], Type::Any),
        Signature::new("json_count(\"$.path[*]\")", F::JsonCount, &[ConstantText], Type::Int),
        Signature::new("header(\"name\")", F::Header, &[ConstantText], Type::Text),
        Signature::new("cookie(\"name\")", F::Cookie, &[ConstantText], Type::Text),
        Signature::new("regex(\"pattern\", group)", F::Regex, &[ConstantText, ConstantInt], Type::Text)
            .at_least(1),
    ]
};
