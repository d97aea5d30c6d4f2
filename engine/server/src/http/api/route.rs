//! A route of the API: its path, its handler and its description. One statement declares all three,
//! so the router and the description cannot diverge.
//!
//! Each resource declares its routes in a function `routes`. Responses that follow from a property
//! set here (a missing key, a body that is too large) are not declared by the route again.

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use bursar_ledger::Scope;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::listing::Listing;
use super::schemas::IdempotencyHeader;
use crate::http::intake::BodyHandler;
use crate::http::limits::BODY_BYTES_MAX;
use crate::http::state::Api;

/// A function that generates the schema of a type and of all types that it contains.
pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// A group of routes about one kind of thing.
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) routes: Vec<Route>,
}

/// One method of one path, with its handler.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) method: Method,
    pub(crate) operation: Operation,
    handler: MakeHandler,
}

/// A function that builds the handler of a route. It gets the largest size of the body, if the route
/// has one.
type MakeHandler = Box<dyn FnOnce(Option<usize>) -> MethodRouter<Api>>;

/// The description of a route.
pub(crate) struct Operation {
    /// The name of the operation in generated clients, such as `create_transfer`.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) access: Access,
    /// The number of entries in one answer, if the route is a list.
    pub(crate) listing: Option<Listing>,
    pub(crate) query: Option<Describe>,
    pub(crate) headers: Vec<(&'static str, &'static str, Describe)>,
    pub(crate) body: Option<RequestBody>,
    /// True if the route requires an idempotency key.
    pub(crate) keyed: bool,
    /// True if a response may be marked as a repeated one.
    pub(crate) repeats: bool,
    pub(crate) answers: Vec<ResponseDescription>,
    /// The codes of problems, by status.
    pub(crate) problems: Vec<(StatusCode, &'static [&'static str])>,
}

/// The credentials that a route requires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// None: the route is public.
    Public,
    /// A key of any scope.
    AnyKey,
    /// A key with this scope for the economy of the path.
    Key(Scope),
    /// A key with this scope that is not bound to single economies.
    Everywhere(Scope),
    /// The owner's token of the server.
    Owner,
}

/// The description of a request body.
pub(crate) struct RequestBody {
    pub(crate) required: bool,
    pub(crate) media: &'static str,
    pub(crate) schema: Describe,
    pub(crate) bytes_max: usize,
    pub(crate) examples: Vec<(&'static str, Value)>,
}

/// A response that is not a problem.
pub(crate) struct ResponseDescription {
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
        Self::new(Method::GET, path, handler)
    }

