//! The list of routes as an OpenAPI 3.1 description; knows no handler.

use serde_json::{Map, Value, json};

use super::{Method, Route, routes};

/// The OpenAPI 3.1 description of every route.
pub(super) fn openapi() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let method = match route.method {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        };
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(method.to_owned(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Driftline collector",
            "version": "1",
            "description": "Lists are pages; `next`, if any, is the path of the one that follows.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": { "code": { "type": "string" }, "detail": { "type": "string" } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let text = json!({ "type": "string" });
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{'));
    let in_path = in_path.map(|part| {
        let name = part.trim_end_matches('}');
        json!({ "name": name, "in": "path", "required": true, "schema": text })
    });
    let in_query = route.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": text })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let scope = route.scope.as_str();
    let mut operation = json!({
        "summary": route.summary,
        "description": format!("Needs a token of scope `{scope}`; none on loopback."),
        "security": [{ "token": [] }],
        "parameters": parameters,
        "responses": {
            "200": { "description": "JSON" },
            "default": { "description": "A problem", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } } },
        },
    });
    if let (Some(operation), Some(body)) = (operation.as_object_mut(), body(route)) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// The JSON body of what changes something.
fn body(route: &Route) -> Option<Value> {
    if route.method == Method::Get {
        return None;
    }
    let fields = route.body.iter();
    let fields: Map<String, Value> = fields
        .map(|(name, meaning)| ((*name).to_owned(), json!({ "description": meaning })))
        .collect();
    let schema = json!({ "type": "object", "properties": fields });
    Some(json!({ "content": { "application/json": { "schema": schema } } }))
}
