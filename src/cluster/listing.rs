//! Lists of objects, page by page, borrowed from the API server's own bytes: what is not needed of an object costs no memory. Must
//! not know what the objects are for.

use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The objects of one kind, a page after another.
pub struct Listing {
    client: Client,
    path: String,
    parameters: ListParams,
    is_over: bool,
}

/// Some objects of a list, as the API server sent them.
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
    /// The objects below `path`, such as `/api/v1/namespaces/shop/pods`, so many a page.
    pub fn new(client: Client, path: impl Into<String>, page: u32) -> Self {
        Self { client, path: path.into(), parameters: ListParams::default().limit(page), is_over: false }
    }

    /// Only those whose labels fit.
    #[must_use]
    pub fn labels(mut self, selector: &str) -> Self {
        self.parameters = self.parameters.labels(selector);
        self
    }

    /// Only those of which these fields are so.
    #[must_use]
    pub fn fields(mut self, selector: &str) -> Self {
        self.parameters = self.parameters.fields(selector);
        self
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// The API server refused, or its answer is no list.
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
    /// Its objects.
    ///
    /// # Errors
    /// One of them is not what it should be.
    pub fn items<'p, T: Deserialize<'p>>(&'p self) -> Result<Vec<T>, kube::Error> {
        let Items { items } = serde_json::from_str(&self.0).map_err(kube::Error::SerdeError)?;
        Ok(items)
    }

    /// Its objects, each as it is.
    ///
    /// # Errors
    /// It has no objects.
    pub fn raw(&self) -> Result<Vec<&RawValue>, kube::Error> {
        self.items()
    }
}
