//! The routes of the HTTP API as data. Routers, the answer to all other requests, and the API's document are made from this
//! table. Tests hold it to `template.yaml`, by which API Gateway goes.

use std::fmt;

use axum::http::Method;

/// A route: which function does what for whom at a method and path.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the route does.
    pub operation: Operation,
    /// The request's method.
    pub method: Method,
    /// The request's path, with parameters as `{name}`.
    pub path: &'static str,
    /// The scope that the caller's token needs. `None`: the route takes no token.
    pub scope: Option<Scope>,
    /// The function that answers.
    pub function: Function,
    /// A line for the API's document.
    pub summary: &'static str,
}

/// A scope of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `consent/read`
    Read,
    /// `consent/write`
    Write,
    /// `consent/admin`
    Admin,
    /// `consent/platform`
    Platform,
}

/// A function behind the HTTP API, by its folder under `functions/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `functions/webhook`
    Webhook,
    /// `functions/settings`
    Settings,
    /// `functions/contacts`
    Contacts,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has a summary in the table below")]
pub enum Operation {
    VerifyWebhook,
    ReceiveUpdates,
    ShowSettings,
    SaveSettings,
    TestKeywords,
    RegisterChannel,
    ReleaseChannel,
    ListContacts,
    ChangeContacts,
    ShowContact,
    EraseContact,
    SetConsent,
    BlockContact,
    UnblockContact,
    ListHistory,
}

/// Every route. Where two paths fit a request, the first one counts.
pub static ROUTES: [Route; 15] = [
    Route {
        operation: Operation::VerifyWebhook,
        method: Method::GET,
        path: "/webhooks/whatsapp",
        scope: None,
        function: Function::Webhook,
        summary: "Answer Meta's handshake",
    },
    Route {
        operation: Operation::ReceiveUpdates,
        method: Method::POST,
        path: "/webhooks/whatsapp",
        scope: None,
        function: Function::Webhook,
        summary: "Take updates from WhatsApp",
    },
    Route {
        operation: Operation::ShowSettings,
        method: Method::GET,
        path: "/settings",
        scope: Some(Scope::Read),
        function: Function::Settings,
        summary: "Show the settings",
    },
    Route {
        operation: Operation::SaveSettings,
        method: Method::PUT,
        path: "/settings",
        scope: Some(Scope::Admin),
        function: Function::Settings,
        summary: "Save the settings",
    },
    Route {
        operation: Operation::TestKeywords,
        method: Method::POST,
        path: "/settings/test",
        scope: Some(Scope::Read),
        function: Function::Settings,
        summary: "Try what a text would do",
    },
    Route {
        operation: Operation::RegisterChannel,
        method: Method::PUT,
        path: "/channels/{phone_number_id}",
        scope: Some(Scope::Platform),
        function: Function::Settings,
        summary: "Give a channel to a tenant",
    },
    Route {
        operation: Operation::ReleaseChannel,
        method: Method::DELETE,
        path: "/channels/{phone_number_id}",
        scope: Some(Scope::Platform),
        function: Function::Settings,
        summary: "Take a channel back",
    },
    Route {
        operation: Operation::ListContacts,
        method: Method::GET,
        path: "/contacts",
        scope: Some(Scope::Read),
        function: Function::Contacts,
        summary: "List contacts",
    },
    Route {
        operation: Operation::ChangeContacts,
        method: Method::POST,
        path: "/contacts/batch",
        scope: Some(Scope::Write),
        function: Function::Contacts,
        summary: "Opt many contacts in or out",
    },
    Route {
        operation: Operation::ShowContact,
        method: Method::GET,
        path: "/contacts/{id}",
        scope: Some(Scope::Read),
        function: Function::Contacts,
        summary: "Show a contact",
    },
    Route {
        operation: Operation::EraseContact,
        method: Method::DELETE,
        path: "/contacts/{id}",
        scope: Some(Scope::Admin),
        function: Function::Contacts,
        summary: "Erase a contact and its history",
    },
    Route {
        operation: Operation::SetConsent,
        method: Method::PUT,
        path: "/contacts/{id}/consent",
        scope: Some(Scope::Write),
        function: Function::Contacts,
        summary: "Opt a contact in or out by hand",
    },
    Route {
        operation: Operation::BlockContact,
        method: Method::PUT,
        path: "/contacts/{id}/block",
        scope: Some(Scope::Write),
        function: Function::Contacts,
        summary: "Block a contact",
    },
    Route {
        operation: Operation::UnblockContact,
        method: Method::DELETE,
        path: "/contacts/{id}/block",
        scope: Some(Scope::Write),
        function: Function::Contacts,
        summary: "Lift the block of a contact",
    },
    Route {
        operation: Operation::ListHistory,
        method: Method::GET,
        path: "/contacts/{id}/history",
        scope: Some(Scope::Read),
        function: Function::Contacts,
        summary: "List what happened to a contact",
    },
];

impl Route {
    /// The route that does this.
    ///
    /// # Panics
    /// The table lacks the operation, which a test rules out.
    #[must_use]
    pub fn of(operation: Operation) -> &'static Self {
        ROUTES.iter().find(|route| route.operation == operation).expect("every operation has a route")
    }

    /// The methods of a path such as `/contacts/+14155550123`, parted by commas: the value of the header `Allow`. `None` where
    /// no route has the path.
    #[must_use]
    pub fn methods(path: &str) -> Option<String> {
        let pattern = ROUTES.iter().find(|route| route.fits(path))?.path;
        let methods: Vec<&str> =
            ROUTES.iter().filter(|route| route.path == pattern).map(|route| route.method.as_str()).collect();
        Some(methods.join(", "))
    }

    /// Whether a path has the route's segments, any text standing for a parameter.
    fn fits(&self, path: &str) -> bool {
        let (mut expected, mut given) = (self.path.split('/'), path.split('/'));
        loop {
            match (expected.next(), given.next()) {
                (None, None) => return true,
                (Some(parameter), Some(text)) if parameter.starts_with('{') && !text.is_empty() => {}
                (Some(expected), Some(given)) if expected == given => {}
                _ => return false,
            }
        }
    }
}

impl Scope {
    /// The scope as a token carries it, for example `consent/read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "consent/read",
            Self::Write => "consent/write",
            Self::Admin => "consent/admin",
            Self::Platform => "consent/platform",
        }
    }

    /// What the scope allows.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Read => "to see settings, contacts and history",
            Self::Write => "to switch and block contacts, one by one or in a batch",
            Self::Admin => "to change settings and erase contacts",
            Self::Platform => "to give channels to tenants and take them back",
        }
    }
}

impl Function {
    /// The function's name: its folder, package and binary.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Settings => "settings",
            Self::Contacts => "contacts",
        }
    }
}

/// The operation's id in the API's document, for example `showSettings`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        let (first, rest) = name.split_at(1);
        write!(f, "{}{rest}", first.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_for_one_segment_that_is_not_empty() {
        assert_eq!(Route::methods("/contacts/+14155550123/block").as_deref(), Some("PUT, DELETE"));
        assert_eq!(Route::methods("/contacts/batch").as_deref(), Some("POST"));
        for path in ["/", "", "/contacts/", "/contacts//block", "/contacts/1/2/3", "/contacts/1/block/", "/Settings"] {
            assert_eq!(Route::methods(path), None, "{path}");
        }
    }

    #[test]
    fn an_operation_is_named_in_camel_case() {
        assert_eq!(Operation::ShowSettings.to_string(), "showSettings");
    }
}
