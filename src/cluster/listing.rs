//! Lists of objects, page by page, borrowed from the API server's bytes: unused parts of an object cost no memory. Must not know what
//! the objects are for.

use futures::AsyncReadExt as _;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most bytes of a page with several objects. A larger one is read again in smaller parts: any user who may create a pod decides how
/// large it is.
const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The most bytes of a page with one object: etcd keeps at most 1.5 MiB of it, and JSON writes some bytes as six.
const OBJECT_BYTES_MAX: u64 = 12 * 1024 * 1024;

/// A list of the objects of one kind, read page by page.
pub struct Listing {
    client: Client,
    path: String,
    parameters: ListParams,
    /// The objects on the next page.
    page: u32,
    is_over: bool,
}

/// One page of a list, as the API server sent it.
pub struct Page(String);

#[derive(Deserialize)]
struct Head<'p> {
    #[serde(borrow, default)]
    metadata: Option<ListMeta<'p>>,
}

#[derive(Deserialize)]
struct ListMeta<'p> {
    #[serde(borrow, rename = "continue", default)]
    token: Option<std::borrow::Cow<'p, str>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Items<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

// === impl Listing ===

impl Listing {
    /// Returns a list of the objects below `path`, such as `/api/v1/namespaces/shop/pods`, with `page` objects a page.
    pub fn new(client: Client, path: impl Into<String>, page: u32) -> Self {
        Self { client, path: path.into(), parameters: ListParams::default(), page, is_over: false }
    }

    /// Limits the list by a label selector.
    #[must_use]
    pub fn labels(mut self, selector: &str) -> Self {
        self.parameters = self.parameters.labels(selector);
        self
    }

    /// Limits the list by a field selector.
    #[must_use]
    pub fn fields(mut self, selector: &str) -> Self {
        self.parameters = self.parameters.fields(selector);
        self
    }

    /// Reads the next page; `None` after the last.
    ///
    /// # Errors
    /// The API server refused, or its answer is not a list.
    pub async fn next(&mut self) -> Result<Option<Page>, kube::Error> {
        if self.is_over {
            return Ok(None);
        }
        let page = loop {
            if let Some(page) = self.read_page().await? {
                break page;
            }
            self.page = (self.page / 4).max(1);
        };
        let head: Head<'_> = serde_json::from_str(&page.0).map_err(kube::Error::SerdeError)?;
        let token = head.metadata.and_then(|metadata| metadata.token).filter(|token| !token.is_empty());
        match token.map(|token| token.into_owned()) {
            Some(token) => self.parameters.continue_token = Some(token),
            None => self.is_over = true,
        }
        Ok(Some(page))
    }

    /// Reads a page; `None` if it is too large and can be smaller.
    async fn read_page(&self) -> Result<Option<Page>, kube::Error> {
        let parameters = self.parameters.clone().limit(self.page);
        let request = Request::new(&self.path).list(&parameters).map_err(kube::Error::BuildRequest)?;
        let limit = if self.page > 1 { PAGE_BYTES_MAX } else { OBJECT_BYTES_MAX };
        let mut text = String::new();
        let read = self.client.request_stream(request).await?.take(limit + 1).read_to_string(&mut text).await;
        read.map_err(kube::Error::ReadEvents)?;
        match (text.len() as u64 > limit, self.page) {
            (false, _) => Ok(Some(Page(text))),
            (true, 1) => Err(kube::Error::ReadEvents(std::io::Error::other("an object is too large"))),
            (true, _) => Ok(None),
        }
    }
}

// === impl Page ===

impl Page {
    /// Deserializes the objects of the page.
    ///
    /// # Errors
    /// An object cannot be deserialized.
    pub fn items<'p, T: Deserialize<'p>>(&'p self) -> Result<Vec<T>, kube::Error> {
        let Items { items } = serde_json::from_str(&self.0).map_err(kube::Error::SerdeError)?;
        Ok(items)
    }

    /// Returns the objects of the page as JSON.
    ///
    /// # Errors
    /// The page is not a list.
    pub fn raw(&self) -> Result<Vec<&RawValue>, kube::Error> {
        self.items()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::http::{Request, Response};

    use super::*;

    #[derive(Deserialize)]
    struct Object {
        name: String,
    }

    /// An API server with 9 objects of so many bytes each.
    fn client(bytes: usize) -> Client {
        let service = tower::service_fn(move |request: Request<kube::client::Body>| async move {
            let parameter = |name: &str| {
                let query = request.uri().query().unwrap_or_default();
                query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
            };
            let first = parameter("continue").unwrap_or(0);
            let end = (first + parameter("limit").unwrap()).min(9);
            let padding = "x".repeat(bytes);
            let items: Vec<_> = (first..end)
                .map(|index| serde_json::json!({ "name": index.to_string(), "padding": padding }))
                .collect();
            let token = if end < 9 { end.to_string() } else { String::new() };
            let list = serde_json::json!({ "metadata": { "continue": token }, "items": items });
            Ok::<_, Infallible>(Response::new(Body::from(list.to_string())))
        });
        Client::new(service, "default")
    }

    async fn names(bytes: usize) -> Result<(Vec<String>, usize), kube::Error> {
        let mut listing = Listing::new(client(bytes), "/api/v1/pods", 500);
        let (mut names, mut pages) = (Vec::new(), 0);
        while let Some(page) = listing.next().await? {
            names.extend(page.items::<Object>()?.into_iter().map(|object| object.name));
            pages += 1;
        }
        Ok((names, pages))
    }

    #[tokio::test]
    async fn a_page_of_large_objects_is_read_in_smaller_parts() {
        let all: Vec<String> = (0..9).map(|index| index.to_string()).collect();
        assert_eq!(names(100).await.unwrap(), (all.clone(), 1));
        assert_eq!(names(1 << 20).await.unwrap(), (all.clone(), 9));
        assert_eq!(names(11 << 20).await.unwrap(), (all, 9));
    }

    #[tokio::test]
    async fn an_object_that_is_too_large_is_an_error() {
        assert!(names(13 << 20).await.is_err());
    }
}
