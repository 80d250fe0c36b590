//! The routes of the HTTP API, tried in API Gateway's order: the most specific path first, a route for the request's method
//! before one for any method, `$default` last.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>

use std::cmp::Ordering;
use std::collections::BTreeMap;

use http::Method;

/// One route of the HTTP API.
#[derive(Clone, Debug)]
pub struct Route {
    /// The function behind the route, for example `contacts`.
    pub function: String,
    /// The token that the route asks for.
    pub access: Access,
    path: Path,
    /// The method. None for any method.
    method: Option<Method>,
}

/// The token that a route asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// No token.
    Open,
    /// A valid token with at least one of these scopes, or any valid token if there are no scopes.
    Token(Vec<String>),
}

/// The error of a malformed route.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// The path is malformed.
    #[error("`{0}` is not a route's path: it is `$default` or begins with `/`, and has parameters as `{{name}}`")]
    Path(String),
    /// The method is malformed.
    #[error("`{0}` is not a route's method")]
    Method(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Segments(Vec<Segment>),
    Default,
}

/// A segment of a path. The variants are in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Exact(String),
    Parameter(String),
    /// `{name+}`: all segments from here on.
    Greedy(String),
}

impl Route {
    /// The route for a path in the template. Without a method, or with `ANY`, it is for every method.
    ///
    /// # Errors
    /// The path or the method is malformed.
    pub fn new(function: &str, method: Option<&str>, path: &str, access: Access) -> Result<Self, InvalidRoute> {
        let method = match method {
            None => None,
            Some(any) if any.eq_ignore_ascii_case("any") => None,
            Some(name) => Some(
                Method::from_bytes(name.to_ascii_uppercase().as_bytes())
                    .map_err(|_| InvalidRoute::Method(name.to_owned()))?,
            ),
        };
        Ok(Self { function: function.to_owned(), access, path: Path::parse(path)?, method })
    }

    /// The route's name in a request context, for example `GET /contacts/{id}`.
    #[must_use]
    pub fn key(&self) -> String {
        let method = self.method.as_ref().map_or("ANY", Method::as_str);
        match &self.path {
            Path::Default => "$default".to_owned(),
            Path::Segments(segments) => {
                let segments: Vec<String> = segments.iter().map(Segment::written).collect();
                format!("{method} /{}", segments.join("/"))
            }
        }
    }

    /// Returns true if both routes answer the same requests.
    fn clashes(&self, other: &Self) -> bool {
        self.method == other.method && self.specificity(other) == Ordering::Equal
    }

    /// Compares two routes. `Less` is the more specific one, which is tried first.
    fn specificity(&self, other: &Self) -> Ordering {
        let paths = match (&self.path, &other.path) {
            (Path::Default, Path::Default) => Ordering::Equal,
            (Path::Default, _) => Ordering::Greater,
            (_, Path::Default) => Ordering::Less,
            (Path::Segments(mine), Path::Segments(theirs)) => {
                mine.iter().map(Segment::rank).cmp(theirs.iter().map(Segment::rank))
            }
        };
        paths.then(self.method.is_none().cmp(&other.method.is_none()))
    }

    fn matched(&self, method: &Method, segments: &[String]) -> Option<BTreeMap<String, String>> {
        if self.method.as_ref().is_some_and(|mine| mine != method) {
            return None;
        }
        self.path.matched(segments)
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, InvalidRoute> {
        let invalid = || InvalidRoute::Path(text.to_owned());
        if text == "$default" {
            return Ok(Self::Default);
        }
        let rest = text.strip_prefix('/').ok_or_else(invalid)?;
        if rest.is_empty() {
            return Ok(Self::Segments(Vec::new()));
        }
        let segments: Vec<Segment> = rest.split('/').map(Segment::parse).collect::<Option<_>>().ok_or_else(invalid)?;
        let greedy = segments.iter().position(|segment| matches!(segment, Segment::Greedy(_)));
        if greedy.is_some_and(|at| at + 1 < segments.len()) {
            return Err(invalid());
        }
        Ok(Self::Segments(segments))
    }

    fn matched(&self, parts: &[String]) -> Option<BTreeMap<String, String>> {
        let Self::Segments(segments) = self else { return Some(BTreeMap::new()) };
        let mut parameters = BTreeMap::new();
        let mut left = parts;
        for segment in segments {
            let (first, rest) = left.split_first()?;
            match segment {
                Segment::Exact(text) if text == first => {}
                Segment::Exact(_) => return None,
                Segment::Parameter(_) if first.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.clone(), first.clone());
                }
                Segment::Greedy(name) => {
                    parameters.insert(name.clone(), left.join("/"));
                    return Some(parameters);
                }
            }
            left = rest;
        }
        left.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let word = name.unwrap_or(text).strip_suffix('+').filter(|_| name.is_some()).or(name).unwrap_or(text);
        if word.is_empty() || word.contains(['{', '}']) {
            return None;
        }
        Some(match name {
            None => Self::Exact(word.to_owned()),
            Some(name) if name.ends_with('+') => Self::Greedy(word.to_owned()),
            Some(_) => Self::Parameter(word.to_owned()),
        })
    }

    fn written(&self) -> String {
        match self {
            Self::Exact(text) => text.clone(),
            Self::Parameter(name) => format!("{{{name}}}"),
            Self::Greedy(name) => format!("{{{name}+}}"),
        }
    }

    fn rank(&self) -> (u8, &str) {
        match self {
            Self::Exact(text) => (0, text),
            Self::Parameter(_) => (1, ""),
            Self::Greedy(_) => (2, ""),
        }
    }
}

