//! Lists of objects, page by page, borrowed from the API server's bytes: unused parts of an object cost no memory. Must not know what
//! the objects are for.

use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A list of the objects of one kind, read page by page.
pub struct Listing {
    client: Client,
    path: String,
    parameters: ListParams,
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
        Self { client, path: path.into(), parameters: ListParams::default().limit(page), is_over: false }
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
        let request = Request::new(&self.path).list(&self.parameters).map_err(kube::Error::BuildRequest)?;
        let page = Page(self.client.request_text(request).await?);
        let head: Head<'_> = serde_json::from_str(&page.0).map_err(kube::Error::SerdeError)?;
        let token = head.metadata.and_then(|metadata| metadata.token).filter(|token| !token.is_empty());
        match token.map(|token| token.into_owned()) {
            Some(token) => self.parameters.continue_token = Some(token),
            None => self.is_over = true,
        }
        Ok(Some(page))
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
