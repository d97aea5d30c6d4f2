//! A route: where it is, who answers it, and how it is described. One statement says all three, so
//! the router and the API's description cannot come apart.
//!
//! A resource's file says its routes in its `routes`; what follows from a word of this builder (the
//! answers of a missing key, of a body that is too large) is not said there again.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use bursar_ledger::Scope;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::schemas::IdempotencyHeader;
use crate::bodies::BodyLimiter;
use crate::http::Api;
use crate::http::extract::BODY_BYTES_MAX;
use crate::http::intake::{self, Intake};

/// Makes the schema of a type, and of all that it is made of.
pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// Routes that belong together.
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) routes: Vec<Route>,
}

/// One method of one path.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) method: Method,
    pub(crate) operation: Operation,
    handler: MethodRouter<Api>,
}

/// What is said of a route.
pub(crate) struct Operation {
    /// Its name, as a client in some language has it: `create_transfer`.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) access: Access,
    pub(crate) query: Option<Describe>,
    pub(crate) headers: Vec<(&'static str, &'static str, Describe)>,
    pub(crate) body: Option<RequestBody>,
    /// Whether it takes an idempotency key.
    pub(crate) keyed: bool,
    /// Whether its answer may be marked as given before.
    pub(crate) repeats: bool,
    pub(crate) answers: Vec<Answers>,
    /// Which codes a status may come with.
    pub(crate) problems: Vec<(StatusCode, &'static [&'static str])>,
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Anybody, without a key.
    Anybody,
    /// Every key.
    AnyKey,
    /// A key with this scope.
    Key(Scope),
    /// A key with this scope that is not bound to economies.
    Everywhere(Scope),
    /// The token of whoever runs the server.
    Owner,
}