/// All routes of the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Route>);

/// The route of a request, with the parameters of its path.
#[derive(Debug)]
pub struct Taken<'a> {
    /// The route.
    pub route: &'a Route,
    /// The values of the path's parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl Routes {
    /// Adds a route.
    ///
    /// # Errors
    /// The existing route that answers the same requests.
    pub fn add(&mut self, route: Route) -> Result<(), Route> {
        if let Some(other) = self.0.iter().find(|other| other.clashes(&route)) {
            return Err(other.clone());
        }
        let index = self.0.partition_point(|other| other.specificity(&route) != Ordering::Greater);
        self.0.insert(index, route);
        Ok(())
    }

    /// The route for a method and the decoded segments of a path.
    #[must_use]
    pub fn take(&self, method: &Method, segments: &[String]) -> Option<Taken<'_>> {
        self.0.iter().find_map(|route| route.matched(method, segments).map(|parameters| Taken { route, parameters }))
    }

    /// The routes, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[(&str, &str)]) -> Routes {
        let mut routes = Routes::default();
        for (method, path) in list {
            routes.add(Route::new("f", Some(method), path, Access::Open).unwrap()).unwrap();
        }
        routes
    }

    fn taken(routes: &Routes, method: &str, path: &str) -> Option<(String, BTreeMap<String, String>)> {
        let segments: Vec<String> = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        routes.take(&method, &segments).map(|taken| (taken.route.key(), taken.parameters))
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            ("ANY", "$default"),
            ("GET", "/{all+}"),
            ("DELETE", "/contacts/{id}"),
            ("ANY", "/contacts/{id}"),
            ("POST", "/contacts/batch"),
        ]);
        let key = |method, path| taken(&routes, method, path).unwrap().0;
        assert_eq!(key("POST", "/contacts/batch"), "POST /contacts/batch");
        assert_eq!(key("GET", "/contacts/batch"), "ANY /contacts/{id}");
        assert_eq!(key("DELETE", "/contacts/1"), "DELETE /contacts/{id}");
        assert_eq!(key("GET", "/contacts/1/history"), "GET /{all+}");
        assert_eq!(key("PUT", "/contacts/1/history"), "$default");
    }

    #[test]
    fn parameters_take_one_whole_segment() {
        let routes = routes(&[("GET", "/contacts/{id}"), ("PUT", "/contacts/{id}/consent")]);
        let (_, parameters) = taken(&routes, "PUT", "/contacts/+1415/consent").unwrap();
        assert_eq!(parameters["id"], "+1415");
        assert_eq!(taken(&routes, "GET", "/contacts/"), None, "an empty segment is no id");
        assert_eq!(taken(&routes, "GET", "/contacts/1/"), None, "a slash too many is another path");
        assert_eq!(taken(&routes, "GET", "/contacts"), None);
    }

    #[test]
    fn routes_that_answer_the_same_requests_clash() {
        let mut routes = routes(&[("GET", "/contacts/{id}")]);
        assert!(routes.add(Route::new("g", Some("get"), "/contacts/{other}", Access::Open).unwrap()).is_err());
        assert!(routes.add(Route::new("g", Some("PUT"), "/contacts/{other}", Access::Open).unwrap()).is_ok());
    }

    #[test]
    fn malformed_routes_are_refused() {
        for path in ["contacts", "/a//b", "/{}", "/{a+}/b", "/a{b}", "/{+}"] {
            assert!(Route::new("f", None, path, Access::Open).is_err(), "{path}");
        }
        assert!(Route::new("f", Some("G ET"), "/a", Access::Open).is_err());
    }
}