    pub(crate) fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, path, handler)
    }

    pub(crate) fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, handler)
    }

    pub(crate) fn delete<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, path, handler)
    }

    fn new<H: Handler<T, Api>, T: 'static>(method: Method, path: &'static str, handler: H) -> Self {
        let filter = MethodFilter::try_from(method.clone())
            .expect("a route has one of the methods of this file");
        let handler: MakeHandler = Box::new(move |bytes_max| match bytes_max {
            Some(bytes_max) => on(filter, BodyHandler::new(handler, bytes_max)),
            None => on(filter, handler),
        });
        let operation = Operation {
            id: "",
            summary: "",
            description: "",
            access: Access::Public,
            listing: None,
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

    /// Returns the names of the path's parameters, in order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Sets the operation's id, title and description.
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

    /// Requires a key of any scope.
    pub(crate) fn needs_a_key(mut self) -> Self {
        self.operation.access = Access::AnyKey;
        self
    }

    /// Requires a key with this scope.
    pub(crate) fn needs(mut self, scope: Scope) -> Self {
        self.operation.access = Access::Key(scope);
        self
    }

    /// Requires a key with this scope that is not bound to single economies.
    pub(crate) fn needs_everywhere(mut self, scope: Scope) -> Self {
        self.operation.access = Access::Everywhere(scope);
        self
    }

    /// Requires the owner's token of the server.
    pub(crate) fn needs_the_owner(mut self) -> Self {
        self.operation.access = Access::Owner;
        self
    }

    /// Declares a list in pages, of which the query parameter `parameter` sets the size.
    pub(crate) fn pages(
        mut self,
        parameter: &'static str,
        entries: &'static str,
        default: usize,
        max: usize,
    ) -> Self {
        self.operation.listing = Some(Listing::Pages {
            parameter,
            entries,
            default,
            max,
        });
        self
    }

    /// Declares a list that is answered as a whole, with a sentence about its bound.
    pub(crate) fn whole_list(mut self, bound: &'static str) -> Self {
        self.operation.listing = Some(Listing::Whole { bound });
        self
    }

    /// Declares the query parameters: the members of `Q`.
    pub(crate) fn query<Q: JsonSchema>(mut self) -> Self {
        self.operation.query = Some(Q::json_schema);
        self
    }

    /// Declares an optional request header.
    pub(crate) fn header<T: JsonSchema>(
        mut self,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        let header = (name, description, schema_of::<T> as Describe);
        self.operation.headers.push(header);
        self
    }

    /// Declares a JSON body, with a first example.
    pub(crate) fn body<B: JsonSchema>(self, name: &'static str, example: Value) -> Self {
        let mut route = self.bytes::<B>(JSON, BODY_BYTES_MAX);
        let body = route.operation.body.as_mut();
        body.expect("`bytes` has set the body")
            .examples
            .push((name, example));
        route
    }

    /// Adds an example of the body.
    pub(crate) fn or_body(mut self, name: &'static str, example: Value) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("`body` is called before `or_body`")
            .examples
            .push((name, example));
        self
    }

    /// Sets the largest size of the body.
    pub(crate) fn of_bytes(mut self, bytes_max: usize) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("`body` is called before `of_bytes`").bytes_max = bytes_max;
        self
    }

    /// Makes the body optional.
    pub(crate) fn or_no_body(mut self) -> Self {
        let body = self.operation.body.as_mut();
        body.expect("`body` is called before `or_no_body`").required = false;
        self
    }

    /// Declares a body with a media type and a largest size.
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

    /// Requires an idempotency key: the response is stored under it and repeated.
    pub(crate) fn keyed(mut self) -> Self {
        self.operation.keyed = true;
        self.repeats()
            .error(StatusCode::BAD_REQUEST, &KEY_UNREADABLE)
            .error(StatusCode::UNPROCESSABLE_ENTITY, &KEY_REUSED)
    }

    /// Accepts an idempotency key, which only some bodies require.
    pub(crate) fn keyed_if(self, description: &'static str) -> Self {
        self.header::<IdempotencyHeader>(KEY, description)
            .repeats()
            .error(StatusCode::BAD_REQUEST, &KEY_UNREADABLE)
            .error(StatusCode::UNPROCESSABLE_ENTITY, &KEY_REUSED)
    }

    /// Declares that responses may be marked as repeated ones.
    pub(crate) fn repeats(mut self) -> Self {
        self.operation.repeats = true;
        self
    }

    /// Declares a JSON response.
    pub(crate) fn answers<A: JsonSchema>(
        self,
        status: StatusCode,
        description: &'static str,
    ) -> Self {
        self.answers_as::<A>(status, JSON, description)
    }

    /// Declares a response with a media type.
    pub(crate) fn answers_as<A: JsonSchema>(
        mut self,
        status: StatusCode,
        media: &'static str,
        description: &'static str,
    ) -> Self {
        self.operation.answers.push(ResponseDescription {
            status,
            description,
            media,
            schema: schema_of::<A>,
            example: None,
        });
        self
    }

    /// Adds an example to the response that was declared last.
    pub(crate) fn example(mut self, example: Value) -> Self {
        if let Some(answer) = self.operation.answers.last_mut() {
            answer.example = Some(example);
        }
        self
    }

    /// Declares problems with a status and one of these codes.
    pub(crate) fn error(mut self, status: StatusCode, codes: &'static [&'static str]) -> Self {
        self.operation.problems.push((status, codes));
        self
    }

    /// Declares the problems of a route that waits for the writer.
    pub(crate) fn writes(self) -> Self {
        self.error(StatusCode::SERVICE_UNAVAILABLE, &NOT_WRITTEN)
    }

    /// Declares the problems of a route that reads the database file.
    pub(crate) fn reads_the_file(self) -> Self {
        self.error(StatusCode::SERVICE_UNAVAILABLE, &UNREADABLE)
    }
}

/// The name of the header with the idempotency key (draft-ietf-httpapi-idempotency-key-header).
pub(crate) const KEY: &str = "Idempotency-Key";

const KEY_UNREADABLE: [&str; 2] = ["idempotency_key_missing", "idempotency_key_malformed"];
const KEY_REUSED: [&str; 1] = ["idempotency_key_reused"];
const NOT_WRITTEN: [&str; 3] = ["overloaded", "outcome_unknown", "unavailable"];
const UNREADABLE: [&str; 1] = ["unavailable"];

/// Builds the router of these resources.
pub(crate) fn router(resources: Vec<Resource>) -> Router<Api> {
    let routes = resources.into_iter().flat_map(|resource| resource.routes);
    routes.fold(Router::new(), |router, route| {
        let bytes_max = route.operation.body.map(|body| body.bytes_max);
        router.route(route.path, (route.handler)(bytes_max))
    })
}