/// A body that is sent.
pub(crate) struct RequestBody {
    pub(crate) required: bool,
    pub(crate) media: &'static str,
    pub(crate) schema: Describe,
    pub(crate) bytes_max: usize,
    pub(crate) examples: Vec<(&'static str, Value)>,
}

/// An answer that is no problem.
pub(crate) struct Answers {
    pub(crate) status: StatusCode,
    pub(crate) description: &'static str,
    pub(crate) media: &'static str,
    pub(crate) schema: Describe,
    pub(crate) example: Option<Value>,
}

pub(crate) const JSON: &str = "application/json";

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    pub(crate) fn get<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, on(MethodFilter::GET, handler))
    }

    pub(crate) fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, path, on(MethodFilter::PUT, handler))
    }

    pub(crate) fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, on(MethodFilter::POST, handler))
    }

    pub(crate) fn delete<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, path, on(MethodFilter::DELETE, handler))
    }

    fn new(method: Method, path: &'static str, handler: MethodRouter<Api>) -> Self {
        let operation = Operation {
            id: "",
            summary: "",
            description: "",
            access: Access::Anybody,
            query: None,
            headers: Vec::new(),
            body: None,
            keyed: false,
            repeats: false,
            answers: Vec::new(),
            problems: Vec::new(),
        };
        Self {
            path,
            method,
            operation,
            handler,
        }
    }

    /// Its name in clients, what it does in a few words, and in sentences.
    pub(crate) fn operation(
        mut self,
        id: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        self.operation.id = id;
        self.operation.summary = summary;
        self.operation.description = description;
        self
    }

    /// It takes a key of any scope.
    pub(crate) fn needs_a_key(mut self) -> Self {
        self.operation.access = Access::AnyKey;
        self
    }

    /// It takes a key with this scope.
    pub(crate) fn needs(mut self, scope: Scope) -> Self {
        self.operation.access = Access::Key(scope);
        self
    }

    /// It takes a key with this scope that is not bound to economies.
    pub(crate) fn needs_everywhere(mut self, scope: Scope) -> Self {
        self.operation.access = Access::Everywhere(scope);
        self
    }

    /// It takes the token of whoever runs the server.
    pub(crate) fn needs_the_owner(mut self) -> Self {
        self.operation.access = Access::Owner;
        self
    }

    /// It takes parameters in the query: the members of `Q`.
    pub(crate) fn query<Q: JsonSchema>(mut self) -> Self {
        self.operation.query = Some(Q::json_schema);
        self
    }

    /// It looks at a header.
    pub(crate) fn header<T: JsonSchema>(
        mut self,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        let header = (name, description, schema_of::<T> as Describe);
        self.operation.headers.push(header);
        self
    }

    /// It takes a JSON body, such as this one.
    pub(crate) fn body<B: JsonSchema>(self, name: &'static str, example: Value) -> Self {
        let mut route = self.bytes::<B>(JSON, BODY_BYTES_MAX);
        let body = route.operation.body.as_mut();
        body.expect("it was just set")
            .examples
            .push((name, example));
        route
    }

    /// Another body that it takes.
    pub(crate) fn or_body(mut self, name: &'static str, example: Value) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("the first body is said before")
            .examples
            .push((name, example));
        self
    }

    /// The body may be larger than others.
    pub(crate) fn of_bytes(mut self, bytes_max: usize) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("the body is said before").bytes_max = bytes_max;
        self
    }

    /// The body may be missing.
    pub(crate) fn or_no_body(mut self) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("the body is said before").required = false;
        self
    }

    /// It takes a body of some media type and size.
    pub(crate) fn bytes<B: JsonSchema>(mut self, media: &'static str, bytes_max: usize) -> Self {
        let examples = self.operation.body.take().map(|body| body.examples);
        self.operation.body = Some(RequestBody {
            required: true,
            media,
            schema: schema_of::<B>,
            bytes_max,
            examples: examples.unwrap_or_default(),
        });
        self
    }

    /// It takes an idempotency key: what it answers is kept under that, and repeated.
    pub(crate) fn keyed(mut self) -> Self {
        self.operation.keyed = true;
        self.repeats()
            .error(StatusCode::BAD_REQUEST, &KEY_UNREADABLE)
            .error(StatusCode::UNPROCESSABLE_ENTITY, &KEY_REUSED)
    }

    /// It takes an idempotency key where the body asks for something that is kept under one.
    pub(crate) fn keyed_if(self, description: &'static str) -> Self {
        self.header::<IdempotencyHeader>(KEY, description)
            .repeats()
            .error(StatusCode::BAD_REQUEST, &KEY_UNREADABLE)
            .error(StatusCode::UNPROCESSABLE_ENTITY, &KEY_REUSED)
    }

    /// It may answer what was answered before.
    pub(crate) fn repeats(mut self) -> Self {
        self.operation.repeats = true;
        self
    }

    /// It answers so.
    pub(crate) fn answers<A: JsonSchema>(
        self,
        status: StatusCode,
        description: &'static str,
    ) -> Self {
        self.answers_as::<A>(status, JSON, description)
    }

    /// It answers so, in some media type.
    pub(crate) fn answers_as<A: JsonSchema>(
        mut self,
        status: StatusCode,
        media: &'static str,
        description: &'static str,
    ) -> Self {
        self.operation.answers.push(Answers {
            status,
            description,
            media,
            schema: schema_of::<A>,
            example: None,
        });
        self
    }

    /// What the answer that was said last looks like.
    pub(crate) fn example(mut self, example: Value) -> Self {
        if let Some(answer) = self.operation.answers.last_mut() {
            answer.example = Some(example);
        }
        self
    }

    /// It may say no, with one of these codes.
    pub(crate) fn error(mut self, status: StatusCode, codes: &'static [&'static str]) -> Self {
        self.operation.problems.push((status, codes));
        self
    }

    /// It waits for the writer, which may have no room or not know whether it wrote.
    pub(crate) fn writes(self) -> Self {
        self.error(StatusCode::SERVICE_UNAVAILABLE, &NOT_WRITTEN)
    }

    /// It reads the file.
    pub(crate) fn reads_the_file(self) -> Self {
        self.error(StatusCode::SERVICE_UNAVAILABLE, &UNREADABLE)
    }
}

/// The header of an idempotency key.
pub(crate) const KEY: &str = "Idempotency-Key";

const KEY_UNREADABLE: [&str; 2] = ["idempotency_key_missing", "idempotency_key_malformed"];
const KEY_REUSED: [&str; 1] = ["idempotency_key_reused"];
const NOT_WRITTEN: [&str; 3] = ["overloaded", "outcome_unknown", "unavailable"];
const UNREADABLE: [&str; 1] = ["unavailable"];

/// All routes of these resources. Where a route takes a body, its bytes are admitted first.
pub(crate) fn router(resources: Vec<Resource>, bodies: &Arc<BodyLimiter>) -> Router<Api> {
    let routes = resources.into_iter().flat_map(|resource| resource.routes);
    routes.fold(Router::new(), |router, route| {
        let handler = match &route.operation.body {
            Some(body) => {
                let intake = Intake::new(Arc::clone(bodies), body.bytes_max);
                route
                    .handler
                    .layer(from_fn_with_state(intake, intake::admit))
            }
            None => route.handler,
        };
        router.route(route.path, handler)
    })
}
